package websocket

import (
	"errors"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"fleetcast/codec/deflate"
)

// InflateCost is what a compressed message costs besides what it inflates to, as
// so many bytes more of that. Owners of Readers who bound their work by the size
// of messages add it: one that becomes nothing is work all the same.
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

// inflate makes a message of its compressed payload. It stops at the limit, and
// the text is checked, as soon as it is there.
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
