package loadtest

import (
	"context"
	"fmt"
	"time"
)

// Fairness is the scenario in which a small channel is measured while a large one is
// flooded: events go to it without a pause. The clients of the small channel have a
// loop of the harness to themselves. The other loops run with lower priority, so that
// the server is measured and not the harness.
type Fairness struct {
	Common
	Clients  int     // subscribers of the large channel, 1 to MaxClients; default 9000
	Watchers int     // subscribers of the small one; default 10
	Visitors float64 // clients of the small channel per second that leave and come back; default 5
	Rate     float64 // events per second on the small channel; default 50
	Pings    float64 // pings per second, which the watchers send in turn; default 20
	Window   int     // events in flight on the large one, at most; default 64
	// Publishers is how many connections flood, 1 to Clients; default 1. Each has a
	// large channel of its own, over which the subscribers are spread, so that the
	// order of events can be relied on; those of the small one have a connection apart.
	Publishers int
	Payload    int           // bytes of an event's data; default 128
	Data       Data          // what it holds; default DataRandom
	Duration   time.Duration // of each phase: the small channel alone, and beside the flood; default DefaultDuration
}

const (
	phaseAlone   = "alone"
	phaseFlooded = "flooded"

	watchers, flooded, visitors = 0, 1, 2 // the groups
	smallFlow, largeFlow        = 0, 1

	minVisitors = 10
)

func (f Fairness) complete() (*Fairness, error) {
	f.Common.complete()
	setDefault(&f.Clients, 9000)
	setDefault(&f.Watchers, 10)
	setDefault(&f.Visitors, 5)
	setDefault(&f.Rate, 50)
	setDefault(&f.Pings, 20)
	setDefault(&f.Window, 64)
	setDefault(&f.Publishers, 1)
	setDefault(&f.Payload, DefaultPayload)
	setDefault(&f.Data, DataRandom)
	setDefault(&f.Duration, DefaultDuration)
	var c checks
	c.common(&f.Common)
	for _, t := range f.traffic() {
		c.traffic(&t)
	}
	c.within("clients", f.Clients, 1, MaxClients)
	c.within("watchers", f.Watchers, 1, MaxClients)
	c.within("publishers", f.Publishers, 1, min(max(f.Clients, 1), MaxChannels))
	c.notNegative("visitors", f.Visitors)
	c.notNegative("pings", f.Pings)
	c.notNegative("duration", f.Duration.Seconds())
	return &f, c.err()
}

// visitors is how many clients visit: enough for each to be there again when its
// turn comes.
func (f *Fairness) visitors() int { return max(minVisitors, int(2*f.Visitors)) }

// maxFlood is how many events the large channel gets at most.
const maxFlood = 1 << 20

// traffic is that of the small and of the large channel.
func (f *Fairness) traffic() []Traffic {
	return []Traffic{
		{Channels: 1, Payload: f.Payload, Data: f.Data, Events: ofRate(f.Rate, 2*f.Duration+maxCatchUp), Window: 1, Rate: f.Rate, Publishers: 1},
		{Channels: f.Publishers, Payload: f.Payload, Data: f.Data, Events: maxFlood, Window: f.Window, Publishers: f.Publishers},
	}
}

// RunFairness makes the run; see RunFanout for its errors.
func RunFairness(ctx context.Context, config Fairness) (*Result, error) {
	f, err := config.complete()
	if err != nil {
		return nil, err
	}
	traffic := f.traffic()
	r, err := newRun(ctx, "fairness", &f.Common, plan{
		Flows: []flowPlan{traffic[smallFlow].openFlow(), traffic[largeFlow].openFlow()},
		Groups: []groupPlan{
			{Name: "small", Clients: f.Watchers, Flow: smallFlow, Awaited: true, Apart: true},
			{Name: "large", Clients: f.Clients, Flow: largeFlow, Awaited: true, Unmeasured: true},
			{Name: "visiting", Clients: f.visitors(), Flow: smallFlow, Apart: true, Returns: true, Unmeasured: true},
		},
	}, traffic)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("large channel", fmt.Sprintf("%d subscribers, %d events in flight without a pause", f.Clients, f.Window))
	r.parameter("publishers", fmt.Sprintf("%d flood, each a large channel of its own; one publishes to the small one", f.Publishers))
	r.parameter("small channel", fmt.Sprintf("%d subscribers, %v events/s", f.Watchers, f.Rate))
	r.parameter("visitors", fmt.Sprintf("%v leave and come back per second", f.Visitors))
	r.parameter("pings", fmt.Sprintf("%v per second, by the subscribers of the small channel in turn", f.Pings))
	r.payloadParameter(&traffic[largeFlow])
	return r.finished(outcome{[]string{phaseAlone, phaseFlooded}, smallFlow}, r.fairness(f))
}

func (r *run) fairness(f *Fairness) error {
	err := inOrder(
		r.toConnect,
		r.prepare,
		r.toBegin(phaseAlone),
		r.toDo(order{What: orderChurn, Group: visitors, Rate: f.Visitors}),
		r.toDo(order{What: orderPing, Group: watchers, Rate: f.Pings}),
		r.toPublish(smallFlow),
		r.toSleep(f.Duration),
		r.toBegin(phaseFlooded),
	)
	if err != nil {
		return err
	}
	began, before := time.Now(), r.samples.tally(flooded).Delivered
	if err := inOrder(r.toPublish(largeFlow), r.toSleep(f.Duration), r.toBegin(phaseEnd)); err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	r.figure("flood_deliveries_per_second", float64(r.samples.tally(flooded).Delivered-before)/seconds)
	r.figure("flood_events_per_second", float64(r.board.schedules[largeFlow].published.Load())/seconds)
	return inOrder(
		r.toDo(order{What: orderPing, Group: watchers}),
		r.toFinish(largeFlow),
		r.toFinish(smallFlow),
		r.toDo(order{What: orderChurn, Group: visitors}),
		r.toDo(order{What: orderReturn, Group: visitors}),
		r.toAwait(watchers),
		r.conclude,
	)
}
