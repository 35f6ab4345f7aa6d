package rules

import (
	"strings"
	"testing"
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
		{[]string{"**"}, "anything", true},
		{[]string{"**"}, "any.thing:at/all", true},
		{[]string{"*"}, "anything", true},
		{[]string{"*"}, "any.thing", false},
		{[]string{"*"}, "any:thing", false},
		{[]string{"*"}, "any/thing", false},
		{[]string{"chat.*"}, "chat.", true},
		{[]string{"chat.*"}, "chat.room", true},
		{[]string{"chat.*"}, "chat.room.1", false},
		{[]string{"chat.*"}, "chat", false},
		{[]string{"chat.**"}, "chat.room.1", true},
		{[]string{"chat.**"}, "chat.", true},
		{[]string{"chat.**"}, "chat", false},
		{[]string{"chat**"}, "chats/1", true},
		{[]string{"*.log"}, "a.log", true},
		{[]string{"*.log"}, "a.logs", false},
		{[]string{"*.log"}, "a.b.log", false},
		{[]string{"**.log"}, "a.b.log", true},
		{[]string{"**.*.log"}, "a.b.c.log", true},
		{[]string{"**.*.log"}, "a.log", false},
		{[]string{"a.*.c"}, "a.b.c", true},
		{[]string{"a.*.c"}, "a..c", true},
		{[]string{"a.*.c"}, "a.b.b.c", false},
		{[]string{"a.**.c"}, "a.b.b.c", true},
		{[]string{"*.*"}, "a.b", true},
		{[]string{"*.*"}, "a.b.c", false},
		{[]string{"*:*"}, "a.b", false},
		{[]string{"a*b"}, "ab", true},
		{[]string{"a*b*c"}, "abbc", true},
		{[]string{"a*b*c"}, "acb", false},
		{[]string{"a*bc*bc"}, "abc", false},
		{[]string{"a*bc*bc"}, "abcbc", true},
		{[]string{"ab*ba"}, "aba", false},
		{[]string{"**a*b"}, "a.ab", true},
		{[]string{"**a*b"}, "ab.a", false},
		{[]string{"**.a*b**c"}, "x.a.ab.c", true},
		{[]string{"**.a.*b"}, "a.a.a.b", true},
		{[]string{"no", "yes"}, "yes", true},
		{[]string{"ü*"}, "über", true},
		{[]string{"a.c"}, "abc", false},
		{[]string{"{user}"}, "alice", false}, // of nobody
		{[]string{"{user}"}, "{user}", false},
		{[]string{"{User}"}, "{User}", true}, // no mark
		{[]string{"{user"}, "{user", true},
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

func TestPatternsMatchUser(t *testing.T) {
	for _, test := range []struct {
		pattern, user, name string
		want                bool
	}{
		{"inbox.{user}", "alice", "inbox.alice", true},
		{"inbox.{user}", "alice", "inbox.bob", false},
		{"inbox.{user}", "alice", "inbox.alice2", false},
		{"inbox.{user}", "alice", "inbox.alic", false},
		{"inbox.{user}", "", "inbox.", false},
		{"inbox.{user}", "", "inbox.{user}", false},
		{"inbox.{user}.*", "alice", "inbox.alice.new", true},
		{"inbox.{user}.*", "alice", "inbox.alice.new.1", false},
		{"{user}", "*", "alice", false}, // names are compared literally
		{"{user}", "*", "*", true},
		{"{user}", "**", "alice", false},
		{"{user}", "{user}", "{user}", true},
		{"{user}", "a.b@c", "a.b@c", true},
		{"{user}:{user}", "a", "a:a", true},
		{"{user}:{user}", "a", "a:b", false},
		{"*{user}", "aa", "aaa", true},
		{"*{user}.x", "aa", "aaa.x", true},
		{"**{user}", "a.b", "a.a.b", true},
		{"chat", "", "chat", true},
		{"chat", "alice", "chat", true},
	} {
		patterns, err := ParsePatterns([]string{test.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := patterns.MatchUser(test.user, []byte(test.name)); got != test.want {
			t.Errorf("%q of %q matches %q: %v, want %v", test.pattern, test.user, test.name, got, test.want)
		}
	}
}

func TestParsePatternsRefuses(t *testing.T) {
	for _, pattern := range []string{"", "a b", "a\x00", "\xff", strings.Repeat("x", 256), "***", "a.***.b", "****"} {
		if _, err := ParsePatterns([]string{"fine", pattern}); err == nil {
			t.Errorf("ParsePatterns(%.10q) is accepted", pattern)
		}
	}
}

// hostile are patterns and names for which a matcher that goes back to each star tries
// more ways than can be counted.
var hostile = map[string][2]string{
	"stars":            {strings.Repeat("*a", 126) + "b*", strings.Repeat("a", 255)},
	"deep stars":       {strings.Repeat("**a", 84) + "b*", strings.Repeat("a", 255)},
	"stars, segments":  {"**" + strings.Repeat("a*a.", 60) + "b*", strings.Repeat("aaa.", 63)},
	"deep, then stars": {"**" + strings.Repeat("a*", 120) + "b*", strings.Repeat("a", 127) + "." + strings.Repeat("a", 127)},
	"long literals":    {"**" + strings.Repeat("a", 120) + "*" + strings.Repeat("a", 120) + "b*", strings.Repeat("a", 255)},
	"a deep literal":   {"**" + strings.Repeat("a", 120) + "b**", strings.Repeat("a", 255)},
	"users":            {strings.Repeat("**{user}", 31), strings.Repeat("a", 255)},
}

// Hostile patterns come to an end, and nothing is allocated.
func TestMatchIsBounded(t *testing.T) {
	for name, test := range hostile {
		patterns, err := ParsePatterns([]string{test[0]})
		if err != nil {
			t.Fatal(err)
		}
		channel, user := []byte(test[1]), strings.Repeat("a", 100)
		if patterns.MatchUser(user, channel) {
			t.Errorf("%s: matches", name)
		}
		if n := testing.AllocsPerRun(10, func() { patterns.MatchUser(user, channel) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// naive is what match means, without a thought to what it costs. seen has the outcomes
// for the ends of pattern and name that were compared, if it is not nil.
func naive(pattern, name string, user who, seen map[[2]int]bool) (matches bool) {
	at := [2]int{len(pattern), len(name)}
	if outcome, known := seen[at]; known {
		return outcome
	}
	if seen != nil {
		defer func() { seen[at] = matches }()
	}
	if pattern == "" {
		return name == ""
	}
	if rest, found := strings.CutPrefix(pattern, "**"); found {
		return naive(rest, name, user, seen) || name != "" && naive(pattern, name[1:], user, seen)
	}
	if rest, found := strings.CutPrefix(pattern, "*"); found {
		return naive(rest, name, user, seen) || name != "" && !strings.Contains(".:/", name[:1]) && naive(pattern, name[1:], user, seen)
	}
	if rest, found := strings.CutPrefix(pattern, "{user}"); found {
		if user.anyone {
			return name != "" && naive("**"+rest, name[1:], user, nil)
		}
		behind, found := strings.CutPrefix(name, user.name)
		return user.name != "" && found && naive(rest, behind, user, seen)
	}
	return name != "" && pattern[0] == name[0] && naive(pattern[1:], name[1:], user, seen)
}

// FuzzPatterns compares with the naive matcher, for one user and for any.
func FuzzPatterns(f *testing.F) {
	f.Add("a*b*c", "abbc", "")
	f.Add("*aa*aa*", "aaa", "")
	f.Add("**", "", "")
	f.Add("**.a*b**c", "x.a.ab.c", "")
	f.Add("**.a.*b", "a.a.a.b", "")
	f.Add("**a*.*b", "a.a.ab.b", "a")
	f.Add("*{user}.**{user}", "aa.b.aa", "a")
	f.Add("{user}{user}", "ab", "a.b")
	f.Add("**{user}*.b*:", "a.a.b:", "a.")
	f.Fuzz(func(t *testing.T, pattern, name, user string) {
		if len(pattern) > 40 || len(name) > 40 || len(user) > 40 || strings.Contains(pattern, "***") {
			return
		}
		for _, w := range []who{is(""), is(user), anyone} {
			want := naive(pattern, name, w, map[[2]int]bool{})
			if got := match(pattern, name, w); got != want {
				t.Errorf("%q matches %q: %v, want %v, with %+v", pattern, name, got, want, w)
			}
		}
	})
}

// The same over all short texts of few letters, which fuzzing reaches slowly.
func TestPatternsOfFewLetters(t *testing.T) {
	texts := func(letters []string, longest int) (all []string) {
		last := []string{""}
		for range longest {
			var next []string
			for _, text := range last {
				for _, l := range letters {
					next = append(next, text+l)
				}
			}
			all, last = append(all, next...), next
		}
		return all
	}
	names := texts([]string{"a", "b", "."}, 5)
	for _, pattern := range texts([]string{"a", "b", ".", "*", "**", "{user}"}, 4) {
		if strings.Contains(pattern, "***") {
			continue
		}
		for _, name := range names {
			for _, w := range []who{is("a.b"), anyone} {
				if got, want := match(pattern, name, w), naive(pattern, name, w, nil); got != want {
					t.Fatalf("%q matches %q: %v, want %v, with %+v", pattern, name, got, want, w)
				}
			}
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	cases := map[string][2]string{
		"exact":  {"shop.europe.clothes.shoes", "shop.europe.clothes.shoes"},
		"head":   {"shop.**", "shop.europe.clothes.shoes"},
		"user":   {"inbox.{user}.*", "inbox.alice.new"},
		"tail":   {"**.shoes", "shop.europe.clothes.shoes"},
		"differ": {"chat.**", "shop.europe.clothes.shoes"},
	}
	for name, test := range hostile {
		cases["hostile "+name] = test
	}
	for name, test := range cases {
		b.Run(name, func(b *testing.B) {
			patterns, channel := Patterns{test[0]}, []byte(test[1])
			b.ReportAllocs()
			for b.Loop() {
				patterns.MatchUser("alice", channel)
			}
		})
	}
}
