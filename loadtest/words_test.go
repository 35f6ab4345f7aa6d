package loadtest

import (
	"encoding/json"
	"os/exec"
	"testing"
)

// A shell takes a quoted word as it is, and JSON shows words that it cannot hold.
func TestShellWord(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed: what a shell makes of quoted words is not tested")
	}
	cases := map[string]struct{ quoted, json string }{
		"--rate=5":            {"--rate=5", `["--rate=5"]`},
		"":                    {"''", `[""]`},
		"a b":                 {"'a b'", `["a b"]`},
		"it's":                {`'it'\''s'`, `["it's"]`},
		"/tmp/\xff.html":      {`$'/tmp/\xff.html'`, `["$'/tmp/\\xff.html'"]`},
		"\xc3(":               {`$'\xc3('`, `["$'\\xc3('"]`},
		"é\xe9'\\":            {`$'é\xe9\'\\'`, `["$'é\\xe9\\'\\\\'"]`},
		"\xffa":               {`$'\xffa'`, `["$'\\xffa'"]`},
		"line\nfeed":          {`$'line\x0afeed'`, `["line\nfeed"]`},
		"bell\a\x7f":          {`$'bell\x07\x7f'`, "[\"bell\\u0007\x7f\"]"},
		"\ufffd is a letter!": {"'\ufffd is a letter!'", `["� is a letter!"]`},
	}
	for word, c := range cases {
		quoted := ShellWord(word)
		if quoted != c.quoted {
			t.Errorf("%q is quoted %s, want %s", word, quoted, c.quoted)
		}
		if out, err := exec.Command(bash, "-c", "printf %s "+quoted).Output(); err != nil || string(out) != word {
			t.Errorf("%s is %q for bash (%v), want %q", quoted, out, err, word)
		}
		if text, err := json.Marshal(Words{word}); err != nil || string(text) != c.json {
			t.Errorf("%q in JSON: %s, %v, want %s", word, text, err, c.json)
		}
	}
}
