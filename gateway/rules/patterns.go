package rules

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
	p := parse(pattern)
	return p.matches(name)
}

// parsed is a pattern in its parts.
type parsed struct {
	head, tail string   // before the first star, and behind the last one
	middle     []string // between the stars
	starred    bool     // else head is the whole name
}

func parse(pattern string) parsed {
	parts := strings.Split(pattern, "*")
	if last := len(parts) - 1; last > 0 {
		return parsed{head: parts[0], middle: parts[1:last], tail: parts[last], starred: true}
	}
	return parsed{head: pattern}
}

// all tells whether the pattern matches every name.
func (p *parsed) all() bool {
	return p.starred && p.head == "" && p.tail == "" && strings.Join(p.middle, "") == ""
}

func (p *parsed) matches(name string) bool {
	if !p.starred {
		return p.head == name
	}
	if len(name) < len(p.head)+len(p.tail) || !strings.HasPrefix(name, p.head) || !strings.HasSuffix(name, p.tail) {
		return false
	}
	rest := name[len(p.head) : len(name)-len(p.tail)]
	for _, part := range p.middle {
		// The first occurrence leaves the most for the others.
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}
