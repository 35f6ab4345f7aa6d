package stream

import (
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
)

const (
	// compressInTurn is the largest frame in bytes that a shard compresses in its
	// own turn, some 0.1 ms of work at usual levels. Larger ones are left to a
	// goroutine, so that nobody waits for them but their channel.
	compressInTurn = 8 << 10
	// slowLevel is the first level at which compressing takes several times as
	// long, and so the part of compressInTurn that slowShare says.
	slowLevel = 7
	slowShare = 8
)

// Compression is how events are compressed under one configuration. Any
// goroutine may use it.
type Compression struct {
	level  int
	from   int // bytes of a message; smaller ones are not compressed
	InTurn int // bytes of the largest frame that a shard compresses itself
	pools  [FormatCount]sync.Pool
	work   *CompressionWork
}

// CompressionWork is what the whole process has compressed and compresses.
type CompressionWork struct {
	events    atomic.Uint64 // compressed, once for each format
	bytesIn   atomic.Uint64
	bytesOut  atomic.Uint64
	Alive     atomic.Int64   // bytes that compressed frames take now
	one       sync.Mutex     // held by the goroutine that compresses a large event
	goroutine sync.WaitGroup // those that compress, or wait for their turn
	stopped   atomic.Bool    // no loop runs any more: nobody waits for what is left
}

// NewCompression is for messages of at least from bytes.
func NewCompression(level, from int, work *CompressionWork) *Compression {
	k := &Compression{level: level, from: from, InTurn: compressInTurn, work: work}
	if k.level >= slowLevel {
		k.InTurn /= slowShare
	}
	return k
}

// Build makes the event's frame in a compressed format if nobody does yet: at
// once, which worked tells, or, if it is large, in a goroutine.
func (k *Compression) Build(e *Event, f Format) (v *Variant, worked bool) {
	f = f.sharedFor(len(e.payload()))
	v, mine := e.claim(f)
	switch {
	case !mine:
		return v, false
	case len(e.Frame) <= k.InTurn || len(e.payload()) < k.from:
		k.compress(e, v, f)
		return v, true
	}
	k.compressLater(e, v, f)
	return v, false
}

// compressLater builds the variant in a goroutine.
func (k *Compression) compressLater(e *Event, v *Variant, f Format) {
	e.Hold()
	k.work.goroutine.Go(func() {
		k.work.one.Lock() // one at a time leaves processors to the loops
		if !k.work.stopped.Load() {
			k.compress(e, v, f)
		}
		k.work.one.Unlock()
		e.Release()
	})
}

// compress builds the variant. It is the plain frame if that is as small.
func (k *Compression) compress(e *Event, v *Variant, f Format) {
	v.frame = e.Frame
	if message := e.payload(); len(message) >= k.from {
		deflater, ok := k.pools[f].Get().(*deflate.Deflater)
		if !ok {
			deflater = deflate.NewDeflater(k.level, windowBits[f])
		}
		scratch := mem.TakeBuffer(len(e.Frame) + len(e.Frame)/16 + 64)
		scratch.B = deflater.Append(scratch.B, message)
		k.pools[f].Put(deflater)
		k.work.events.Add(1)
		k.work.bytesIn.Add(uint64(len(message)))
		if size := websocket.HeaderSize(len(scratch.B)) + len(scratch.B); size < len(e.Frame) {
			v.buffer = mem.TakeBuffer(size)
			v.buffer.B = websocket.AppendCompressedFrame(v.buffer.B, ws.OpText, scratch.B)
			v.frame, v.alive = v.buffer.B, &k.work.Alive
			v.alive.Add(int64(cap(v.buffer.B)))
		}
		k.work.bytesOut.Add(uint64(len(v.frame)))
		mem.GiveBuffer(scratch)
	}
	v.finish()
}

// End waits for the goroutines. The loops have ended.
func (w *CompressionWork) End() {
	w.stopped.Store(true)
	w.goroutine.Wait()
}

// Stats is what was compressed so far.
func (w *CompressionWork) Stats() stats.Compression {
	return stats.Compression{Events: w.events.Load(), BytesIn: w.bytesIn.Load(), BytesOut: w.bytesOut.Load()}
}
