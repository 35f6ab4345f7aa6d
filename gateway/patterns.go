package gateway

import (
	"fmt"
	"strings"

	"fleetcast/codec/command"
)

// Patterns select channels by name. In a pattern, * stands for any characters,
// none included. The zero value selects no channel.
type Patterns []string

// ParsePatterns checks patterns.
func ParsePatterns(patterns []string) (Patterns, error) {
	for _, p := range patterns {
		if p == "" {
			return nil, fmt.Errorf("channel pattern is empty; use * for all channels")
		}
		if err := command.CheckChannel([]byte(p)); err != nil {
			return nil, fmt.Errorf("channel pattern %q can match no channel: %w", p, err)
		}
	}
	return Patterns(patterns), nil
}

// Match tells whether one of the patterns matches the whole name.
func (p Patterns) Match(name []byte) bool { return p.matches(string(name)) }

func (p Patterns) matches(name string) bool {
	for _, pattern := range p {
		if match(pattern, name) {
			return true
		}
	}
	return false
}

func match(pattern, name string) bool {
	head, tail, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	// Between two stars, the first occurrence leaves the most for the others.
	for {
		part, after, more := strings.Cut(tail, "*")
		if !more {
			return strings.HasSuffix(rest, part)
		}
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest, tail = rest[i+len(part):], after
	}
}
