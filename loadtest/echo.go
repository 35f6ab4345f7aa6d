package loadtest

import (
	"fmt"
	"slices"
	"time"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"
)

// echo is what a client of the scenario echo remembers: message k is the one
// with index k of its own, and number k*clients+number of all.
type echo struct {
	dues []int64 // by index, when the message was due, time of the clock
	due  int64   // how many messages are
	sent int64   // and how many of them went out
	gone bool    // the connection ended: nothing more is sent or awaited
}

// echoing is the state of a worker's echoes.
type echoing struct {
	done     chan struct{} // closed when no echo is awaited any more; nil if none runs
	start    int64         // when the first message was due, time of the clock
	awaited  int64         // echoes that are still to come, of messages sent or to be sent
	interval float64       // between the due times of all clients' messages; 0: by window
	round    int64         // at a rate: the index of the next message
	cursor   int           // and the client whose turn it is
	progress time.Duration // the loop's time of the last message either way
}

// startEcho makes the clients send.
func (w *worker) startEcho(done chan struct{}) {
	p, h := w.swarm.plan.Echo, w.cohorts[0]
	w.echoing = echoing{done: done, start: w.swarm.clock.now(), progress: w.loop.Now()}
	if p.Rate > 0 {
		w.echoing.interval = float64(time.Second) / p.Rate
	}
	for i := range h.clients {
		c := &h.clients[i]
		if c.echo.gone = c.state != clientLive; !c.echo.gone {
			w.echoing.awaited += int64(p.Messages)
		}
	}
	for i := range h.clients {
		for range p.Window {
			if c := &h.clients[i]; p.Rate == 0 && !c.echo.gone {
				c.scheduleEcho(w.swarm.clock.now())
			}
		}
	}
	w.checkEchoed()
}

func (w *worker) checkEchoed() {
	if e := &w.echoing; e.done != nil && e.awaited <= 0 {
		close(e.done)
		e.done = nil
	}
}

// echoDue is when the next message at a rate is due; 0 if none is.
func (w *worker) echoDue() int64 {
	e := &w.echoing
	if e.done == nil || e.interval == 0 || e.round == int64(w.swarm.plan.Echo.Messages) {
		return 0
	}
	h := w.cohorts[0]
	if len(h.clients) == 0 {
		return 0
	}
	k := e.round*int64(h.plan.Clients) + int64(h.clients[e.cursor].number)
	return e.start + int64(float64(k)*e.interval)
}

// maxEchoes is how many messages a turn sends at most.
const maxEchoes = 256

// echoMore sends the messages whose time has come. busy tells that more are due.
func (w *worker) echoMore(now int64) (busy bool) {
	e := &w.echoing
	for range maxEchoes {
		due := w.echoDue()
		if due == 0 || due > now {
			return false
		}
		h := w.cohorts[0]
		if c := &h.clients[e.cursor]; !c.echo.gone {
			c.scheduleEcho(due)
		}
		if e.cursor++; e.cursor == len(h.clients) {
			e.cursor, e.round = 0, e.round+1
		}
	}
	return true
}

// giveUpEchoes ends the waiting if none has come for too long.
func (w *worker) giveUpEchoes(limit time.Duration) {
	if e := &w.echoing; e.done != nil && w.echoDue() == 0 && w.loop.Now()-e.progress > limit {
		w.cohorts[0].tally.Examples.once(kindLost, func() (where, expected, got string) {
			return "all clients", fmt.Sprintf("%d more messages to come back", e.awaited), fmt.Sprintf("none for %v", limit)
		})
		e.awaited = 0
		w.checkEchoed()
	}
}

// scheduleEcho makes the client's next message due.
func (c *client) scheduleEcho(due int64) {
	if e := c.echo; e.due < int64(len(e.dues)) {
		e.dues[e.due] = due
		e.due++
		c.sendEchoes()
	}
}

// sendEchoes sends the messages that are due, as far as the server takes them.
func (c *client) sendEchoes() {
	for c.echo.sent < c.echo.due && c.unsent.Len() <= maxUnsent && c.Open() {
		c.sendEcho()
	}
}

// requests is a pool of this package's own, because its buffers have the size of
// the run's messages.
var (
	requests    bytebufferpool.Pool
	freeRequest = requests.Put
)

