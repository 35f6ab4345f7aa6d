package loadtest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// Example describes the first fault of a kind: what was expected and what came.
// Its texts are printable and of bounded length.
type Example struct {
	Kind     string `json:"kind"`     // as thresholds name it: corrupted
	Where    string `json:"where"`    // which client and which event
	Expected string `json:"expected"` // empty where nothing can be said
	Got      string `json:"got"`
}

// String says it in one line.
func (e Example) String() string {
	switch {
	case e.Expected == "":
		return fmt.Sprintf("%s: %s: %s", e.Kind, e.Where, e.Got)
	case e.Got == "":
		return fmt.Sprintf("%s: %s: expected %s", e.Kind, e.Where, e.Expected)
	}
	return fmt.Sprintf("%s: %s: expected %s; got %s", e.Kind, e.Where, e.Expected, e.Got)
}

// Kinds of faults that examples are of. Those that are counted have the names that
// thresholds use.
const (
	kindRefused       = "refused"
	kindDisconnected  = "disconnected"
	kindLost          = "lost"
	kindDuplicated    = "duplicated"
	kindReordered     = "reordered"
	kindCorrupted     = "corrupted"
	kindUnexpected    = "unexpected"
	kindGapWrong      = "gap_wrong"
	kindGapSplit      = "gap_split"
	kindNewestDropped = "newest_dropped"
	kindRejected      = "rejected"
	kindNotTaken      = "not_taken"
	kindRewritten     = "rewritten"
	kindUnanswered    = "unanswered"
	kindReset         = "resets"
	kindRecoveryWrong = "recovery_wrong"
	kindLostWrong     = "lost_wrong"
)

// examples holds one of each kind, in the order in which they occurred.
type examples []Example

func (e examples) has(kind string) bool {
	return slices.ContainsFunc(e, func(one Example) bool { return one.Kind == kind })
}

// once keeps what describe says, if it is the first of its kind.
func (e *examples) once(kind string, describe func() (where, expected, got string)) {
	if e.has(kind) {
		return
	}
	where, expected, got := describe()
	*e = append(*e, Example{kind, where, expected, got})
}

// add takes over those of kinds that it has none of.
func (e *examples) add(others examples) {
	for _, other := range others {
		if !e.has(other.Kind) {
			*e = append(*e, other)
		}
	}
}

// texts are the examples for people, a line each.
func (e examples) texts() []string {
	texts := make([]string, len(e))
	for i := range e {
		texts[i] = e[i].String()
	}
	return texts
}

const (
	// maxExcerpt is how many bytes of a message an example shows.
	maxExcerpt = 200
	// excerptLead is how many bytes it shows before the place where two differ.
	excerptLead = 40
)

// excerpt shows the beginning of text.
func excerpt(text []byte) string { return excerptFrom(text, 0) }

// excerptFrom shows text from a byte on.
func excerptFrom(text []byte, from int) string {
	from = min(from, len(text))
	to := min(from+maxExcerpt, len(text))
	shown := printable(text[from:to])
	if from > 0 {
		shown = "..." + shown
	}
	if to < len(text) {
		shown += "..."
	}
	if from > 0 || to < len(text) {
		shown += fmt.Sprintf(" (%d bytes)", len(text))
	}
	return shown
}

// printable is the text itself if it is printable ASCII, or else in Go's quotes.
func printable(text []byte) string {
	if len(text) == 0 {
		return "nothing"
	}
	plain := bytes.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if plain {
		return string(text)
	}
	return strconv.QuoteToASCII(string(text))
}

// difference shows both texts around the first byte in which they differ, at.
func difference(expected, got []byte) (expectedText, gotText string, at int) {
	for at < len(expected) && at < len(got) && expected[at] == got[at] {
		at++
	}
	from := max(at-excerptLead, 0)
	return excerptFrom(expected, from), excerptFrom(got, from), at
}
