package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"fleetcast/codec/jsonscan"
)

// A server that does not answer subscriptions gives no sign of when events reach a
// client. So such a run begins with probes: events that are published again and
// again, on every channel, until each client has seen one. They are not counted.

const (
	// firstProbePause and maxProbePause are the times between two probes, which
	// double.
	firstProbePause = 10 * time.Millisecond
	maxProbePause   = time.Second
	// proofTimeout is how long probes are published at most.
	proofTimeout = 10 * time.Second
)

const probeKey = "probe"

// appendProbe appends the data of a probe on a channel.
func appendProbe(dst []byte, channel string) []byte {
	dst = append(dst, `{"`+probeKey+`":`...)
	dst = jsonscan.AppendString(dst, channel)
	return append(dst, '}')
}

// isProbe tells whether data is that of a probe on the channel, in whatever spelling.
func isProbe(data []byte, channel string) bool {
	if !bytes.Contains(data, []byte(probeKey)) {
		return false
	}
	var m jsonscan.Member
	object, found := jsonscan.NewObject(data), false
	for object.Next(&m) {
		text, err := jsonscan.Unquote(m.Value)
		if found || string(m.Key) != probeKey || err != nil || string(text) != channel {
			return false
		}
		found = true
	}
	return found && object.Err() == nil
}

// probe publishes a probe on every channel of the flow.
func (p *publisher) probe() {
	for channel, name := range p.plan.Channels {
		p.data = appendProbe(p.data[:0], name)
		p.doors.of(int32(channel)).publish(noEvent, name, "", p.data)
	}
	p.doors.flush()
}

// takeProbe takes an event if it is a probe.
func (c *client) takeProbe(data []byte) bool {
	if c.cohort.worker.codec.Confirms() || !isProbe(data, c.cohort.flow.plan.Channels[c.channel]) {
		return false
	}
	c.proved = true
	return true
}

// unproved counts the clients that are live and have not seen a probe.
func (h *cohort) unproved() (count int) {
	for i := range h.clients {
		if c := &h.clients[i]; c.state == clientLive && !c.proved {
			count++
		}
	}
	return count
}

// prove waits until events reach every client, if the server does not say so. It gives
// up after a while. Clients that no event has reached by then are a finding of the run.
func (r *run) prove() error {
	if r.profile.Confirms() {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, proofTimeout)
	defer cancel()
	for pause := firstProbePause; ; pause = min(2*pause, maxProbePause) {
		for _, p := range r.publishing.publishers {
			r.publishing.call(p.probe)
		}
		for until := time.Now().Add(pause); ; {
			a, err := r.crew.do(r.ctx, order{What: orderUnproved})
			if err != nil {
				return err
			}
			if a.Behind == 0 {
				return nil
			}
			if ctx.Err() != nil {
				r.warnings = append(r.warnings, fmt.Sprintf("%d clients got none of the probes that were published for %v: events may not reach them", a.Behind, proofTimeout))
				return nil
			}
			if time.Now().After(until) {
				break
			}
			if err := r.sleep(pollInterval); err != nil {
				return err
			}
		}
	}
}
