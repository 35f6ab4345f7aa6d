package rules

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPatternsMatch(t *testing.T) {
	for _, test := range []struct {
		patterns []string
		name     string
		want     bool
	}{
		{nil, "chat", false},
		{[]string{"chat"}, "chat", true},
		{[]string{"chat"}, "chats", false},
		{[]string{"chat"}, "cha", false},
		{[]string{"*"}, "anything", true},
		{[]string{"chat.*"}, "chat.", true},
		{[]string{"chat.*"}, "chat.room.1", true},
		{[]string{"chat.*"}, "chat", false},
		{[]string{"*.log"}, "a.log", true},
		{[]string{"*.log"}, "a.logs", false},
		{[]string{"a*b"}, "ab", true},
		{[]string{"a*b*c"}, "abbc", true},
		{[]string{"a*b*c"}, "acb", false},
		{[]string{"a*bc*bc"}, "abc", false},
		{[]string{"a*bc*bc"}, "abcbc", true},
		{[]string{"ab*ba"}, "aba", false},
		{[]string{"**"}, "x", true},
		{[]string{"no", "yes"}, "yes", true},
		{[]string{"ü*"}, "über", true},
		{[]string{"a.c"}, "abc", false},
	} {
		patterns, err := ParsePatterns(test.patterns)
		if err != nil {
			t.Fatalf("ParsePatterns(%q): %v", test.patterns, err)
		}
		if got := patterns.Match([]byte(test.name)); got != test.want {
			t.Errorf("%q match %q: %v, want %v", test.patterns, test.name, got, test.want)
		}
	}
}

func TestParsePatternsRefuses(t *testing.T) {
	for _, pattern := range []string{"", "a b", "a\x00", "\xff", strings.Repeat("x", 256)} {
		if _, err := ParsePatterns([]string{"fine", pattern}); err == nil {
			t.Errorf("ParsePatterns(%.10q) is accepted", pattern)
		}
	}
}

// FuzzPatterns compares with a regular expression of the same meaning.
func FuzzPatterns(f *testing.F) {
	f.Add("a*b*c", "abbc")
	f.Add("*aa*aa*", "aaa")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)+len(name) > 200 || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile(`(?s)\A` + strings.Join(parts, `.*`) + `\z`).MatchString(name)
		if got := (Patterns{pattern}).Match([]byte(name)); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}
