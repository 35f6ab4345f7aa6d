package websocket

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/valyala/bytebufferpool"
)

// payloads is a pool of this package's own, so that its buffers have the sizes of
// half-received messages. Buffers larger than maxPooledPayload do not go into it.
// Otherwise the buffer of one 16 MiB message could hold the few bytes of a slow client
// for hours.
var payloads bytebufferpool.Pool

const maxPooledPayload = 256 << 10

// largePayloads are pools of larger buffers, by capacity: twice, four times ...
// maxPooledPayload, up to 16 MiB. A buffer is taken from them only when a quarter of
// its capacity has arrived for a message. Buffers that are not used for two garbage
// collections are freed.
var largePayloads [6]sync.Pool

// largePool returns the pool of buffers of a capacity, nil if they are not pooled.
func largePool(capacity int) *sync.Pool {
	class := bits.Len(uint(capacity/maxPooledPayload)) - 2
	if class < 0 || class >= len(largePayloads) || capacity != maxPooledPayload<<(class+1) {
		return nil
	}
	return &largePayloads[class]
}

// giveBack gives a buffer to the pool that its capacity belongs to.
func giveBack(b *bytebufferpool.ByteBuffer) {
	if cap(b.B) <= maxPooledPayload {
		payloads.Put(b)
	} else if pool := largePool(cap(b.B)); pool != nil {
		b.Reset()
		pool.Put(b)
	}
}

// roomFor returns b, or a larger buffer with b's bytes, with room for n bytes more.
// After these, more bytes are announced. Bytes that a peer announces and does not send
// cost nothing: a buffer has less than four times the room of the n bytes and those
// before them. While more is announced it grows fourfold, so that only a third of a
// large message is copied again.
//
// Capacities are powers of two, because the pools decide by these classes what to keep.
func roomFor(b *bytebufferpool.ByteBuffer, n int, more int64) *bytebufferpool.ByteBuffer {
	const smallest = 64
	if b == nil {
		b = payloads.Get()
	}
	need := len(b.B) + n
	if need <= cap(b.B) {
		return b
	}
	size := 1 << bits.Len(uint(max(need, smallest)-1)) // the least power of two that is enough
	if int64(need)+more > int64(size) {
		size *= 2
	}
	if size <= maxPooledPayload {
		b.B = append(make([]byte, 0, size), b.B...)
		return b
	}
	grown := large(size)
	grown.B = append(grown.B, b.B...)
	giveBack(b)
	return grown
}

// large returns an empty buffer of a capacity above maxPooledPayload.
func large(capacity int) *bytebufferpool.ByteBuffer {
	if pool := largePool(capacity); pool != nil {
		if b, ok := pool.Get().(*bytebufferpool.ByteBuffer); ok {
			return b
		}
	}
	return &bytebufferpool.ByteBuffer{B: make([]byte, 0, capacity)}
}

// TakePayload hands the buffer that holds the payload of msg, which Next has
// just returned, over to the caller, who gives it back with [FreePayload]. It is
// nil if there is none: the payload then lies in the bytes that Next was given.
func (r *Reader) TakePayload(msg Message) *bytebufferpool.ByteBuffer {
	p := r.partial
	if p == nil || p.state != delivered || p.message == nil || len(msg.Payload) == 0 ||
		unsafe.SliceData(msg.Payload) != unsafe.SliceData(p.message.B) {
		return nil
	}
	b := p.message
	p.message = nil
	return b
}

// FreePayload gives back what TakePayload handed over.
func FreePayload(b *bytebufferpool.ByteBuffer) { giveBack(b) }