// sendEcho sends the client's next message. One that the server does not take at
// once waits in the buffer that it was made in.
func (c *client) sendEcho() {
	w := c.cohort.worker
	due, size := c.echo.dues[c.echo.sent], w.swarm.plan.Echo.Payload
	w.echoing.progress = w.loop.Now()
	frame, mask := requests.Get(), ws.NewMask()
	frame.B = slices.Grow(frame.B, ws.MaxHeaderSize+size)
	frame.B = websocket.AppendMaskedHeader(frame.B, w.swarm.plan.Echo.op(), size, mask)
	start := len(frame.B)
	frame.B = appendData(frame.B, c.echoSeq(c.echo.sent), w.swarm.clock.toUnix(due), size)
	ws.Cipher(frame.B[start:], mask, 0)
	c.echo.sent++
	if err := c.unsent.Give(&c.Conn, frame, 0, freeRequest); err != nil {
		c.Close(err)
	}
}

func (c *client) echoSeq(index int64) int64 {
	return index*int64(c.cohort.plan.Clients) + int64(c.number)
}

// takeEcho verifies what came back.
func (c *client) takeEcho(message websocket.Message, came wire, now int64) {
	w, tally := c.cohort.worker, &c.cohort.tally
	w.echoing.progress = w.loop.Now()
	seq, unix, ok := parseData(message.Payload)
	index := seq / int64(c.cohort.plan.Clients)
	known := ok && c.echoSeq(index) == seq && index < c.echo.sent && w.swarm.clock.toUnix(c.echo.dues[index]) == unix
	if !known {
		if index = c.sequence.next; index >= c.echo.sent {
			c.unexpected(message.Payload)
			return
		}
		seq = c.echoSeq(index)
	}
	due := c.echo.dues[index]
	order, skipped := c.sequence.take(index)
	tally.Missing += skipped.size()
	if order == arrivalRepeated {
		tally.Duplicated++
		c.example(kindDuplicated, fmt.Sprintf("message %d once", index), "it again")
		return
	}
	if order == arrivalLate {
		tally.Missing--
		tally.Reordered++
		c.example(kindReordered, fmt.Sprintf("message %d before message %d", index, c.sequence.next-1), "it behind")
	}
	whole := known && c.isEcho(message.Payload, seq, due)
	if whole && message.Op == w.swarm.plan.Echo.op() {
		tally.deliver(c.form, came.size)
		c.cohort.times.Latency.record(now - due)
	} else {
		tally.Corrupted++
		c.exampleOfEcho(message, index, due)
	}
	w.echoing.awaited--
	if w.swarm.plan.Echo.Rate == 0 {
		c.scheduleEcho(w.swarm.clock.now())
	}
	w.checkEchoed()
}

// isEcho tells whether what came back is what was sent, or the same JSON.
func (c *client) isEcho(payload []byte, seq, due int64) bool {
	w := c.cohort.worker
	unix, size := w.swarm.clock.toUnix(due), w.swarm.plan.Echo.Payload
	if isData(payload, seq, unix, size) {
		return true
	}
	if len(payload) > maxRewritten(size) {
		return false
	}
	want := appendData(nil, seq, unix, size)
	if !sameData(payload, want) {
		return false
	}
	c.rewritten(want, payload, seq)
	return true
}

// exampleOfEcho describes a message that came back corrupted.
func (c *client) exampleOfEcho(message websocket.Message, index, due int64) {
	w := c.cohort.worker
	c.cohort.tally.Examples.once(kindCorrupted, func() (where, expected, got string) {
		where = fmt.Sprintf("%s, message %d", c.name(), index)
		if op := w.swarm.plan.Echo.op(); message.Op != op {
			return where, fmt.Sprintf("a frame with opcode %d", op), fmt.Sprintf("opcode %d", message.Op)
		}
		want := appendData(nil, c.echoSeq(index), w.swarm.clock.toUnix(due), w.swarm.plan.Echo.Payload)
		expected, got, at := difference(want, message.Payload)
		return fmt.Sprintf("%s, at byte %d", where, at), expected, got
	})
}

// abandonEcho stops waiting for a client whose connection has ended.
func (c *client) abandonEcho() {
	w := c.cohort.worker
	if w.echoing.done == nil || c.echo.gone {
		return
	}
	c.echo.gone = true
	arrived := c.sequence.next - c.sequence.missing()
	w.echoing.awaited -= int64(len(c.echo.dues)) - arrived
	w.checkEchoed()
}
