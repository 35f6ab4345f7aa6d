package websocket

import (
	"sync"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/deflate"
)

// state says what a partial waits for.
//
//	betweenFrames -> inData | inControl    a header is complete
//	inData        -> betweenFrames         a fragment is complete, more follow
//	inData        -> delivered             a message is complete
//	inControl     -> betweenFrames         complete, inside a fragmented message
//	inControl     -> delivered             complete, outside of one
//	any           -> failed                the peer broke a rule
//
// A Reader without a partial is between frames and keeps nothing.
type state uint8

const (
	betweenFrames state = iota // bytes of a header, or fragments, are kept
	inData                     // payload of a data frame is arriving
	inControl                  // payload of a control frame is arriving
	delivered                  // the caller has the message and must give it back
	failed                     // nothing more is taken
)

// partial is what a Reader keeps of a half-received frame or message, and of the
// context of compressed ones. It comes from a pool and goes back as soon as
// nothing is kept.
type partial struct {
	state      state
	op         ws.OpCode // of the message that is gathered; OpContinuation: none is
	compressed bool      // that message is (RFC 7692, 6)
	header     struct {  // bytes of a header that is not complete
		bytes [ws.MaxHeaderSize]byte
		n     int
	}
	frame   ws.Header // the frame whose payload is arriving
	arrived int       // bytes of that payload
	// message holds the gathered payload of a data message, unmasked. For a compressed
	// message it finally holds the inflated text. It is nil until the first byte of
	// payload.
	message *bytebufferpool.ByteBuffer
	checked int // bytes of message that are known to be valid UTF-8
	// control is apart from message because a control frame may arrive in the
	// middle of a fragmented message (RFC 6455, 5.4).
	control [ws.MaxControlFramePayloadSize]byte
	// window is the peer's context; nil before its first compressed message, and
	// if it compresses each for itself.
	window  *deflate.Window
	failure *CloseError // why, if failed
}

var partials = sync.Pool{New: func() any { return new(partial) }}

// free gives p and its buffer back to their pools.
func (p *partial) free() {
	p.dropMessage()
	*p = partial{}
	partials.Put(p)
}

// settle makes p ready for the next message, with the context of those before.
func (p *partial) settle() {
	p.dropMessage()
	*p = partial{window: p.window}
}

// pending tells whether a frame or a message is half received.
func (p *partial) pending() bool {
	switch p.state {
	case delivered, failed:
		return false
	case betweenFrames:
		return p.gathering() || p.header.n > 0
	}
	return true
}

func (p *partial) dropMessage() {
	if p.message != nil {
		giveBack(p.message)
	}
	p.message = nil
}

// enter is where the state changes.
func (p *partial) enter(next state) {
	switch next {
	case inData, inControl:
		p.arrived = 0
	case failed:
		p.dropMessage()
	}
	p.state = next
}

// gathering tells whether fragments of a message are kept.
func (p *partial) gathering() bool { return p.op != ws.OpContinuation }

// gathered is the size of what is kept of the message in bytes.
func (p *partial) gathered() int {
	if p.message == nil {
		return 0
	}
	return len(p.message.B)
}

// takeHeader completes a header whose first bytes are kept. n is how much of b it took:
// all of it if complete is false.
func (p *partial) takeHeader(b []byte) (h ws.Header, n int, complete bool, refused *CloseError) {
	kept := p.header.n
	n = copy(p.header.bytes[kept:], b)
	h, size, refused := parseHeader(p.header.bytes[:kept+n])
	if refused != nil {
		return h, n, false, refused
	}
	if size == 0 {
		p.header.n = kept + n
		return h, n, false, nil
	}
	p.header.n = 0
	return h, size - kept, true, nil
}

// begin starts the frame h, which was checked.
func (p *partial) begin(h ws.Header, compressed bool) {
	p.frame = h
	if h.OpCode.IsControl() {
		p.enter(inControl)
		return
	}
	if h.OpCode != ws.OpContinuation {
		p.op, p.compressed = h.OpCode, compressed
	}
	p.enter(inData)
}

// takePayload takes the frame's payload from b as far as it is there. n is
// less than len(b) only if the frame is complete; ok tells that msg is too.
func (p *partial) takePayload(b []byte, c *ReaderConfig) (msg Message, n int, ok bool, refused *CloseError) {
	n = int(min(p.frame.Length-int64(p.arrived), int64(len(b))))
	var arrived []byte
	if p.state == inControl {
		arrived = p.control[p.arrived : p.arrived+n]
		copy(arrived, b)
	} else {
		arrived = p.gather(b[:n])
	}
	if p.frame.Masked {
		ws.Cipher(arrived, p.frame.Mask, p.arrived)
	}
	p.arrived += n

	if p.state == inData && p.op == ws.OpText && !p.compressed {
		if refused = p.checkText(); refused != nil {
			return msg, n, false, refused
		}
	}
	if int64(p.arrived) < p.frame.Length {
		return msg, n, false, nil
	}
	msg, ok, refused = p.endFrame(c)
	return msg, n, ok, refused
}

// gather appends b to the message and returns where it went.
func (p *partial) gather(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	p.message = roomFor(p.message, len(b), p.frame.Length-int64(p.arrived+len(b)))
	start := len(p.message.B)
	p.message.B = append(p.message.B, b...)
	return p.message.B[start:]
}

// checkText continues where the last check ended, so that a message is checked once,
// however many reads bring it. In the last fragment it knows how many bytes will
// follow. A character that these cannot complete is refused before they arrive.
func (p *partial) checkText() *CloseError {
	if p.message == nil {
		return nil
	}
	n, valid := checkText(p.message.B[p.checked:])
	if !valid {
		return ErrTextNotUTF8
	}
	p.checked += n
	if left := p.frame.Length - int64(p.arrived); p.frame.Fin && left < int64(lacking(p.message.B[p.checked:])) {
		return ErrTextNotUTF8
	}
	return nil
}

// endFrame continues after a frame whose payload is complete.
func (p *partial) endFrame(c *ReaderConfig) (msg Message, ok bool, refused *CloseError) {
	if p.state == inControl {
		msg, refused = control(p.frame.OpCode, p.control[:p.arrived:p.arrived])
		if p.gathering() {
			p.enter(betweenFrames)
		} else {
			p.enter(delivered)
		}
		return msg, refused == nil, refused
	}
	if !p.frame.Fin {
		p.enter(betweenFrames)
		return msg, false, nil
	}
	if p.compressed {
		msg, refused = p.inflateGathered(c)
		return msg, refused == nil, refused
	}
	msg.Op = p.op
	if p.message != nil {
		msg.Payload = p.message.B
	}
	p.enter(delivered)
	return msg, true, nil
}
