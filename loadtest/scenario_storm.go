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
}

const (
	phaseBefore = "before"
	phaseStorm  = "storm"
	phaseAfter  = "after"

	// maxStorm is how long the fleet may take to come back, after the jitter.
	maxStorm = 2 * time.Minute

	witnesses, fleet = 0, 1 // the groups, and their flows
)

func (s Storm) complete() (*Storm, error) {
	s.Common.complete()
	s.Traffic.complete()
	setDefault(&s.Clients, 1)
	setDefault(&s.Witnesses, 1)
	setDefault(&s.Rate, 10)
	setDefault(&s.FleetRate, s.Rate)
	setDefault(&s.Calm, 3*time.Second)
	s.Channels = 1
	s.Events = s.eventsOf(s.Rate)
	var c checks
	c.common(&s.Common)
	c.traffic(&s.Traffic)
	c.within("clients", s.Clients, 1, MaxClients)
	c.within("witnesses", s.Witnesses, 1, MaxClients)
	if s.FleetRate != s.Rate {
		ofFleet := s.ofFleet()
		c.traffic(&ofFleet)
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

// ofFleet is the traffic of the fleet's channel.
func (s *Storm) ofFleet() Traffic {
	t := s.Traffic
	t.Rate, t.Events = s.FleetRate, s.eventsOf(s.FleetRate)
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
			{Name: "fleet", Clients: s.Clients, Flow: fleet, Returns: true, Unmeasured: true, Renews: s.NewTokens},
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
		r.toBegin(phaseStorm),
	)
	if err != nil {
		return err
	}
	began := time.Now()
	err = inOrder(r.toDo(order{What: orderDrop, Group: fleet}), func() error { return r.awaitReturn(s.Jitter) })
	if err != nil {
		return err
	}
	r.figure("seconds_to_full_service", time.Since(began).Seconds())
	err = inOrder(
		r.toBegin(phaseAfter),
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

// awaitReturn has the fleet come back, and does not wait for ever.
func (r *run) awaitReturn(jitter time.Duration) error {
	ctx, cancel := context.WithTimeout(r.ctx, jitter+maxStorm)
	defer cancel()
	_, err := r.crew.do(ctx, order{What: orderReturn, Group: fleet, Over: jitter, Served: true})
	if err != nil && r.ctx.Err() == nil && ctx.Err() != nil {
		r.ended = fmt.Errorf("the fleet was not back after %v", jitter+maxStorm)
		return nil
	}
	return err
}
