package stream

import (
	"sync/atomic"

	"fleetcast/poller"
)

// Mail is what other goroutines send to a shard: an event for one of its interests, the
// news that a frame is built for which an interest waits, or a function to call.
type Mail struct {
	Event    *Event
	Interest *Interest
	Call     func()
}

// Port is where a shard takes its mail.
type Port struct {
	Index   int // of the shard
	Mailbox *poller.Mailbox[Mail]
	Loop    *poller.Loop
}

// NewPort is for the shard of that index. Its loop is still to be set.
func NewPort(index int) *Port { return &Port{Index: index, Mailbox: poller.NewMailbox[Mail]()} }

// Post sends mail. It does not wake the shard. Any goroutine may call it.
func (p *Port) Post(m Mail) { p.Mailbox.Post(m) }

// Interest is the interest of one shard in a stream. It begins with the shard's first
// subscriber there and ends with the last one. Then a new one begins. The shard owns
// it, except Subscribers, which any goroutine may read.
type Interest struct {
	Name   string
	Stream *Stream
	Port   *Port
	Owner  any // what the shard keeps for it

	// Subscribers is how many the shard has, for publishers; only the shard writes it.
	Subscribers atomic.Int32
}

// WakeSet gathers the shards to which a batch was posted. It belongs to one
// goroutine.
type WakeSet struct {
	ports  []*Port
	listed []bool // by index
}

// NewWakeSet is for so many shards.
func NewWakeSet(shards int) WakeSet {
	return WakeSet{ports: make([]*Port, 0, shards), listed: make([]bool, shards)}
}

func (w *WakeSet) add(p *Port) {
	if !w.listed[p.Index] {
		w.listed[p.Index] = true
		w.ports = append(w.ports, p)
	}
}

// Wake wakes them all.
func (w *WakeSet) Wake() {
	for _, p := range w.ports {
		w.listed[p.Index] = false
		p.Loop.Wake()
	}
	w.ports = w.ports[:0]
}
