package profile

import (
	"bytes"

	"fleetcast/codec/jsonscan"
)

// rule says how a kind of message is recognised and where in it things are.
type rule struct {
	kind Kind
	form form
	at   entry // where the profile has it
	line int   // the same, for people

	literal    []byte      // formPrefix, formEquals: the text
	pattern    pattern     // formPattern
	conditions []condition // formJSON: all must hold

	// Slots of the values, or none. Those that are required are none only where the form is not JSON.
	channel, data, offset, from, to int
	epoch, recovered, latest        int     // of an answer to a subscription; from and to are what is lost
	missed                          *missed // the same; nil: it holds no events
	text                            []int   // of a refusal; if empty, the whole message is the text

	answer []byte // to a ping
}

// form is what a rule looks at.
type form uint8

const (
	formJSON    form = iota // values at paths
	formPrefix              // the text's beginning; the rest is the data
	formEquals              // the whole text
	formPattern             // text with placeholders
)

// none is the slot of a path that the profile does not give.
const none = -1

// condition holds if there is a value at a path and, where one is asked for, it is this one.
type condition struct {
	slot int
	want []byte // a JSON scalar; nil: any value
}

// matches reports whether the rule recognises a message; values are those at its paths, if the form
// is JSON. after is the text behind the prefix.
func (r *rule) matches(values [][]byte, text []byte) (after []byte, ok bool) {
	switch r.form {
	case formPrefix:
		return bytes.CutPrefix(text, r.literal)
	case formEquals:
		return nil, bytes.Equal(text, r.literal)
	}
	for _, c := range r.conditions {
		if !c.holds(values[c.slot]) {
			return nil, false
		}
	}
	return nil, true
}

func (c condition) holds(raw []byte) bool {
	switch {
	case raw == nil:
		return false
	case c.want == nil || bytes.Equal(raw, c.want):
		return true
	}
	// Two strings may be the same and be spelled differently.
	if bytes.IndexByte(raw, '\\') < 0 {
		return false
	}
	text, err := jsonscan.Unquote(raw)
	want, wantErr := jsonscan.Unquote(c.want)
	return err == nil && wantErr == nil && bytes.Equal(text, want)
}

// message makes the message that r has recognised in text; after is what follows r's prefix. What
// lacks something that its kind cannot do without is Unknown.
func (c *Codec) message(r *rule, text, after []byte) Message {
	m := Message{Kind: r.kind, Answer: r.answer}
	ok := c.channel(r, &m) && c.offset(r, &m)
	switch r.kind {
	case Event:
		m.Data = after
		if r.form == formJSON {
			m.Data = c.values[r.data]
			ok = ok && m.Data != nil
		}
	case Subscribed:
		ok = ok && c.answer(r, &m)
	case Gap:
		ok = ok && c.span(r, &m)
	case Refused:
		m.Text = c.refusal(r, text, after)
	}
	if !ok {
		return Message{}
	}
	return m
}

// channel is required of a message if the profile says where it is.
func (c *Codec) channel(r *rule, m *Message) (ok bool) {
	if r.channel == none {
		return true
	}
	raw := c.values[r.channel]
	if raw == nil {
		return false
	}
	var err error
	m.Channel, err = c.unquoter.Text(raw)
	return err == nil
}

// offset may be missing: servers leave it out where a channel has no history.
func (c *Codec) offset(r *rule, m *Message) (ok bool) {
	if r.offset == none || c.values[r.offset] == nil {
		return true
	}
	m.Offset, m.HasOffset = jsonscan.Uint(c.values[r.offset])
	return m.HasOffset
}

func (c *Codec) span(r *rule, m *Message) bool {
	var fromOK, toOK bool
	m.From, fromOK = jsonscan.Uint(c.values[r.from])
	m.To, toOK = jsonscan.Uint(c.values[r.to])
	return fromOK && toOK && m.From <= m.To
}

// refusal returns the texts at the rule's paths, with colons between them, or else what follows the
// prefix, or else the whole message.
func (c *Codec) refusal(r *rule, text, after []byte) []byte {
	c.text = c.text[:0]
	for _, slot := range r.text {
		raw := c.values[slot]
		if raw == nil {
			continue
		}
		if len(c.text) > 0 {
			c.text = append(c.text, ": "...)
		}
		if jsonscan.IsString(raw) {
			c.text = jsonscan.AppendUnquoted(c.text, raw)
		} else {
			c.text = append(c.text, raw...)
		}
	}
	switch {
	case len(c.text) > 0:
		return c.text
	case len(after) > 0:
		return after
	}
	return text
}
