package loadtest

import (
	"context"
	"fmt"
	"time"
)

// Connect is the scenario in which clients connect, subscribe, stay for a while
// and say goodbye.
type Connect struct {
	Common
	Clients  int           // 1 to MaxClients; default 1
	Channels int           // over which they are spread; default 1
	Rate     float64       // connections per second; 0: as fast as it goes
	Hold     time.Duration // how long they stay
}

const (
	phaseHold  = "hold"
	phaseLeave = "leave"
)

func (c Connect) complete() (*Connect, error) {
	c.Common.complete()
	setDefault(&c.Clients, 1)
	setDefault(&c.Channels, 1)
	var checked checks
	checked.common(&c.Common)
	checked.within("clients", c.Clients, 1, MaxClients)
	checked.within("channels", c.Channels, 1, MaxChannels)
	checked.notNegative("rate", c.Rate)
	checked.notNegative("hold", c.Hold.Seconds())
	return &c, checked.err()
}

// RunConnect makes the run; see RunFanout for its errors.
func RunConnect(ctx context.Context, config Connect) (*Result, error) {
	c, err := config.complete()
	if err != nil {
		return nil, err
	}
	r, err := newRun(ctx, "connect", &c.Common, plan{
		Flows:  []flowPlan{{Channels: channelNames(c.Channels), Payload: MinPayload}},
		Groups: []groupPlan{{Clients: c.Clients}},
	}, nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("clients", c.Clients)
	r.parameter("channels", c.Channels)
	if c.Rate > 0 {
		r.parameter("rate", fmt.Sprintf("%v connections/s", c.Rate))
	}
	r.parameter("hold", c.Hold)
	return r.finished(outcome{[]string{phaseHold}, -1}, r.connectAndLeave(c))
}

func (r *run) connectAndLeave(c *Connect) error {
	began := time.Now()
	if err := r.connectAll(c.Rate); err != nil {
		return err
	}
	r.figure("seconds_to_connect", time.Since(began).Seconds())
	return r.holdAndLeave(c.Hold)
}

func (r *run) holdAndLeave(hold time.Duration) error {
	if err := inOrder(r.toBegin(phaseHold), r.toSleep(hold)); err != nil {
		return err
	}
	r.dependent.Store(false)
	r.samples.begin(phaseLeave)
	began := time.Now()
	if err := r.do(order{What: orderLeave}); err != nil {
		return fmt.Errorf("leaving: %w", err)
	}
	r.figure("seconds_to_leave", time.Since(began).Seconds())
	return r.conclude()
}
