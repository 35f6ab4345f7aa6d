package deflate

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
)

// Faults of a compressed message.
var (
	// ErrTooLong is a message that is longer than the limit once inflated. It is
	// found while inflating, when the limit is passed.
	ErrTooLong = errors.New("deflate: message is longer than its limit")
	// ErrCorrupt is a message that is not what a compressor writes: malformed,
	// cut off, or followed by something else.
	ErrCorrupt = errors.New("deflate: compressed message is corrupt")
)

// What is put behind a message: what its sender left out, and a last block, so
// that the decompressor comes to an end there and nowhere else.
const (
	lastBlock = "\x01\x00\x00\xff\xff"
	ending    = flushed + lastBlock
	// otherEnding completes the sender's empty block to one of a single byte,
	// which is no block of its own.
	otherEnding = "\x01\x00\xfe\xff" + otherByte + lastBlock
	otherByte   = "\x07"
)

// Room is how many bytes of capacity behind a message save [Inflater.Append]
// from copying it.
const Room = len(otherEnding)

const (
	// maxStreams is how many streams of blocks a message may have, one behind the
	// end of the other (RFC 7692, 7.2.3.4). Each is two bytes at least and costs a
	// copy of the window.
	maxStreams = 16
	// keptScratch is the largest buffer in bytes that an Inflater keeps.
	keptScratch = 64 << 10
	// leastRoom is how much room there is for a message at first, in bytes.
	leastRoom = 512
)

// Inflater inflates messages. It keeps some 45 kB of tables and window.
type Inflater struct {
	decompressor io.Reader // and flate.Resetter
	source       bytes.Reader
	scratch      []byte
	before       []byte // what a stream within a message may refer to, joined
}

// NewInflater makes an Inflater.
func NewInflater() *Inflater {
	return &Inflater{decompressor: flate.NewReader(bytes.NewReader(nil))}
}

// Append appends the message of a compressed payload, up to limit bytes. window is the
// sender's context, nil without one. The caller adds the message to it. Memory grows
// with what has been inflated, in powers of two. Append may write behind payload,
// within its capacity.
//
// The error is ErrTooLong or ErrCorrupt. The appended bytes are useless then.
func (f *Inflater) Append(dst, payload []byte, window *Window, limit int) ([]byte, error) {
	defer f.source.Reset(nil)
	start := len(dst)
	dst, err := f.inflate(dst, f.terminated(payload, ending), window, limit)
	if err == nil && bytes.HasSuffix(dst[start:], []byte(flushed)) && !f.complete(dst[start:], payload, window) {
		return dst, ErrCorrupt
	}
	return dst, err
}

// complete tells whether message ends in what would be put behind its payload
// because it does. If not, the payload was cut off in a block that took four more
// bytes as they were.
func (f *Inflater) complete(message, payload []byte, window *Window) bool {
	again, err := f.inflate(nil, f.terminated(payload, otherEnding), window, len(message)+len(otherByte))
	return err == nil && string(again) == string(message)+otherByte
}

// inflate is Append for a payload that has its ending.
func (f *Inflater) inflate(dst, payload []byte, window *Window, limit int) ([]byte, error) {
	f.source.Reset(payload)
	start := len(dst)
	f.restart(window.content())
	for streams := 1; ; {
		if len(dst)-start > limit {
			return dst, ErrTooLong
		}
		if len(dst) == cap(dst) {
			dst = extend(dst, start+limit+1)
		}
		n, err := f.decompressor.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == nil:
		case err != io.EOF, f.source.Len() > 0 && streams == maxStreams:
			return dst, ErrCorrupt
		case f.source.Len() > 0:
			streams++
			f.restart(f.context(window, dst[start:]))
		case len(dst)-start > limit:
			return dst, ErrTooLong
		default:
			return dst, nil
		}
	}
}

// restart begins a stream of blocks that may refer to what is before it.
func (f *Inflater) restart(before []byte) {
	_ = f.decompressor.(flate.Resetter).Reset(&f.source, before) // never fails
}

// terminated returns payload with an ending behind it: in place if there is room,
// or else in the scratch buffer.
func (f *Inflater) terminated(payload []byte, ending string) []byte {
	if cap(payload)-len(payload) >= len(ending) {
		return append(payload, ending...)
	}
	whole := append(append(f.scratch[:0], payload...), ending...)
	if cap(whole) <= keptScratch {
		f.scratch = whole
	}
	return whole
}

// context is what a stream within a message may refer to.
func (f *Inflater) context(window *Window, message []byte) []byte {
	const most = 1 << MaxWindowBits
	before := window.content()
	if len(message) >= most || len(before) == 0 {
		return message[max(0, len(message)-most):]
	}
	before = before[max(0, len(before)+len(message)-most):]
	f.before = append(append(f.before[:0], before...), message...)
	return f.before
}

// extend doubles the room of b, or brings it to most.
func extend(b []byte, most int) []byte {
	size := min(max(leastRoom, 2*cap(b)), max(most, cap(b)+1))
	return append(make([]byte, 0, size), b...)
}
