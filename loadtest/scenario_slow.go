package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Slow is the scenario in which a share of the clients stops reading and, after a
// while, reads again, while the others are measured.
type Slow struct {
	Common
	Traffic
	Clients  int           // all of them, 2 to MaxClients; default 100
	Share    float64       // of them that stall, above 0 and below 1; default 0.1
	Duration time.Duration // of each phase: before they stall, while they do; default DefaultDuration
}

const (
	phaseBaseline = "baseline"
	phaseStalled  = "stalled"
	phaseResumed  = "resumed"

	healthy, slow = 0, 1 // the groups

	// quiet is how long the clients that had stalled must have got nothing
	// until they are taken to have all that they will get.
	quiet = time.Second
	// maxCatchUp is how long they may take.
	maxCatchUp = time.Minute
)

func (s Slow) complete() (*Slow, error) {
	s.Common.complete()
	s.Traffic.complete()
	setDefault(&s.Clients, 100)
	setDefault(&s.Share, 0.1)
	setDefault(&s.Rate, 100)
	setDefault(&s.Duration, DefaultDuration)
	s.Events = ofRate(s.Rate, 2*s.Duration+maxCatchUp)
	var c checks
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

// slow is how many clients stall.
func (s *Slow) slow() int {
	return min(max(int(math.Round(float64(s.Clients)*s.Share)), 1), s.Clients-1)
}

// RunSlow makes the run; see RunFanout for its errors. That the server cuts
// those off who stall is no fault; what it keeps from the others is.
func RunSlow(ctx context.Context, config Slow) (*Result, error) {
	s, err := config.complete()
	if err != nil {
		return nil, err
	}
	r, err := newRun(ctx, "slow", &s.Common, plan{
		Flows: []flowPlan{s.openFlow()},
		Groups: []groupPlan{
			{Name: "healthy", Clients: s.Clients - s.slow(), Awaited: true},
			{Name: "slow", Clients: s.slow(), Unmeasured: true},
		},
	}, []Traffic{s.Traffic})
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("clients", s.Clients)
	r.parameter("of them stall", s.slow())
	r.trafficParameters(&s.Traffic, 2*s.Duration)
	if err := r.connectAll(0); err != nil {
		return nil, err
	}
	if err := r.slow(s.Duration); err != nil {
		return nil, err
	}
	return r.result(outcome{[]string{phaseBaseline, phaseStalled}, 0}), nil
}

func (r *run) slow(duration time.Duration) error {
	if err := r.prepare(); err != nil {
		return err
	}
	r.samples.begin(phaseBaseline)
	r.publish(0)
	if err := r.sleep(duration); err != nil {
		return err
	}
	if err := r.do(order{What: orderPause, Group: slow}); err != nil {
		return err
	}
	r.samples.begin(phaseStalled)
	if err := r.sleep(duration); err != nil {
		return err
	}
	r.samples.begin(phaseResumed)
	if err := r.do(order{What: orderResume, Group: slow}); err != nil {
		return err
	}
	if err := r.finish(0); err != nil {
		return err
	}
	if err := r.awaitQuiet(slow); err != nil {
		return err
	}
	if err := r.conclude(); err != nil {
		return err
	}
	t := r.samples.tally(slow)
	r.figure("cut_off", float64(t.CutOff))
	r.figure("cut_untold", float64(t.CutUntold))
	r.figure("slow_delivered", float64(t.Delivered))
	return nil
}

// awaitQuiet waits until a group gets nothing any more.
func (r *run) awaitQuiet(group int) error {
	last, since := int64(-1), time.Now()
	for limit := time.Now().Add(maxCatchUp); time.Now().Before(limit); {
		if now := r.samples.tally(group).Delivered; now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > quiet {
			return nil
		}
		if err := r.sleep(sampleInterval); err != nil {
			return err
		}
	}
	return nil
}
