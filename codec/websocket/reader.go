package websocket

import (
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// ReaderConfig is what Readers of one kind have in common. It is read-only
// once in use and may be shared by any number of them.
type ReaderConfig struct {
	Client bool // this end is the client: frames must arrive unmasked (RFC 6455, 5.1)
	// MaxMessage is the largest message in bytes, its fragments taken together.
	// A larger one is refused with 1009 as soon as a header announces it. Zero
	// admits empty messages only. Control frames have their own limit.
	MaxMessage int
}

// Reader is the receiving half of one connection. The zero value is ready. It
// is one pointer, nil as long as no frame or message is half received, so an
// idle connection costs nothing beyond it.
//
// A Reader may be moved, but of two copies only one may be used on.
type Reader struct{ partial *partial }

// Message is a complete data message, or one control frame: those may come
// between the fragments of a message (RFC 6455, 5.4).
type Message struct {
	Op      ws.OpCode // OpText, OpBinary, OpPing, OpPong or OpClose
	Payload []byte
}

// Next takes what it can from b and stops after one message. n is what it
// consumed; ok tells that msg is complete. With ok false and err nil all of b
// was consumed and more bytes are needed.
//
// Next changes b: a frame that is whole in b is unmasked there, and
// msg.Payload then points into b. The payload is valid until the next call of
// Next, Recycle or Release, and not longer than b. Text is valid UTF-8, and the
// body of a close message satisfies [ParseClose].
//
// err is one of the package's [*CloseError] values. The Reader is then done and
// returns the same error ever after; the caller closes with its code.
func (r *Reader) Next(b []byte, c *ReaderConfig) (msg Message, n int, ok bool, err error) {
	if p := r.partial; p != nil {
		switch p.state {
		case delivered:
			r.Release()
		case failed:
			return msg, 0, false, p.failure
		}
	}
	for {
		var took int
		var refused *CloseError
		if p := r.partial; p != nil && p.state != betweenFrames {
			msg, took, ok, refused = p.takePayload(b[n:])
		} else {
			msg, took, ok, refused = r.takeFrame(b[n:], c)
		}
		n += took
		if refused != nil {
			return Message{}, n, false, r.fail(refused)
		}
		if ok || n == len(b) {
			return msg, n, ok, nil
		}
	}
}

// Recycle gives the buffers of the message just handled back to the pool. The
// caller does so after each message; where there is nothing to give back it
// does nothing.
func (r *Reader) Recycle() {
	if p := r.partial; p != nil && p.state == delivered {
		r.Release()
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
	return p != nil && p.state != delivered && p.state != failed
}

// takeFrame takes a frame, or the beginning of one, while none is under way.
func (r *Reader) takeFrame(b []byte, c *ReaderConfig) (msg Message, n int, ok bool, refused *CloseError) {
	h, n, complete, refused := r.takeHeader(b)
	if refused != nil || !complete {
		return msg, n, false, refused
	}
	if refused = r.admit(h, c); refused != nil {
		return msg, n, false, refused
	}

	rest := b[n:]
	alone := h.OpCode.IsControl() || h.Fin && h.OpCode != ws.OpContinuation
	if alone && h.Length <= int64(len(rest)) {
		if p := r.partial; p != nil && !p.gathering() {
			r.Release() // it held this header only
		}
		size := int(h.Length)
		msg, refused = inPlace(h, rest[:size:size])
		return msg, n + size, refused == nil, refused
	}

	p := r.keep()
	p.begin(h)
	msg, took, ok, refused := p.takePayload(rest)
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

// admit decides on a frame by its header, before anything is taken of it.
func (r *Reader) admit(h ws.Header, c *ReaderConfig) *CloseError {
	s, gathered := ws.StateServerSide, 0
	if c.Client {
		s = ws.StateClientSide
	}
	if p := r.partial; p != nil && p.gathering() {
		s = s.Set(ws.StateFragmented)
		gathered = p.gathered()
	}
	if refused := checkHeader(h, s); refused != nil {
		return refused
	}
	if h.OpCode.IsData() && h.Length > int64(c.MaxMessage-gathered) {
		return ErrMessageTooBig
	}
	return nil
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
func inPlace(h ws.Header, payload []byte) (Message, *CloseError) {
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	if h.OpCode.IsControl() {
		return control(h.OpCode, payload)
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
