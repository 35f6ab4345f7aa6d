package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Storm is the scenario in which a whole fleet is dropped at once and comes
// back, while witnesses, who stay, measure what that does to running events. The
// fleet has a channel and the witnesses have one, with the same traffic but for the
// rate; so the place of a witness among the subscribers does not depend on the fleet.
// The witnesses have a loop of the harness to themselves.
type Storm struct {
	Common
	Traffic           // Rate, of the witnesses' channel, and Payload
	FleetRate float64 // events per second on the fleet's channel; default Rate
	Clients   int     // the fleet, 1 to MaxClients; default 1
	Witnesses int     // default 1
	// Jitter is the time over which the fleet comes back; 0: all at once. Those whom
	// the server turns away come back when it says.
	Jitter time.Duration
	Calm   time.Duration // how long events flow before the storm and after it; default 3 s
	// NewTokens has each client of the fleet come back with a second token (Common.Token),
	// which the server does not know from the first connect. It shows that one until it is
	// in. Both are made before the run.
	NewTokens bool
	// Missed is how many events are published to each of the fleet's channels while the fleet is
	// away. Then these channels get no others until all are back, unless FleetRate is given.
	Missed int
	// Recover has the clients of the fleet come back with the position that they have, so that the
	// server sends them what they have missed; Missed is 100 by default then.
	Recover       bool
	FleetChannels int // of the fleet, 1 to MaxChannels; default 1

	halts bool // the fleet's channels get no other events meanwhile
}

const (
	phaseBefore = "before"
	phaseAway   = "away" // the fleet is, if events are published meanwhile
	phaseStorm  = "storm"
	phaseAfter  = "after"

	// maxStorm is how long the fleet may take to come back, after the jitter.
	maxStorm = 2 * time.Minute

	// defaultMissed is how many events clients miss that recover: as many as a gateway keeps.
	defaultMissed = 100

	witnesses, fleet = 0, 1 // the groups, and their flows
)

func (s Storm) complete() (*Storm, error) {
	s.Common.complete()
	s.Traffic.complete()
	setDefault(&s.Clients, 1)
	setDefault(&s.Witnesses, 1)
	setDefault(&s.Rate, 10)
	if s.Recover {
		setDefault(&s.Missed, defaultMissed)
	}
	s.halts = s.Missed > 0 && s.FleetRate == 0
	setDefault(&s.FleetRate, s.Rate)
	setDefault(&s.Calm, 3*time.Second)
	setDefault(&s.FleetChannels, 1)
	s.Channels = 1
	s.Events = s.eventsOf(s.Rate)
	var c checks
	c.common(&s.Common)
	c.traffic(&s.Traffic)
	c.within("clients", s.Clients, 1, MaxClients)
	c.within("witnesses", s.Witnesses, 1, MaxClients)
	c.within("missed", s.Missed, 0, MaxEvents)
	if ofFleet := s.ofFleet(); ofFleet != s.Traffic {
		c.traffic(&ofFleet)
	}
	if s.FleetChannels > s.Clients {
		c = append(c, fmt.Errorf("%d channels need as many clients, not %d", s.FleetChannels, s.Clients))
	}
	c.notNegative("jitter", s.Jitter.Seconds())
	c.notNegative("calm", s.Calm.Seconds())
	c.newTokens(&s)
	return &s, c.err()
}

func (c *checks) newTokens(s *Storm) {
	switch {
	case !s.NewTokens:
	case s.Token == nil || s.OneToken:
		*c = append(*c, errors.New("new tokens are for clients with tokens of their own"))
	case s.ResumeTickets:
		*c = append(*c, errors.New("clients come back with new tokens or with tickets, not with both"))
	}
}

// eventsOf is the most events that a rate makes in the run.
func (s *Storm) eventsOf(rate float64) int { return ofRate(rate, 2*s.Calm+s.Jitter+maxStorm) }

// missed is how many events are published while the fleet is away.
func (s *Storm) missed() int { return min(s.Missed, MaxEvents) * s.FleetChannels }

// ofFleet is the traffic of the fleet's channels.
func (s *Storm) ofFleet() Traffic {
	t := s.Traffic
	t.Channels, t.Rate = s.FleetChannels, s.FleetRate
	t.Events = min(s.eventsOf(s.FleetRate), MaxEvents+1) + s.missed()
	return t
}

