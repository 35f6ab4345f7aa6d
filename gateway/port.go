package gateway

import (
	"sync/atomic"

	"fleetcast/poller"
)

// mail is what other goroutines send to a shard: an event for one of its interests,
// news for an interest that a frame which it waits for is built, or a function to
// call.
type mail struct {
	event    *event
	interest *interest
	call     func()
}

// port is where a shard takes its mail.
type port struct {
	index   int // of the shard
	mailbox *poller.Mailbox[mail]
	loop    *poller.Loop
}

func newPort(index int) *port { return &port{index: index, mailbox: poller.NewMailbox[mail]()} }

// post sends mail. It does not wake the shard. Any goroutine may call it.
func (p *port) post(m mail) { p.mailbox.Post(m) }

// interest is that of one shard in a stream. It begins with the first subscriber that
// the shard has there and ends with the last one; then a new one begins. The shard
// owns it, but for subscribers.
type interest struct {
	name   string
	stream *stream
	port   *port
	owner  any // what the shard keeps for it

	// subscribers is how many the shard has, for publishers; only the shard writes it.
	subscribers atomic.Int32
}

// wakeSet gathers the shards to which a batch was posted. It belongs to one
// goroutine.
type wakeSet struct {
	ports  []*port
	listed []bool // by index
}

func newWakeSet(shards int) wakeSet {
	return wakeSet{ports: make([]*port, 0, shards), listed: make([]bool, shards)}
}

func (w *wakeSet) add(p *port) {
	if !w.listed[p.index] {
		w.listed[p.index] = true
		w.ports = append(w.ports, p)
	}
}

// wake wakes them all.
func (w *wakeSet) wake() {
	for _, p := range w.ports {
		w.listed[p.index] = false
		p.loop.Wake()
	}
	w.ports = w.ports[:0]
}
