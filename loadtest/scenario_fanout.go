package loadtest

import (
	"context"
	"fmt"
	"time"
)

// Fanout is the scenario in which events go to all clients of their channel.
// Client i subscribes to channel i modulo Channels.
type Fanout struct {
	Common
	Traffic
	Clients int // subscribers, 1 to MaxClients; default 1
	// Duration is how long events are published with Rate; default DefaultDuration.
	// Without Rate it is a bound on that time; 0 is no bound.
	// With Cuts it is the time of each part: events flow to all, and clients recover beside.
	Duration time.Duration
	Cuts     Cuts
}

// Name of a phase that several scenarios have: events flow.
const phaseEvents = "events"

func (f Fanout) complete() (*Fanout, error) {
	f.Common.complete()
	f.Traffic.complete()
	setDefault(&f.Clients, 1)
	f.completeCuts()
	switch {
	case f.Cuts.Recover:
		f.Events = ofRate(f.Rate, 2*f.Duration+maxCatchUp)
	case f.Rate > 0:
		setDefault(&f.Duration, DefaultDuration)
		f.Events = ofRate(f.Rate, f.Duration)
	}
	setDefault(&f.Events, 1000) // without a rate
	var c checks
	c.common(&f.Common)
	c.traffic(&f.Traffic)
	c.within("clients", f.Clients, 1, MaxClients)
	c.notNegative("duration", f.Duration.Seconds())
	if f.Channels > f.Clients {
		c = append(c, fmt.Errorf("%d channels need as many clients, not %d", f.Channels, f.Clients))
	}
	c.cuts(&f)
	return &f, c.err()
}

// RunFanout connects the clients, publishes the events and verifies what arrives. An
// error means that the run failed. Faults that a run has found are in its result (see
// Result.Fault). A run that ctx ends has a result too, which is marked as incomplete.
// This holds for all scenarios.
func RunFanout(ctx context.Context, config Fanout) (*Result, error) {
	f, err := config.complete()
	if err != nil {
		return nil, err
	}
	p, traffic := plan{
		Flows:  []flowPlan{f.flow()},
		Groups: []groupPlan{{Clients: f.Clients, Awaited: true}},
	}, []Traffic{f.Traffic}
	if f.Cuts.Recover {
		p, traffic = f.recoverPlan()
	}
	r, err := newRun(ctx, "fanout", &f.Common, p, traffic)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("clients", f.Clients)
	r.trafficParameters(&f.Traffic, f.Duration)
	if f.Cuts.Recover {
		r.recoverParameters(f)
		return r.finished(outcome{[]string{phaseEvents, phaseRecovery}, 0}, r.fanoutRecovered(f))
	}
	o := outcome{[]string{phaseEvents}, 0}
	return r.finished(o, r.fanout(f))
}

// fanout connects the clients and has events flow to them, if there are any.
func (r *run) fanout(f *Fanout) error {
	if err := r.connectAll(0); err != nil {
		return err
	}
	if r.samples.clients[markConnected] == 0 {
		return r.conclude()
	}
	return inOrder(
		r.prepare,
		r.toBegin(phaseEvents),
		r.toPublish(0),
		func() error { return r.doneWithin(0, f.Duration, f.Rate > 0) },
		r.conclude,
	)
}

// flow is the stream of events that the traffic describes.
func (t *Traffic) flow() flowPlan {
	return flowPlan{Channels: channelNames(t.Channels), Payload: t.Payload, Data: t.Data, Keys: t.Keys, Events: t.Events}
}

// openFlow is the same, ended by the scenario.
func (t *Traffic) openFlow() flowPlan {
	f := t.flow()
	f.Open = true
	return f
}

func (r *run) payloadParameter(t *Traffic) {
	r.parameter("payload", fmt.Sprintf("%d bytes, %s", t.Payload, t.Data))
}

func (r *run) trafficParameters(t *Traffic, duration time.Duration) {
	r.parameter("channels", t.Channels)
	r.payloadParameter(t)
	if t.Rate > 0 {
		r.parameter("rate", fmt.Sprintf("%v events/s for %v", t.Rate, duration))
		return
	}
	r.parameter("events", t.Events)
	r.parameter("window", fmt.Sprintf("%d in flight", t.Window))
}