// RunStorm makes the run; see RunFanout for its errors.
func RunStorm(ctx context.Context, config Storm) (*Result, error) {
	s, err := config.complete()
	if err != nil {
		return nil, err
	}
	ofFleet := s.ofFleet()
	r, err := newRun(ctx, "storm", &s.Common, plan{
		Flows: []flowPlan{s.openFlow(), ofFleet.openFlow()},
		Groups: []groupPlan{
			{Name: "witness", Clients: s.Witnesses, Awaited: true, Apart: true},
			{Name: "fleet", Clients: s.Clients, Flow: fleet, Returns: true, Unmeasured: true, Renews: s.NewTokens, Recovers: s.Recover},
		},
	}, []Traffic{s.Traffic, ofFleet})
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("fleet", s.Clients)
	r.parameter("witnesses", s.Witnesses)
	r.parameter("jitter", s.Jitter)
	r.parameter("rate", fmt.Sprintf("%v events/s on the witnesses' channel, %v on the fleet's", s.Rate, s.FleetRate))
	if s.Missed > 0 {
		r.parameter("missed", fmt.Sprintf("%d events on each of %d channels of the fleet", s.Missed, s.FleetChannels))
	}
	r.payloadParameter(&s.Traffic)
	return r.finished(outcome{[]string{phaseBefore, phaseAfter, phaseStorm}, 0}, r.storm(s))
}

func (r *run) storm(s *Storm) error {
	err := inOrder(
		r.toConnect,
		r.prepare,
		r.toBegin(phaseBefore),
		r.toPublish(witnesses),
		r.toPublish(fleet),
		r.toSleep(s.Calm),
		func() error { return r.dropAndReturn(s) },
		func() error { r.publishing.call(r.publishing.publishers[fleet].resume); return nil },
		r.toSleep(s.Calm),
		r.toFinish(witnesses),
		r.toFinish(fleet),
		r.toAwait(fleet),
		r.conclude,
	)
	if err != nil {
		return err
	}
	back := r.samples.live(fleet)
	r.figure("back", float64(back))
	if back < s.Clients {
		r.ended = errors.Join(r.ended, fmt.Errorf("%d clients of the fleet did not come back", s.Clients-back))
	}
	return nil
}

// dropAndReturn is the storm itself. What follows is the phase after it.
func (r *run) dropAndReturn(s *Storm) error {
	if s.Missed > 0 {
		if err := r.missWhileAway(s); err != nil {
			return err
		}
	}
	r.samples.begin(phaseStorm)
	clock := clockAt(r.plan.Base)
	began := clock.now()
	if s.Missed == 0 {
		if err := r.do(order{What: orderDrop, Group: fleet}); err != nil {
			return err
		}
	}
	if err := r.awaitReturn(s); err != nil {
		return err
	}
	whole := int64(0)
	if s.Recover {
		var err error
		if whole, err = r.awaitWhole(fleet, maxStorm); err != nil {
			return err
		}
	}
	r.figure("seconds_to_full_service", time.Duration(clock.now()-began).Seconds())
	r.samples.begin(phaseAfter)
	if seconds := time.Duration(whole - began).Seconds(); seconds > 0 {
		r.figure("seconds_to_whole", seconds)
		r.figure("recoveries_per_second", float64(r.samples.tally(fleet).Whole)/seconds)
	}
	return nil
}

// missWhileAway drops the fleet and has events published that it misses.
func (r *run) missWhileAway(s *Storm) error {
	r.samples.begin(phaseAway)
	if s.halts {
		r.publishing.call(r.publishing.publishers[fleet].halt)
		if err := r.awaitAll(fleet, maxCatchUp); err != nil { // what is under way is not missed
			return err
		}
	}
	return inOrder(
		r.toDo(order{What: orderDrop, Group: fleet}),
		func() error { return r.publishNow(fleet, s.missed()) },
		r.toSleep(r.config.Settle), // the server may still be busy with those who left
	)
}

// awaitReturn has the fleet come back, and does not wait for ever. A client is back when it has got
// an event, or is subscribed if there are none or those it has missed are awaited next.
func (r *run) awaitReturn(s *Storm) error {
	limit := s.Jitter + maxStorm
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	_, err := r.crew.do(ctx, order{What: orderReturn, Group: fleet, Over: s.Jitter, Served: !s.Recover && !s.halts})
	if err != nil && r.ctx.Err() == nil && ctx.Err() != nil {
		r.ended = fmt.Errorf("the fleet was not back after %v", limit)
		return nil
	}
	return err
}
