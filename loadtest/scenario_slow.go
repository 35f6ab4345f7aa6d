package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Slow is the scenario in which a share of the clients stops reading and, after a
// while, reads again, while the others are measured. Events flow at a rate for a
// time, or, if there is a Window and no Rate, as many as Events says in each part:
// before the clients stall, while they do, and between two stalls.
type Slow struct {
	Common
	Traffic
	Clients  int           // all of them, 2 to MaxClients; default 100
	Share    float64       // of them that stall, above 0 and below 1; default 0.1
	Stalls   int           // how often they do, 1 to MaxStalls; default 1
	Duration time.Duration // of each part, at a rate; default DefaultDuration
	// ReceiveBuffer is what the kernel may keep for a client that stalls, in bytes; 0 to
	// MaxReceiveBuffer; 0: its own choice, which grows with what the client has read.
	ReceiveBuffer int
}

// MaxReceiveBuffer is the largest buffer that may be asked for, in bytes.
const MaxReceiveBuffer = 1 << 30

// MaxStalls is how often clients stall at most.
const MaxStalls = 1000

const (
	phaseBaseline = "baseline"
	phaseStalled  = "stalled"
	phaseResumed  = "resumed"

	healthy, slow = 0, 1 // the groups

	// maxCatchUp is how long clients may take to get the rest, and how much longer
	// than it should a run on a busy machine may take before its events run out.
	maxCatchUp = time.Minute
)

func (s Slow) complete() (*Slow, error) {
	if s.Window == 0 {
		setDefault(&s.Rate, 100)
	}
	s.Common.complete()
	s.Traffic.complete()
	setDefault(&s.Clients, 100)
	setDefault(&s.Share, 0.1)
	setDefault(&s.Stalls, 1)
	setDefault(&s.Duration, DefaultDuration)
	var c checks
	c.within("stalls", s.Stalls, 1, MaxStalls)
	c.within("receive buffer", s.ReceiveBuffer, 0, MaxReceiveBuffer)
	if s.Rate > 0 {
		s.Events = s.parts()*ofRate(s.Rate, s.Duration) + ofRate(s.Rate, maxCatchUp)
	} else {
		setDefault(&s.Events, 1000)
		c.within("events", s.Events, 1, MaxEvents)
		s.Events *= s.parts()
	}
	c.common(&s.Common)
	c.traffic(&s.Traffic)
	c.within("clients", s.Clients, 2, MaxClients)
	c.notNegative("duration", s.Duration.Seconds())
	if !(s.Share > 0 && s.Share < 1) {
		c = append(c, errors.New("the share that stalls must be above 0 and below 1"))
	}
	if s.Channels > s.Clients-s.slow() {
		c = append(c, fmt.Errorf("%d channels need as many clients that read, not %d", s.Channels, s.Clients-s.slow()))
	}
	return &s, c.err()
}

// parts is how many parts there are in which events flow.
func (s *Slow) parts() int { return 2 * s.Stalls }

// flowPlan is the stream of events, which the scenario ends if it is at a rate.
func (s *Slow) flowPlan() flowPlan {
	if s.Rate > 0 {
		return s.openFlow()
	}
	return s.flow()
}

// slow is how many clients stall.
func (s *Slow) slow() int {
	return min(max(int(math.Round(float64(s.Clients)*s.Share)), 1), s.Clients-1)
}

// RunSlow makes the run; see RunFanout for its errors. That the server cuts
// those off who stall is no fault, nor is a gap that it tells of. What it keeps
// from anyone without a word is, and so is an event both delivered and told of.
func RunSlow(ctx context.Context, config Slow) (*Result, error) {
	s, err := config.complete()
	if err != nil {
		return nil, err
	}
	r, err := newRun(ctx, "slow", &s.Common, plan{
		Flows: []flowPlan{s.flowPlan()},
		Groups: []groupPlan{
			{Name: "healthy", Clients: s.Clients - s.slow(), Awaited: true},
			{Name: "slow", Clients: s.slow(), Awaited: true, Unmeasured: true, ReceiveBuffer: s.ReceiveBuffer},
		},
	}, []Traffic{s.Traffic})
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("clients", s.Clients)
	r.parameter("of them stall", s.slow())
	r.parameter("stalls", s.Stalls)
	if s.ReceiveBuffer > 0 {
		r.parameter("receive buffer", fmt.Sprintf("%d bytes for each of those", s.ReceiveBuffer))
	}
	if s.Keys > 0 {
		r.parameter("keys", s.Keys)
	}
	r.trafficParameters(&s.Traffic, time.Duration(s.parts())*s.Duration)
	return r.finished(outcome{[]string{phaseBaseline, phaseStalled}, 0}, r.slow(s))
}

func (r *run) slow(s *Slow) error {
	if err := inOrder(r.toConnect, r.prepare); err != nil {
		return err
	}
	part := r.toSleep(s.Duration)
	if s.Rate == 0 {
		part = func() error { return r.publishMore(0, s.Events/s.parts()) }
		r.publishing.call(func() { r.publishing.publishers[0].holdAt(0) })
	}
	steps := []func() error{r.toBegin(phaseBaseline), r.toPublish(0), part, r.toBegin(phaseStalled)}
	pause, resume := r.toDo(order{What: orderPause, Group: slow}), r.toDo(order{What: orderResume, Group: slow})
	for range s.Stalls - 1 {
		steps = append(steps, pause, part, resume, part)
	}
	steps = append(steps, pause, part, r.toBegin(phaseResumed), resume, r.toFinish(0), r.toAwait(slow), r.conclude)
	err := inOrder(steps...)
	if err == nil {
		r.slowFigures()
	}
	return err
}

// slowFigures notes what became of those who stalled, and of the others meanwhile.
func (r *run) slowFigures() {
	baseline, stalled := r.percentiles(phaseBaseline), r.percentiles(phaseStalled)
	if baseline.P50 > 0 && stalled.P50 > 0 {
		r.figure("p50_ratio", stalled.P50/baseline.P50)
		r.figure("p99_ratio", stalled.P99/baseline.P99)
	}
	t, others := r.samples.tally(slow), r.samples.tally(healthy)
	r.figure("cut_off", float64(t.CutOff))
	r.figure("cut_untold", float64(t.CutUntold))
	r.figure("slow_delivered", float64(t.Delivered))
	r.figure("told", float64(t.Told))
	r.figure("healthy_told", float64(others.Told))
}
