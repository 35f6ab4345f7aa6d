package options

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"
)

// stars is what a single * in the patterns of older options is: an error, because it
// meant more in versions without **, or what it means in all patterns.
type stars struct{ segments bool }

// UnmarshalText reads what String writes.
func (s *stars) UnmarshalText(text []byte) error {
	switch string(text) {
	case "checked":
		s.segments = false
	case "segments":
		s.segments = true
	default:
		return fmt.Errorf("%s says nothing of patterns; choose checked or segments", Shown(text))
	}
	return nil
}

func (s stars) String() string {
	if s.segments {
		return "segments"
	}
	return "checked"
}

// shownStars is how many patterns are refused by name.
const shownStars = 20

// checkStars refuses patterns with a single *. It stood for any characters before, so a
// configuration of that time would match fewer channels, and nobody would notice.
func (o *Options) checkStars() (errs []error) {
	if o.Patterns.segments {
		return nil
	}
	more := 0
	for _, s := range o.settings {
		for i, p := range o.patternsOf(s.name()) {
			all := strings.ReplaceAll(strings.ReplaceAll(p, "**", "*"), "*", "**")
			switch {
			case p == all:
			case len(errs) == shownStars:
				more++
			default:
				errs = append(errs, fmt.Errorf("%s: %q: * now ends at . : and /; write %s for what it meant before, or set patterns: segments if one segment is meant", s.nameOf(i), p, all))
			}
		}
	}
	if more > 0 {
		errs = append(errs, fmt.Errorf("%d more %s a * that now ends at . : and /", more, english.PluralWord(more, "pattern has", "patterns have")))
	}
	return errs
}

// patternsOf are the patterns of an option that is older than **.
func (o *Options) patternsOf(option string) (patterns []string) {
	switch option {
	case "client-publish":
		for _, p := range o.ClientPublish {
			patterns = append(patterns, string(p))
		}
	case compressChannelsOption:
		for _, p := range o.CompressChannels {
			patterns = append(patterns, string(p))
		}
	case "slow-channels":
		for _, rule := range o.SlowChannels {
			patterns = append(patterns, rule.Pattern)
		}
	case channelsOption:
		for _, rule := range o.Channels {
			patterns = append(patterns, rule.Match)
		}
	}
	return patterns
}

// nameOf is how whoever set the option knows an element of its list, for errors.
func (s setting) nameOf(i int) string {
	from := s.source
	if from.file != "" && i < len(s.lines) {
		from.line = s.lines[i]
	}
	return from.name(s.name())
}
