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
	elements [][]byte // the same of an element of Message.Missed
	unquoter jsonscan.Unquoter
	text     []byte // of the latest refusal
}

// NewCodec returns a Codec for one goroutine.
func (p *Profile) NewCodec() *Codec {
	slots := max(p.messages.paths.slots, p.publish.responses.paths.slots)
	c := &Codec{Profile: p, values: make([][]byte, slots)}
	if p.missed != nil {
		c.elements = make([][]byte, p.missed.paths.slots)
	}
	return c
}

// Next reads the first message of a frame's payload. rest is what follows it: nothing, or, where a
// frame holds several lines or patterns, the further ones, for the next call. It is shorter than the payload,
// unless that is empty, and the frame is done when it is empty.
func (c *Codec) Next(payload []byte) (m Message, rest []byte) {
	text := payload
	if c.lines {
		text, rest, _ = bytes.Cut(payload, newline)
		rest = bytes.TrimLeft(rest, "\n")
		m, _, _ = c.read(&c.messages, text)
		return m, rest
	}
	m, n, _ := c.read(&c.messages, text)
	return m, payload[n:]
}

// NextOfStream reads the first message of what has arrived on a connection without frames, and
// returns its length; 0 means that it has not arrived whole.
func (c *Codec) NextOfStream(arrived []byte) (m Message, n int) {
	if c.lines {
		line, _, whole := bytes.Cut(arrived, newline)
		if !whole {
			return Message{}, 0
		}
		m, _, _ = c.read(&c.messages, line)
		return m, len(line) + len(newline)
	}
	m, n, short := c.read(&c.messages, arrived)
	if m.Kind == Unknown && short {
		return Message{}, 0
	}
	return m, n
}

var newline = []byte("\n")

// PublishRefused reports whether an HTTP response that has the status of success still says, in its
// body, that the event was refused. text is for people and valid until the Codec is used again.
func (c *Codec) PublishRefused(body []byte) (text []byte, refused bool) {
	m, _, _ := c.read(&c.publish.responses, body)
	return m.Text, m.Kind == Refused
}

// read tells what text is by the first rule that applies, and how long the message is: all of
// text, unless a pattern ends before. short tells that more text could make it match a pattern.
func (c *Codec) read(by *matcher, text []byte) (m Message, n int, short bool) {
	c.unquoter.Reset()
	scanned, isJSON := false, false
	for i := range by.rules {
		r := &by.rules[i]
		if r.form == formPattern {
			m := Message{Kind: r.kind, Answer: r.answer}
			n, fit := r.pattern.match(text, &m)
			if fit == fitWhole {
				return m, n, false
			}
			short = short || fit == fitShort
			continue
		}
		if r.form == formJSON && !scanned {
			clear(c.values)
			scanned, isJSON = true, by.paths.scan(text, c.values)
		}
		if r.form == formJSON && !isJSON {
			continue
		}
		if after, ok := r.matches(c.values, text); ok {
			return c.message(r, text, after), len(text), false
		}
	}
	return Message{}, len(text), short
}
