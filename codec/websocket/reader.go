package websocket

import (
	"unicode/utf8"
	"unsafe"

	"github.com/gobwas/ws"
)

// ReaderConfig is what Readers of one kind have in common. It is read-only
// once in use and may be shared by any number of them.
type ReaderConfig struct {
	Client bool // this end is the client: frames must arrive unmasked (RFC 6455, 5.1)
	// MaxMessage is the largest message in bytes, its fragments taken together. A
	// larger one is refused with 1009 as soon as a header announces it. Zero admits
	// empty messages only. Control frames have their own limit. For a compressed
	// message it is the inflated size; no more is inflated.
	MaxMessage int
	// Deflate tells that permessage-deflate was agreed on, so that messages may be
	// compressed (RFC 7692).
	Deflate bool
	// ContextBits is the window in which the peer compresses with context from one
	// message to the next; 0: each for itself. The Reader keeps that window.
	ContextBits int
}

// maxPayload is the most that the frames of one message may hold, in bytes. A text that
// does not shrink grows when it is compressed: by an eighth at most, if a compressor
// codes every byte with nine bits.
func (c *ReaderConfig) maxPayload(compressed bool) int {
	if compressed {
		return c.MaxMessage + c.MaxMessage/8 + 64
	}
	return c.MaxMessage
}

// Reader is the receiving half of one connection. The zero value is ready. It
// is one pointer, nil as long as no frame or message is half received and no
// context of the peer's compression is kept, so an idle connection costs nothing
// beyond it.
//
// A Reader may be copied, but then only one of the two may be used.
type Reader struct{ partial *partial }

// Message is a complete data message, or one control frame: those may come
// between the fragments of a message (RFC 6455, 5.4).
type Message struct {
	Op      ws.OpCode // OpText, OpBinary, OpPing, OpPong or OpClose
	Payload []byte
}

// Next takes at most one frame from b, so that the caller can count frames and stop
// between them. n is what it consumed; ok tells that msg is complete. With ok false and
// err nil, n < len(b) means that a fragment ended there, and the caller continues with
// the rest. Otherwise all of b was consumed and more bytes are needed.
//
// Next changes b: a frame that is whole in b is unmasked there, and
// msg.Payload then points into b, unless it was compressed. The payload is valid until the next call of
// Next, Recycle or Release. Text is valid UTF-8, and the
// body of a close message satisfies [ParseClose].
//
// err is one of the package's [*CloseError] values. The Reader is then done and
// returns the same error ever after; the caller closes with its code.
func (r *Reader) Next(b []byte, c *ReaderConfig) (msg Message, n int, ok bool, err error) {
	if p := r.partial; p != nil {
		switch p.state {
		case delivered:
			r.settle()
		case failed:
			return msg, 0, false, p.failure
		}
	}
	var refused *CloseError
	if p := r.partial; p != nil && p.state != betweenFrames {
		msg, n, ok, refused = p.takePayload(b, c)
	} else {
		msg, n, ok, refused = r.takeFrame(b, c)
	}
	if refused != nil {
		return Message{}, n, false, r.fail(refused)
	}
	return msg, n, ok, nil
}

// Recycle gives the buffers of the message that was just handled back to the pool. The
// caller must call it after each message. If there is nothing to give back, it does
// nothing.
func (r *Reader) Recycle() {
	if p := r.partial; p != nil && p.state == delivered {
		r.settle()
	}
}

// settle gives back what was kept for a message that is handled.
func (r *Reader) settle() {
	if p := r.partial; p.window == nil {
		r.Release()
	} else {
		p.settle()
	}
}

// Release drops everything that was kept, for a connection that closes. The
// Reader is then as new.
func (r *Reader) Release() {
	if p := r.partial; p != nil {
		r.partial = nil
		p.free()
	}
}

// Pending tells whether a frame or a message is half received.
func (r *Reader) Pending() bool {
	p := r.partial
	return p != nil && p.pending()
}

