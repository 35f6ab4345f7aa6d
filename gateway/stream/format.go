package stream

import (
	"sync"
	"sync/atomic"

	"github.com/valyala/bytebufferpool"

	"fleetcast/gateway/mem"
)

// Format is how the frames of events are laid out for a session. Sessions of one
// format get the same bytes.
type Format uint8

const (
	FormatPlain Format = iota
	// Compressed, for windows of that many bits or more (RFC 7692, 7.1.2.1). There
	// are few, because an event is compressed once for each that has subscribers.
	formatDeflate15
	formatDeflate12
	formatDeflate9
	formatDeflate8
	FormatCount
)

// windowBits of the formats that are compressed.
var windowBits = [FormatCount]int{formatDeflate15: 15, formatDeflate12: 12, formatDeflate9: 9, formatDeflate8: 8}

// FormatOf is the format for a client that takes windows of up to bits.
func FormatOf(bits int) Format {
	f := formatDeflate15
	for windowBits[f] > bits {
		f++
	}
	return f
}

// sharedFor is the format whose bytes serve f too for a message of that size: one
// that fits in f's window makes no use of a larger one. So small events have one
// compressed format.
func (f Format) sharedFor(size int) Format {
	if size <= 1<<windowBits[f] {
		return formatDeflate15
	}
	return f
}

// Variant is an event's frame in another format than plain. The one who makes it
// builds it; whoever else needs it waits, and is told by mail. The event holds
// it.
type Variant struct {
	frame   []byte                     // valid once it is built; the plain one if compressing does not pay
	buffer  *bytebufferpool.ByteBuffer // of the frame, if it is not the plain one
	alive   *atomic.Int64              // in which the buffer's size is counted
	waiters atomic.Pointer[waiter]     // closed once it is built
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

// claim returns the event's variant in a compressed format. mine tells that the
// caller is the one to build it.
func (e *Event) claim(f Format) (v *Variant, mine bool) {
	at := &e.variants[f-formatDeflate15]
	if v = at.Load(); v != nil {
		return v, false
	}
	v = variantPool.Get().(*Variant)
	if at.CompareAndSwap(nil, v) {
		return v, true
	}
	variantPool.Put(v)
	return at.Load(), false
}

// FrameIn is the event's frame in a format, which was built unless it is plain.
func (e *Event) FrameIn(f Format) []byte {
	if f == FormatPlain {
		return e.Frame
	}
	return e.variants[f.sharedFor(len(e.payload()))-formatDeflate15].Load().frame
}

// releaseVariants gives them back with the event.
func (e *Event) releaseVariants() {
	for i := range e.variants {
		v := e.variants[i].Load()
		if v == nil {
			continue
		}
		e.variants[i].Store(nil)
		if v.buffer != nil {
			v.alive.Add(-int64(cap(v.buffer.B)))
			mem.GiveBuffer(v.buffer)
		}
		v.frame, v.buffer = nil, nil
		v.waiters.Store(nil)
		variantPool.Put(v)
	}
}
