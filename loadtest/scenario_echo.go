package loadtest

import (
	"context"
	"fmt"
	"time"
)

// Echo is the scenario in which clients send messages that the server sends
// back: round trips to any echo server.
type Echo struct {
	Common
	Clients  int           // 1 to MaxClients; default 1
	Messages int           // of each client, 1 to MaxEvents in all; default 100; with Rate it follows from Duration
	Window   int           // of each client's messages, in flight at most; default 1
	Payload  int           // bytes of a message, MinPayload to MaxEcho; default 128
	Binary   bool          // messages are binary, not text
	Rate     float64       // messages per second of all clients, open loop; 0: by Window
	Duration time.Duration // with Rate; default DefaultDuration; long enough for a message of each client
}

func (e Echo) complete() (*Echo, error) {
	e.Common.complete()
	setDefault(&e.Clients, 1)
	setDefault(&e.Window, 1)
	setDefault(&e.Payload, DefaultPayload)
	if e.Rate > 0 {
		setDefault(&e.Duration, DefaultDuration)
		e.Messages = ofRate(e.Rate/float64(max(e.Clients, 1)), e.Duration)
	}
	setDefault(&e.Messages, 100)
	var c checks
	c.common(&e.Common)
	c.within("clients", e.Clients, 1, MaxClients)
	c.within("messages of all clients", e.Messages*e.Clients, 1, MaxEvents)
	c.within("window", e.Window, 1, MaxWindow)
	c.within("payload", e.Payload, MinPayload, MaxEcho)
	c.notNegative("rate", e.Rate)
	c.notNegative("duration", e.Duration.Seconds())
	return &e, c.err()
}

// RunEcho makes the run; see RunFanout for its errors. Of the profile only what
// concerns the handshake is used.
func RunEcho(ctx context.Context, config Echo) (*Result, error) {
	e, err := config.complete()
	if err != nil {
		return nil, err
	}
	r, err := newRun(ctx, "echo", &e.Common, plan{
		Groups: []groupPlan{{Clients: e.Clients}},
		Echo:   &echoPlan{Messages: e.Messages, Window: e.Window, Rate: e.Rate, Payload: e.Payload, Binary: e.Binary},
	}, nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("clients", e.Clients)
	kind := "text"
	if e.Binary {
		kind = "binary"
	}
	r.parameter("payload", fmt.Sprintf("%d bytes, %s", e.Payload, kind))
	r.parameter("messages", fmt.Sprintf("%d of each client", e.Messages))
	if e.Rate > 0 {
		r.parameter("rate", fmt.Sprintf("%v messages/s of all clients", e.Rate))
	} else {
		r.parameter("window", fmt.Sprintf("%d of each client in flight", e.Window))
	}
	seconds, err := r.echo()
	result, err := r.finished(outcome{[]string{phaseEvents}, -1}, err)
	if err != nil {
		return nil, err
	}
	result.Events = result.Delivered + result.Lost + result.Corrupted + result.InFlight
	result.spread(seconds)
	return result, nil
}

// echo connects the clients and has them send. It returns how long they did.
func (r *run) echo() (seconds float64, err error) {
	if err := r.connectAll(0); err != nil {
		return 0, err
	}
	r.samples.begin(phaseEvents)
	began := time.Now()
	err = r.do(order{What: orderEcho})
	seconds = time.Since(began).Seconds()
	if err != nil {
		return seconds, fmt.Errorf("echoing: %w", err)
	}
	return seconds, r.conclude()
}
