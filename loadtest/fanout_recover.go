package loadtest

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Cuts is the part of a fan-out in which clients are cut off and come back with the position that
// they have, so that the server sends them what they have missed.
type Cuts struct {
	Recover bool    // they do; the rest means nothing without
	Share   float64 // of the clients that are cut off now and then, above 0 and below 1; default 0.1
	Rate    float64 // how many of those are cut off per second; default 20
	// Away is how long each stays away; default 500 ms.
	Away time.Duration
	// Missed is how many events one more client, on a channel of its own, has missed. It recovers
	// them once a second, all of them each time. 0: there is no such client.
	Missed int
}

const (
	phaseRecovery = "recovery"

	staying, cut, late = 0, 1, 2 // the groups
	lateFlow           = 1

	// defaultRecoverRate is how many events a second there are while clients recover.
	defaultRecoverRate = 100
	// catchUpEvery is how often one client recovers all that it has missed.
	catchUpEvery = time.Second
)

func (f *Fanout) completeCuts() {
	if !f.Cuts.Recover {
		return
	}
	setDefault(&f.Rate, defaultRecoverRate)
	setDefault(&f.Duration, DefaultDuration)
	setDefault(&f.Cuts.Share, 0.1)
	setDefault(&f.Cuts.Rate, 20)
	setDefault(&f.Cuts.Away, 500*time.Millisecond)
}

func (c *checks) cuts(f *Fanout) {
	if !f.Cuts.Recover {
		if f.Cuts.Missed != 0 {
			*c = append(*c, errors.New("missed events are for clients that recover"))
		}
		return
	}
	if !(f.Cuts.Share > 0 && f.Cuts.Share < 1) {
		*c = append(*c, errors.New("the share that is cut off must be above 0 and below 1"))
	}
	c.within("clients", f.Clients, 2, MaxClients)
	c.within("missed", f.Cuts.Missed, 0, MaxEvents)
	c.notNegative("cuts per second", f.Cuts.Rate)
	c.notNegative("away", f.Cuts.Away.Seconds())
	if f.Channels > f.Clients-f.cut() {
		*c = append(*c, fmt.Errorf("%d channels need as many clients that stay, not %d", f.Channels, f.Clients-f.cut()))
	}
}

// cut is how many clients are cut off now and then.
func (f *Fanout) cut() int {
	return min(max(int(math.Round(float64(f.Clients)*f.Cuts.Share)), 1), f.Clients-1)
}

// ofLate is the traffic that one client misses.
func (f *Fanout) ofLate() Traffic {
	t := f.Traffic
	t.Channels, t.Publishers, t.Rate, t.Events, t.Window = 1, 1, 0, f.Cuts.Missed, MaxWindow
	return t
}

// recoverPlan is the plan of a fan-out in which clients recover.
func (f *Fanout) recoverPlan() (plan, []Traffic) {
	p := plan{
		Flows: []flowPlan{f.openFlow()},
		Groups: []groupPlan{
			{Name: "staying", Clients: f.Clients - f.cut(), Awaited: true, Apart: true},
			{Name: "cut", Clients: f.cut(), Returns: true, Unmeasured: true, Recovers: true},
		},
	}
	traffic := []Traffic{f.Traffic}
	if f.Cuts.Missed > 0 {
		ofLate := f.ofLate()
		p.Flows = append(p.Flows, ofLate.flow())
		p.Groups = append(p.Groups, groupPlan{Name: "late", Clients: 1, Flow: lateFlow, Returns: true, Unmeasured: true, Recovers: true, Rewinds: true})
		traffic = append(traffic, ofLate)
	}
	return p, traffic
}

func (r *run) recoverParameters(f *Fanout) {
	r.parameter("cut off", fmt.Sprintf("%d clients in turn, %v a second, each for %v", f.cut(), f.Cuts.Rate, f.Cuts.Away))
	if f.Cuts.Missed > 0 {
		r.parameter("missed", fmt.Sprintf("%d events by one more client, which recovers them once a second", f.Cuts.Missed))
	}
}

// fanoutRecovered has events flow to all, and then beside clients that come back.
func (r *run) fanoutRecovered(f *Fanout) error {
	if err := inOrder(r.toConnect, r.prepare); err != nil {
		return err
	}
	if f.Cuts.Missed > 0 {
		if err := r.missAll(); err != nil {
			return err
		}
	}
	err := inOrder(
		r.toBegin(phaseEvents),
		r.toPublish(0),
		r.toSleep(f.Duration),
		r.toBegin(phaseRecovery),
		r.toDo(order{What: orderChurn, Group: cut, Rate: f.Cuts.Rate, Over: f.Cuts.Away}),
		func() error { return r.catchUps(f) },
		r.toDo(order{What: orderChurn, Group: cut}),
		r.toDo(order{What: orderReturn, Group: cut}),
		func() error { _, err := r.awaitWhole(cut, maxCatchUp); return err },
		r.toBegin(phaseEnd),
		r.toFinish(0),
		r.toAwait(cut),
		r.conclude,
	)
	if err != nil {
		return err
	}
	if alone, beside := r.percentiles(phaseEvents), r.percentiles(phaseRecovery); alone.P99 > 0 && beside.P99 > 0 {
		r.figure("p99_ratio", beside.P99/alone.P99)
	}
	return nil
}

// missAll has events published while the client that is to recover them is away.
func (r *run) missAll() error {
	return inOrder(
		r.toDo(order{What: orderDrop, Group: late}),
		r.toPublish(lateFlow),
		func() error { return r.await(r.publishing.publishers[lateFlow], 0) },
		func() error { return r.awaitTaken(lateFlow) },
	)
}

// catchUps has the late client recover all that it has missed, again and again, for the time of a
// phase. Without such a client it waits for as long.
func (r *run) catchUps(f *Fanout) error {
	if f.Cuts.Missed == 0 {
		return r.sleep(f.Duration)
	}
	clock := clockAt(r.plan.Base)
	begin := clock.now()
	var longest time.Duration
	for count := 1; ; count++ {
		began := clock.now()
		if err := r.do(order{What: orderReturn, Group: late}); err != nil {
			return err
		}
		whole, err := r.awaitWhole(late, maxCatchUp)
		if err != nil {
			return err
		}
		if whole < began {
			whole = clock.now() // it is not
		}
		longest = max(longest, time.Duration(whole-began))
		next := max(time.Duration(count)*catchUpEvery, time.Duration(clock.now()-begin))
		if next >= f.Duration {
			r.figure("catch_ups", float64(count))
			r.figure("seconds_to_catch_up", longest.Seconds())
			return r.sleep(f.Duration - time.Duration(clock.now()-begin))
		}
		if err := r.sleep(next - time.Duration(clock.now()-begin)); err != nil {
			return err
		}
		if err := r.do(order{What: orderDrop, Group: late}); err != nil {
			return err
		}
	}
}
