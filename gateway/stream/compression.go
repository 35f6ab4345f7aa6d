package stream

import (
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
)

const (
	// compressInTurn is the largest frame in bytes that a shard compresses in its own
	// turn, some 0.1 ms of work at usual levels. Larger ones are left to a goroutine,
	// so that only their channel waits for them.
	compressInTurn = 8 << 10
	// slowLevel is the first level at which compressing takes several times as long.
	// From there on compressInTurn is divided by slowShare.
	slowLevel = 7
	slowShare = 8
)

// Compression is how events are compressed under one configuration. Any
// goroutine may use it.
type Compression struct {
	level  int
	from   int                                  // bytes of a message; smaller ones are not compressed
	InTurn int                                  // bytes of the largest frame that a shard compresses itself
	pools  [deflate.MaxWindowBits + 1]sync.Pool // by window
	work   *CompressionWork
}

// CompressionWork is what the whole process has compressed and compresses.
type CompressionWork struct {
	events    atomic.Uint64 // compressed, once for each format
	bytesIn   atomic.Uint64
	bytesOut  atomic.Uint64
	Alive     atomic.Int64   // bytes that frames in other formats than FormatPlain take now
	one       sync.Mutex     // held by the goroutine that compresses a large event
	goroutine sync.WaitGroup // those that compress, or wait for their turn
	stopped   atomic.Bool    // no loop runs any more, so what is left is not needed
}

// NewCompression is for messages of at least from bytes.
func NewCompression(level, from int, work *CompressionWork) *Compression {
	k := &Compression{level: level, from: from, InTurn: compressInTurn, work: work}
	if k.level >= slowLevel {
		k.InTurn /= slowShare
	}
	return k
}

// Build makes the event's frame in a format other than FormatPlain, unless that is made
// already. It makes the frame at once, and then worked is true. A goroutine makes a
// large compressed frame. If v is not built, the caller must wait for it and then call
// Build again.
func (k *Compression) Build(e *Event, f Format) (v *Variant, worked bool) {
	plain := e.formats.Plain(f)
	if plain != FormatPlain {
		if v, worked = e.word(plain, &k.work.Alive); f == plain || !v.IsBuilt() {
			return v, worked
		}
	}
	frame := e.FrameIn(plain)
	v, mine := e.claim(e.sharedFor(f))
	switch {
	case !mine:
		return v, worked
	case len(frame) <= k.InTurn || len(websocket.Payload(frame)) < k.from:
		k.compress(e, v, frame)
		return v, true
	}
	k.compressLater(e, v, frame)
	return v, worked
}

// compressLater builds the variant in a goroutine.
func (k *Compression) compressLater(e *Event, v *Variant, plain []byte) {
	e.Hold()
	k.work.goroutine.Go(func() {
		k.work.one.Lock() // one at a time leaves processors to the loops
		if !k.work.stopped.Load() {
			k.compress(e, v, plain)
		}
		k.work.one.Unlock()
		e.Release()
	})
}

// compress builds the variant of the frame plain. It is that frame if it is as small.
func (k *Compression) compress(e *Event, v *Variant, plain []byte) {
	v.frame = plain
	if smaller := k.deflate(plain, e.formats.all[v.format].window); smaller != nil {
		b := mem.TakeBuffer(websocket.HeaderSize(len(smaller.B)) + len(smaller.B))
		b.B = websocket.AppendCompressedFrame(b.B, ws.OpCode(plain[0]&0xf), smaller.B)
		v.own(b, &k.work.Alive)
		mem.GiveBuffer(smaller)
	}
	v.finish()
}

// deflate is the message of a frame, compressed for a window, or nil if the frame is small or
// would not become smaller. The caller gives the buffer back.
func (k *Compression) deflate(frame []byte, window uint8) *bytebufferpool.ByteBuffer {
	message := websocket.Payload(frame)
	if len(message) < k.from {
		return nil
	}
	deflater, ok := k.pools[window].Get().(*deflate.Deflater)
	if !ok {
		deflater = deflate.NewDeflater(k.level, int(window))
	}
	out := mem.TakeBuffer(len(frame) + len(frame)/16 + 64)
	out.B = deflater.Append(out.B, message)
	k.pools[window].Put(deflater)
	k.work.events.Add(1)
	k.work.bytesIn.Add(uint64(len(message)))
	size := websocket.HeaderSize(len(out.B)) + len(out.B)
	k.work.bytesOut.Add(uint64(min(size, len(frame))))
	if size >= len(frame) {
		mem.GiveBuffer(out)
		return nil
	}
	return out
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
