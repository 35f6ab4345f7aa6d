package mem

import (
	"math/bits"

	"github.com/valyala/bytebufferpool"
)

// Buffers are pooled by size class, because a pool of all sizes would put small
// frames, which may wait in backlogs for long, into buffers that large ones have
// left: memory would be bounded by count and not by what limits are given in.
const (
	smallestClass = 6  // buffers of up to 64 bytes, as bytebufferpool's own smallest
	largestClass  = 17 // of up to 128 KiB; larger ones are not pooled
)

var bufferPools [largestClass - smallestClass + 1]bytebufferpool.Pool

// TakeBuffer returns an empty buffer with room for n bytes.
func TakeBuffer(n int) *bytebufferpool.ByteBuffer {
	class := max(bits.Len(uint(max(n, 1)-1)), smallestClass)
	if class > largestClass {
		return &bytebufferpool.ByteBuffer{B: make([]byte, 0, n)}
	}
	b := bufferPools[class-smallestClass].Get()
	if cap(b.B) < n {
		b.B = make([]byte, 0, 1<<class)
	}
	return b
}

// GiveBuffer puts a buffer into the pool of the size that it has.
func GiveBuffer(b *bytebufferpool.ByteBuffer) {
	class := bits.Len(uint(cap(b.B))) - 1
	if class < smallestClass || class > largestClass {
		return
	}
	bufferPools[class-smallestClass].Put(b)
}

// AppendBuffer appends p to b, which may be nil, and returns it or the larger
// one that took its place.
func AppendBuffer(b *bytebufferpool.ByteBuffer, p []byte) *bytebufferpool.ByteBuffer {
	if b == nil {
		b = TakeBuffer(len(p))
	} else if need := len(b.B) + len(p); need > cap(b.B) {
		larger := TakeBuffer(max(need, 2*cap(b.B)))
		larger.B = append(larger.B, b.B...)
		GiveBuffer(b)
		b = larger
	}
	b.B = append(b.B, p...)
	return b
}
