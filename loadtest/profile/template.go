package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fleetcast/codec/jsonscan"
)

// template is a text with placeholders.
type template []part

// part is a piece of text, or a placeholder if hole is set.
type part struct {
	text string
	hole hole
}

// hole is the name of a placeholder.
type hole string

const (
	holeChannel     hole = "{channel}"      // the channel's name as it is
	holeChannelJSON hole = "{channel_json}" // the same as a JSON string, quotes included
	holeData        hole = "{data}"         // the event's data as they are
	holeLength      hole = "{length}"       // the number of the data's bytes
	holeEpoch       hole = "{epoch}"        // of a position, as it is
	holeEpochJSON   hole = "{epoch_json}"   // the same as a JSON string, quotes included
)

// placeholder matches what looks like one. JSON's own braces do not: a quote, a brace or a space
// follows them.
var placeholder = regexp.MustCompile(`\{[A-Za-z_][A-Za-z0-9_]*\}`)

// newTemplate takes text apart; it may hold the placeholders allowed.
func newTemplate(text string, allowed ...hole) (template, error) {
	var t template
	at := 0
	for _, span := range placeholder.FindAllStringIndex(text, -1) {
		h := hole(text[span[0]:span[1]])
		if !slices.Contains(allowed, h) {
			return nil, badPlaceholder(h, allowed)
		}
		if span[0] > at {
			t = append(t, part{text: text[at:span[0]]})
		}
		t = append(t, part{hole: h})
		at = span[1]
	}
	if at < len(text) {
		t = append(t, part{text: text[at:]})
	}
	return t, nil
}

func badPlaceholder(h hole, allowed []hole) error {
	if len(allowed) == 0 {
		return fmt.Errorf("placeholder %s: there are none here", h)
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	return fmt.Errorf("placeholder %s: here are %s", h, strings.Join(names, ", "))
}

// channel reports whether the channel's name goes into t.
func (t template) channel() bool { return t.has(holeChannel) || t.has(holeChannelJSON) }

func (t template) has(h hole) bool {
	return slices.ContainsFunc(t, func(p part) bool { return p.hole == h })
}

// values are what placeholders become.
type values struct {
	channel string
	data    []byte
	epoch   string
	offset  uint64
}

func (t template) append(dst []byte, v *values) []byte {
	for _, p := range t {
		switch p.hole {
		case holeChannel:
			dst = append(dst, v.channel...)
		case holeChannelJSON:
			dst = jsonscan.AppendString(dst, v.channel)
		case holeData:
			dst = append(dst, v.data...)
		case holeLength:
			dst = strconv.AppendInt(dst, int64(len(v.data)), 10)
		case holeEpoch:
			dst = append(dst, v.epoch...)
		case holeEpochJSON:
			dst = jsonscan.AppendString(dst, v.epoch)
		case holeOffset:
			dst = strconv.AppendUint(dst, v.offset, 10)
		default:
			dst = append(dst, p.text...)
		}
	}
	return dst
}
