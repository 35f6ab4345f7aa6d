package loadtest_test

import (
	"net"
	"slices"
	"sync"

	"fleetcast/codec/command"
)

// policy is what a server does with the events of a subscriber that lags.
type policy struct {
	limit     int // events that wait for a subscriber at most; beyond it something goes
	conflates conflation
	silent    bool // nobody is told of what went
}

type conflation uint8

const (
	dropsOldest conflation = iota
	conflatesKeys
	conflatesChannel // whatever the keys
)

// backlog is what waits for one subscriber. A goroutine of its own writes it.
type backlog struct {
	*policy
	sub *subscriber

	mu      sync.Mutex
	changed *sync.Cond
	waiting []waitingEvent
	next    uint64 // the offset that is to be written or told of next
	closed  bool
}

type waitingEvent struct {
	offset uint64
	key    string
	frames []byte
}

// smallBuffer is what the kernel keeps of what is sent, in bytes; what it keeps on
// the other side is the client's affair.
const smallBuffer = 64 << 10

func newBacklog(p *policy, sub *subscriber, next uint64) *backlog {
	sub.conn.(*net.TCPConn).SetWriteBuffer(smallBuffer)
	b := &backlog{policy: p, sub: sub, next: next}
	b.changed = sync.NewCond(&b.mu)
	go b.write()
	return b
}

// add puts an event into the queue, out of which others may have to go.
func (b *backlog) add(e waitingEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conflates == conflatesChannel {
		e.key = ""
	}
	b.waiting = append(b.waiting, e)
	switch {
	case len(b.waiting) <= b.limit:
	case b.conflates == dropsOldest:
		b.waiting = b.waiting[1:]
	default:
		latest := make(map[string]uint64)
		for _, e := range b.waiting {
			latest[e.key] = e.offset
		}
		b.waiting = slices.DeleteFunc(b.waiting, func(e waitingEvent) bool { return latest[e.key] != e.offset })
	}
	b.changed.Signal()
}

func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.changed.Signal()
}

// write writes what waits, and ahead of each event what went before it.
func (b *backlog) write() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for len(b.waiting) == 0 && !b.closed {
			b.changed.Wait()
		}
		if b.closed {
			return
		}
		e := b.waiting[0]
		b.waiting = b.waiting[1:]
		out := e.frames
		if e.offset > b.next && !b.silent {
			out = append(text(command.AppendGap(nil, b.sub.channel, b.next, e.offset-1)), out...)
		}
		b.next = e.offset + 1
		b.mu.Unlock()
		_, err := b.sub.conn.Write(out)
		b.mu.Lock()
		if err != nil {
			return
		}
	}
}
