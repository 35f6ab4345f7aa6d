package profile

import (
	"bytes"

	"fleetcast/codec/jsonscan"
)

// Codec reads a server's messages, one after another. It belongs to one goroutine; it allocates
// nothing once its buffers have grown.
type Codec struct {
	*Profile
	values   [][]byte // what the message at hand holds at its matcher's paths, raw; nil where nothing
	unquoter jsonscan.Unquoter
	text     []byte // of the latest refusal
}

// NewCodec returns a Codec for one goroutine.
func (p *Profile) NewCodec() *Codec {
	slots := max(p.messages.paths.slots, p.publish.responses.paths.slots)
	return &Codec{Profile: p, values: make([][]byte, slots)}
}

// Next reads the first message of a frame's payload. rest is what follows it: nothing, or, where a
// frame holds several lines, the further ones, for the next call. It is shorter than the payload,
// unless that is empty, and the frame is done when it is empty.
func (c *Codec) Next(payload []byte) (m Message, rest []byte) {
	text := payload
	if c.lines {
		text, rest, _ = bytes.Cut(payload, newline)
		rest = bytes.TrimLeft(rest, "\n")
	}
	return c.read(&c.messages, text), rest
}

var newline = []byte("\n")

// PublishRefused reports whether an HTTP response that has the status of success still says, in its
// body, that the event was refused. text is for people and valid until the Codec is used again.
func (c *Codec) PublishRefused(body []byte) (text []byte, refused bool) {
	m := c.read(&c.publish.responses, body)
	return m.Text, m.Kind == Refused
}

// read tells what text is by the first rule that applies.
func (c *Codec) read(by *matcher, text []byte) Message {
	c.unquoter.Reset()
	scanned, isJSON := false, false
	for i := range by.rules {
		r := &by.rules[i]
		if r.form == formJSON && !scanned {
			clear(c.values)
			scanned, isJSON = true, by.paths.scan(text, c.values)
		}
		if r.form == formJSON && !isJSON {
			continue
		}
		if after, ok := r.matches(c.values, text); ok {
			return c.message(r, text, after)
		}
	}
	return Message{}
}
