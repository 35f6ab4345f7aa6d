package loadtest

import (
	"encoding/binary"
	"fmt"

	"github.com/gobwas/ws"
)

// pings is the pinging of a cohort's clients, each in its turn, at a rate.
type pings struct {
	interval int64 // nanoseconds; 0: none
	next     int64 // when the next ping is due, time of the clock
	turn     int   // whose turn it is
}

// pinger is what a client remembers of its pings.
type pinger struct {
	dues []int64 // when each that waits for its pong was due, the earliest first
}

// maxUnanswered is how many pings of a client wait for their pongs at most. Beyond
// it the earliest is given up.
const maxUnanswered = 1024

// startPings has clients ping, rate times per second in the whole group; 0 ends it.
func (h *cohort) startPings(rate float64) { h.pings.interval, h.pings.next = h.pace(rate) }

// pingMore sends the pings that are due.
func (h *cohort) pingMore(now int64) {
	for h.pings.interval > 0 && h.pings.next <= now {
		if c := h.nextLive(&h.pings.turn); c != nil {
			c.ping(h.pings.next)
		}
		h.pings.next += h.pings.interval
	}
}

// ping sends a ping frame (RFC 6455, 5.5.2) that says when it was due.
func (c *client) ping(due int64) {
	if c.pinger == nil {
		c.pinger = new(pinger)
	}
	tally, p := &c.cohort.tally, c.pinger
	if len(p.dues) == maxUnanswered {
		p.dues = p.dues[:copy(p.dues, p.dues[1:])]
		tally.Unanswered++
	}
	p.dues = append(p.dues, due)
	tally.Pings++
	c.sendFrame(ws.OpPing, binary.BigEndian.AppendUint64(nil, uint64(due)))
}

// takePong takes the answer to a ping, which is one to all pings before it too:
// a server may answer the latest only (RFC 6455, 5.5.3). Pongs that answer none
// are allowed and mean nothing.
func (c *client) takePong(payload []byte, now int64) {
	const dueSize = 8
	if c.pinger == nil || len(payload) != dueSize {
		return
	}
	due, dues := int64(binary.BigEndian.Uint64(payload)), c.pinger.dues
	for i := range dues {
		if dues[i] != due {
			continue
		}
		for _, answered := range dues[:i+1] {
			c.cohort.times.Pong.record(now - answered)
		}
		c.pinger.dues = dues[:copy(dues, dues[i+1:])]
		return
	}
}

// awaitsPong tells whether a ping was not yet answered.
func (c *client) awaitsPong() bool { return c.pinger != nil && len(c.pinger.dues) > 0 }

// forgetPings gives up the pings that were not answered; they count if the server
// is to blame.
func (c *client) forgetPings(blame bool) {
	if !c.awaitsPong() {
		return
	}
	if count := len(c.pinger.dues); blame {
		c.cohort.tally.Unanswered += int64(count)
		c.example(kindUnanswered, fmt.Sprintf("%d pongs", count), "none of them")
	}
	c.pinger.dues = c.pinger.dues[:0]
}
