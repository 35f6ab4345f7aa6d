package rules

import (
	"fmt"
	"strings"
	"unsafe"

	"fleetcast/codec/command"
)

// Patterns select channels by name. In a pattern, * stands for any characters within a
// segment and ** for any characters, none included in both; {user} stands for the user's
// name, which is compared literally, and matches nothing without a user.
//
// Segments are what . : and / separate. A pattern has 1 to 255 bytes. The text of a
// pattern is what is matched: nothing is compiled, so patterns can be compared and
// printed as the strings that they are. The zero value selects no channel.
type Patterns []string

// The marks of a pattern that stand for something else.
const (
	star     = "*"
	deepStar = "**"
	// UserMark stands for the user's name.
	UserMark = "{user}"
)

// ParsePatterns checks patterns. The result refers to the strings, not to the slice's
// other contents: a caller that changes the slice later changes the patterns.
func ParsePatterns(patterns []string) (Patterns, error) {
	for _, p := range patterns {
		if p == "" {
			return nil, fmt.Errorf("channel pattern is empty; use ** for all channels")
		}
		if err := command.CheckChannel([]byte(p)); err != nil {
			return nil, fmt.Errorf("channel pattern %q can match no channel: %w", p, err)
		}
		if strings.Contains(p, deepStar+star) {
			return nil, fmt.Errorf("channel pattern %q has three * in a row; write ** for any characters, * for any within a segment", p)
		}
	}
	return Patterns(patterns), nil
}

// Match tells whether one of the patterns matches the whole name, for nobody in
// particular: a pattern with {user} matches nothing. It allocates nothing, and takes
// time in proportion to the length of a pattern times that of the name at most.
func (p Patterns) Match(name []byte) bool { return p.MatchUser("", name) }

// MatchUser is Match for a client that has a user; "" is nobody in particular.
func (p Patterns) MatchUser(user string, name []byte) bool {
	for _, pattern := range p {
		if match(pattern, text(name), is(user)) {
			return true
		}
	}
	return false
}

// who says what {user} stands for.
type who struct {
	name   string // "": nobody, whom no name matches
	anyone bool   // any text but none, instead of the name
}

func is(user string) who { return who{name: user} }

var anyone = who{anyone: true}

// pattern is one of a table's, with what tells fast that it does not match.
type pattern struct {
	text     string
	head     string // what is before the first mark
	personal bool   // there is {user} in it
}

func parse(text string) pattern {
	p := pattern{text: text, head: text, personal: strings.Contains(text, UserMark)}
	if mark := strings.IndexAny(text, star+UserMark[:1]); mark >= 0 {
		p.head = text[:mark]
	}
	return p
}

// all tells whether the pattern matches every name.
func (p *pattern) all() bool { return p.text == deepStar }

func (p *pattern) matches(name string, user who) bool {
	return strings.HasPrefix(name, p.head) && match(p.text, name, user)
}

// separates tells whether c ends a segment.
func separates(c byte) bool { return c == '.' || c == ':' || c == '/' }

// match tells whether the pattern matches the whole name.
//
// Where the name differs, only the last star takes one byte more, and only the last **
// if a separator stops that one. Earlier ones need no second try. What stands between
// two ** has the same number of separators wherever it matches, so of two ways to match
// its beginning the shorter one leaves the same segment, with more of it, to the rest.
func match(pattern, name string, user who) bool {
	if !endsAlike(pattern, name) {
		return false
	}
	p, n := 0, 0                // what is compared next
	shallow, shallowTo := -1, 0 // behind the last *, and where ends what it has taken
	deep, deepTo := -1, 0       // the same of the last **
	for {
		for p < len(pattern) && n < len(name) && pattern[p] == name[n] && !special(pattern[p]) {
			p, n = p+1, n+1
		}
		switch {
		case p == len(pattern):
			if n == len(name) || p == deep {
				return true
			}
		case strings.HasPrefix(pattern[p:], deepStar):
			p += len(deepStar)
			deep, deepTo, shallow = p, n, -1
			continue
		case pattern[p] == star[0]:
			p += len(star)
			shallow, shallowTo = p, n
			continue
		case n == len(name):
			return false // later tries have less of the name
		case strings.HasPrefix(pattern[p:], UserMark) && user.anyone:
			p, n = p+len(UserMark), n+1
			deep, deepTo, shallow = p, n, -1
			continue
		case strings.HasPrefix(pattern[p:], UserMark):
			if user.name != "" && strings.HasPrefix(name[n:], user.name) {
				p, n = p+len(UserMark), n+len(user.name)
				continue
			}
		case pattern[p] == name[n]: // a brace
			p, n = p+1, n+1
			continue
		}
		switch {
		case shallow >= 0 && shallowTo < len(name) && !separates(name[shallowTo]):
			shallowTo = skip(pattern[shallow:], name, shallowTo+1, true)
			p, n = shallow, shallowTo
			continue
		case deep < 0 || deepTo == len(name) || shallow >= 0 && shallowTo == len(name):
			return false
		case shallow >= 0:
			// The same separator stops every try that begins in this segment.
			for !separates(name[deepTo]) {
				deepTo++
			}
		}
		deepTo = skip(pattern[deep:], name, deepTo+1, false)
		p, n, shallow = deep, deepTo, -1
	}
}

// skip is the first place from n on where the pattern can begin, or where the name ends,
// or the segment. Behind **, all that the pattern has before its next mark is looked for,
// so that a long text which nearly matches everywhere is not compared at every place.
func skip(pattern, name string, n int, segment bool) int {
	if pattern == "" || special(pattern[0]) {
		return n
	}
	if segment {
		for n < len(name) && name[n] != pattern[0] && !separates(name[n]) {
			n++
		}
		return n
	}
	end := 1
	for end < len(pattern) && !special(pattern[end]) {
		end++
	}
	if found := strings.Index(name[n:], pattern[:end]); found >= 0 {
		return n + found
	}
	return len(name)
}

// special tells whether c can begin a mark.
func special(c byte) bool { return c == star[0] || c == UserMark[0] }

// endsAlike tells whether the name ends with what the pattern has behind its last mark.
// That rules out most of a table's patterns that begin with a star.
func endsAlike(pattern, name string) bool {
	for p, n := len(pattern)-1, len(name)-1; p >= 0; p, n = p-1, n-1 {
		if c := pattern[p]; c == star[0] || c == UserMark[len(UserMark)-1] {
			return true
		} else if n < 0 || c != name[n] {
			return false
		}
	}
	return true // the rest is compared
}

// text is the name as a string without a copy. It must not be kept: the bytes change.
func text(name []byte) string { return unsafe.String(unsafe.SliceData(name), len(name)) }