// PendingBytes is the memory in bytes that a half received frame or message takes,
// 0 if there is none. A context of the peer's compression is not part of it.
func (r *Reader) PendingBytes() int {
	p := r.partial
	switch {
	case p == nil || !p.pending():
		return 0
	case p.message == nil:
		return int(unsafe.Sizeof(*p))
	}
	return int(unsafe.Sizeof(*p)) + cap(p.message.B)
}

// takeFrame takes a frame, or the beginning of one, while none is under way.
func (r *Reader) takeFrame(b []byte, c *ReaderConfig) (msg Message, n int, ok bool, refused *CloseError) {
	h, n, complete, refused := r.takeHeader(b)
	if refused != nil || !complete {
		return msg, n, false, refused
	}
	compressed, refused := r.admit(&h, c)
	if refused != nil {
		return msg, n, false, refused
	}

	rest := b[n:]
	alone := h.OpCode.IsControl() || h.Fin && h.OpCode != ws.OpContinuation
	if alone && h.Length <= int64(len(rest)) {
		if p := r.partial; p != nil && !p.gathering() {
			r.settle() // it held this header only
		}
		size := int(h.Length)
		msg, refused = r.inPlace(h, compressed, rest[:size:size], c)
		return msg, n + size, refused == nil, refused
	}

	p := r.keep()
	p.begin(h, compressed)
	msg, took, ok, refused := p.takePayload(rest, c)
	return msg, n + took, ok, refused
}

// takeHeader takes a header from b; one that is not complete is kept.
func (r *Reader) takeHeader(b []byte) (h ws.Header, n int, complete bool, refused *CloseError) {
	if p := r.partial; p == nil || p.header.n == 0 {
		h, n, refused = parseHeader(b)
		if refused != nil || n > 0 || len(b) == 0 {
			return h, n, n > 0, refused
		}
	}
	return r.keep().takeHeader(b)
}

// admit decides on a frame by its header, before any of its payload is taken. The first
// frame of a compressed message has a mark, which admit removes from h.
func (r *Reader) admit(h *ws.Header, c *ReaderConfig) (compressed bool, refused *CloseError) {
	s, gathered := ws.StateServerSide, 0
	if c.Client {
		s = ws.StateClientSide
	}
	if c.Deflate && h.Rsv == compressedBit && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary) {
		compressed, h.Rsv = true, 0
	}
	continued := compressed
	if p := r.partial; p != nil && p.gathering() {
		s = s.Set(ws.StateFragmented)
		gathered, continued = p.gathered(), p.compressed
	}
	if refused := checkHeader(*h, s); refused != nil {
		return false, refused
	}
	if h.OpCode.IsData() && h.Length > int64(c.maxPayload(continued)-gathered) {
		return false, ErrMessageTooBig
	}
	return compressed, nil
}

// keep returns the Reader's partial, from now on if it had none.
func (r *Reader) keep() *partial {
	if r.partial == nil {
		r.partial = partials.Get().(*partial)
	}
	return r.partial
}

// fail ends the Reader.
func (r *Reader) fail(refused *CloseError) error {
	p := r.keep()
	p.failure = refused
	p.enter(failed)
	return refused
}

// inPlace makes a message of a frame whose payload is whole.
func (r *Reader) inPlace(h ws.Header, compressed bool, payload []byte, c *ReaderConfig) (Message, *CloseError) {
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	if h.OpCode.IsControl() {
		return control(h.OpCode, payload)
	}
	if compressed {
		p := r.keep()
		p.op = h.OpCode
		return p.inflate(payload, c)
	}
	if h.OpCode == ws.OpText && !utf8.Valid(payload) {
		return Message{}, ErrTextNotUTF8
	}
	return Message{h.OpCode, payload}, nil
}

// control makes a message of a control frame's payload.
func control(op ws.OpCode, payload []byte) (Message, *CloseError) {
	if op == ws.OpClose {
		if _, _, refused := parseClose(payload); refused != nil {
			return Message{}, refused
		}
	}
	return Message{op, payload}, nil
}
