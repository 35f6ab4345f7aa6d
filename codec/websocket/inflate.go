package websocket

import (
	"errors"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"fleetcast/codec/deflate"
)

// InflateCost is the cost of a compressed message besides the bytes that it inflates
// to, in such bytes. An owner of a Reader that bounds its work by the size of messages
// adds it, because even an empty message is work.
const InflateCost = 4 << 10

// inflaters are shared by all Readers: one is needed only while a message is
// inflated.
var inflaters = sync.Pool{New: func() any { return deflate.NewInflater() }}

// inflateGathered makes the message of the compressed payload that was gathered.
func (p *partial) inflateGathered(c *ReaderConfig) (Message, *CloseError) {
	compressed := p.message
	p.message = nil
	var payload []byte
	if compressed != nil {
		compressed = roomFor(compressed, deflate.Room, 0)
		payload = compressed.B
		defer giveBack(compressed)
	}
	return p.inflate(payload, c)
}

// inflate inflates the payload of a message. It stops at the limit. Then it checks the
// text.
func (p *partial) inflate(payload []byte, c *ReaderConfig) (Message, *CloseError) {
	if c.ContextBits > 0 && p.window == nil {
		p.window = deflate.NewWindow(c.ContextBits)
	}
	p.message = payloads.Get()
	inflater := inflaters.Get().(*deflate.Inflater)
	var err error
	p.message.B, err = inflater.Append(p.message.B, payload, p.window, c.MaxMessage)
	inflaters.Put(inflater)
	switch {
	case errors.Is(err, deflate.ErrTooLong):
		return Message{}, ErrMessageTooBig
	case err != nil:
		return Message{}, ErrCompression
	case p.op == ws.OpText && !utf8.Valid(p.message.B):
		return Message{}, ErrTextNotUTF8
	}
	p.window.Add(p.message.B)
	p.enter(delivered)
	return Message{p.op, p.message.B}, nil
}
