package stream

import (
	"sync"
	"sync/atomic"

	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/mem"
)

// Variant is an event's frame in another format than FormatPlain. The one who makes it
// builds it; whoever else needs it waits, and is told by mail. The event holds
// it.
type Variant struct {
	format  Format
	next    *Variant                   // of the event
	frame   []byte                     // valid once it is built; the plain one if compressing does not pay
	buffer  *bytebufferpool.ByteBuffer // of the frame, if it is its own
	alive   *atomic.Int64              // in which the buffer's size is counted
	waiters atomic.Pointer[waiter]     // built once it is
}

// waiter is an interest that waits for a variant.
type waiter struct {
	interest *Interest
	next     *waiter
}

// built takes the place of a variant's waiters: nobody waits any more.
var built = new(waiter)

var variantPool = sync.Pool{New: func() any { return new(Variant) }}

// IsBuilt tells whether the frame is there.
func (v *Variant) IsBuilt() bool { return v.waiters.Load() == built }

// Await has the interest told by mail when v is built. It returns false if it is already.
func (v *Variant) Await(in *Interest) bool {
	w := &waiter{interest: in}
	for {
		w.next = v.waiters.Load()
		if w.next == built {
			return false
		}
		if v.waiters.CompareAndSwap(w.next, w) {
			return true
		}
	}
}

// finish tells those who wait that the frame is there.
func (v *Variant) finish() {
	for w := v.waiters.Swap(built); w != nil; w = w.next {
		port := w.interest.Port
		port.Post(Mail{Interest: w.interest})
		port.Loop.Wake()
	}
}

// own makes the buffer the variant's frame and counts its size in alive.
func (v *Variant) own(b *bytebufferpool.ByteBuffer, alive *atomic.Int64) {
	v.buffer, v.frame, v.alive = b, b.B, alive
	alive.Add(int64(cap(b.B)))
}

// find returns the variant of a format in the list that begins with v, or nil.
func (v *Variant) find(f Format) *Variant {
	for v != nil && v.format != f {
		v = v.next
	}
	return v
}

// claim returns the event's variant in a format. mine tells that the
// caller is the one to build it.
func (e *Event) claim(f Format) (v *Variant, mine bool) {
	var claimed *Variant
	for {
		newest := e.variants.Load()
		if v = newest.find(f); v != nil {
			if claimed != nil {
				claimed.next = nil
				variantPool.Put(claimed)
			}
			return v, false
		}
		if claimed == nil {
			claimed = variantPool.Get().(*Variant)
			claimed.format = f
		}
		claimed.next = newest
		if e.variants.CompareAndSwap(newest, claimed) {
			return claimed, true
		}
	}
}

// FrameIn is the event's frame in a format, which was built unless it is FormatPlain.
func (e *Event) FrameIn(f Format) []byte {
	if f == FormatPlain {
		return e.Frame
	}
	return e.variants.Load().find(e.sharedFor(f)).frame
}

// sharedFor is the format that has the event's frame in f. If it is compressed, the
// plain one of its dialect was built.
func (e *Event) sharedFor(f Format) Format {
	l := &e.formats.all[f]
	if f == l.plain || f == l.widest {
		return f
	}
	return e.formats.sharedFor(f, len(websocket.Payload(e.FrameIn(l.plain))))
}

// word makes the event's frame in another dialect, not compressed, if nobody does yet.
func (e *Event) word(f Format, alive *atomic.Int64) (v *Variant, worked bool) {
	v, mine := e.claim(f)
	if !mine {
		return v, false
	}
	d := e.formats.Dialect(f)
	prefix := mem.TakeBuffer(len(e.Channel))
	prefix.B = d.AppendPrefix(prefix.B, e.Channel)
	b := mem.TakeBuffer(d.EventSize(prefix.B, &e.Event))
	b.B, _ = d.AppendEvent(b.B, prefix.B, &e.Event)
	mem.GiveBuffer(prefix)
	v.own(b, alive)
	v.finish()
	return v, true
}

// releaseVariants gives them back with the event.
func (e *Event) releaseVariants() {
	v := e.variants.Load()
	if v == nil {
		return
	}
	e.variants.Store(nil)
	for v != nil {
		next := v.next
		if v.buffer != nil {
			v.alive.Add(-int64(cap(v.buffer.B)))
			mem.GiveBuffer(v.buffer)
		}
		v.next, v.frame, v.buffer = nil, nil, nil
		v.waiters.Store(nil)
		variantPool.Put(v)
		v = next
	}
}
