package profile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"fleetcast/codec/jsonscan"
)

// pattern recognises a message that is text with placeholders in it, such as
// "MSG {channel} {any} {length}\r\n{data}\r\n". It begins with text, and there is text
// between any two placeholders.
type pattern []part

// Placeholders of patterns, beside those of texts to send.
const (
	holeAny    hole = "{any}"    // whatever stands there
	holeOffset hole = "{offset}" // digits, as the others below
	holeFrom   hole = "{from}"
	holeTo     hole = "{to}"
	holeText   hole = "{text}" // the reason of a refusal
)

// holesOf are the placeholders that patterns of each kind may have.
var holesOf = map[Kind][]hole{
	Event:      {holeChannel, holeLength, holeOffset, holeData, holeAny},
	Subscribed: {holeChannel, holeOffset, holeAny},
	Gap:        {holeChannel, holeFrom, holeTo, holeAny},
	Refused:    {holeText, holeAny},
}

// newPattern takes text apart for messages of a kind.
func newPattern(text string, kind Kind) (pattern, error) {
	allowed := holesOf[kind]
	if allowed == nil {
		allowed = []hole{holeAny}
	}
	parts, err := newTemplate(text, allowed...)
	if err != nil {
		return nil, err
	}
	p := pattern(parts)
	if len(p) == 0 || p[0].hole != "" {
		return nil, errors.New("a pattern begins with text")
	}
	for i := 1; i < len(p); i++ {
		if p[i].hole != "" && p[i-1].hole != "" {
			return nil, fmt.Errorf("put text between %s and %s: else nobody knows where one ends", p[i-1].hole, p[i].hole)
		}
		if p[i].hole != "" && p[i].hole != holeAny && slices.Contains(p[:i], p[i]) {
			return nil, fmt.Errorf("%s is there twice", p[i].hole)
		}
	}
	return p, p.needed(kind)
}

// needed checks that what a kind cannot do without is there.
func (p pattern) needed(kind Kind) error {
	at := func(h hole) int { return slices.Index(p, part{hole: h}) }
	switch {
	case kind == Event && at(holeData) < 0:
		return fmt.Errorf("an event needs data: put in %s", holeData)
	case kind == Event && at(holeLength) > at(holeData):
		return fmt.Errorf("%s is to come before %s", holeLength, holeData)
	case kind == Gap && (at(holeFrom) < 0 || at(holeTo) < 0):
		return fmt.Errorf("a gap needs %s and %s", holeFrom, holeTo)
	}
	return nil
}

// fit says how a text matches a pattern.
type fit uint8

const (
	fitNone  fit = iota // it does not, whatever follows
	fitShort            // it does as far as it goes
	fitWhole
)

// match reads the message at the beginning of text into m, and returns its length.
func (p pattern) match(text []byte, m *Message) (n int, f fit) {
	length := -1
	for i, piece := range p {
		rest := text[n:]
		if piece.hole == "" {
			if !bytes.HasPrefix(rest, []byte(piece.text)) {
				if len(rest) < len(piece.text) && string(rest) == piece.text[:len(rest)] {
					return 0, fitShort
				}
				return 0, fitNone
			}
			n += len(piece.text)
			continue
		}
		size := len(rest)
		switch {
		case piece.hole == holeData && length >= 0:
			if size < length {
				return 0, fitShort
			}
			size = length
		case i+1 < len(p):
			if size = bytes.Index(rest, []byte(p[i+1].text)); size < 0 {
				return 0, fitShort
			}
		}
		if !piece.hole.take(rest[:size], m, &length) {
			return 0, fitNone
		}
		n += size
	}
	return n, fitWhole
}

// take takes the text in place of a placeholder.
func (h hole) take(text []byte, m *Message, length *int) (ok bool) {
	number := uint64(0)
	switch h {
	case holeLength, holeOffset, holeFrom, holeTo:
		if number, ok = jsonscan.Uint(text); !ok {
			return false
		}
	}
	switch h {
	case holeChannel:
		m.Channel = text
	case holeData:
		m.Data = text
	case holeText:
		m.Text = text
	case holeLength:
		*length = int(number)
	case holeOffset:
		m.Offset, m.HasOffset = number, true
	case holeFrom:
		m.From = number
	case holeTo:
		m.To = number
	}
	return true
}
