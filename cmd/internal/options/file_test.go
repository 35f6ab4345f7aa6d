package options

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPrecedence(t *testing.T) {
	for _, test := range []struct {
		option, byFlag, byVariable, inFile string // as they are given
		want                               [4]string
	}{
		{"max-clients", "4", "3", "2", [4]string{"0", "2", "3", "4"}},
		{"max-event", "4KiB", "3000", "2kB", [4]string{"64KiB", "2000", "3000", "4KiB"}},
		{"ping-interval", "4s", "180s", "2h", [4]string{"25s", "2h", "3m", "4s"}},
		{"retry-window", "0s", "1m30s", "1h0m1s", [4]string{"10s", "1h0m1s", "1m30s", "0s"}},
		{"listen", "127.0.0.9:4", "127.0.0.1:3", "localhost:2", [4]string{"localhost:8080", "localhost:2", "127.0.0.1:3", "127.0.0.9:4"}},
		{"publish", "off", "[::1]:3", "false", [4]string{"localhost:8082", "off", "[::1]:3", "off"}},
		{"console", "on", "off", "true", [4]string{"on", "on", "off", "on"}},
		{"log-level", "error", "WARN", "debug", [4]string{"info", "debug", "warn", "error"}},
		{"log-format", "json", "text", "json", [4]string{"text", "json", "text", "json"}},
		{"allow-origin", "https://d https://e", " https://c  http://c ", "[https://b, '*']", [4]string{"none", "https://b *", "https://c http://c", "https://d https://e"}},
		{"allow-origin", "", "https://c", "https://b", [4]string{"none", "https://b", "https://c", "none"}},
		{"client-publish", "d", "c", "[]", [4]string{"none", "none", "c", "d"}},
		{"channels", "d final=on", "c slow=conflate\n\n  b  compress=yes ", "{match: a, client-publish: true}", [4]string{"none", "a client-publish=on", "c slow=conflate; b compress=on", "d final=on"}},
		{"channels", "", "a compress=off", "[]", [4]string{"none", "none", "a compress=off", "none"}},
		{"client-publish", "d,e", "c.** **.c", "\n- b.**\n- \"**\"", [4]string{"none", "b.** **", "c.** **.c", "d,e"}},
	} {
		t.Run(test.option, func(t *testing.T) {
			fileHere(t, test.option+": "+test.inFile+"\n")
			var args []string
			for i, step := range []struct {
				source string
				add    func()
			}{
				{"", func() {}},
				{"fleetcast.yaml:1", func() { t.Setenv("FLEETCAST_CONFIG", "fleetcast.yaml") }},
				{VariableOf(test.option), func() { t.Setenv(VariableOf(test.option), test.byVariable) }},
				{"--" + test.option, func() { args = append(args, "--"+test.option+"="+test.byFlag) }},
			} {
				step.add()
				o, err := parseOptions(args...)
				if err != nil {
					t.Fatal(err)
				}
				s := find(t, o, test.option)
				if got := s.text(); got != test.want[i] {
					t.Errorf("%s is %q, want %q", test.option, got, test.want[i])
				}
				if got := s.source.at(s.name()); got != step.source {
					t.Errorf("it is from %q, want %q", got, step.source)
				}
			}
		})
	}
}

func TestRepeatedFlag(t *testing.T) {
	o, err := parseOptions("--client-publish=a", "--client-publish", "b c")
	if err != nil {
		t.Fatal(err)
	}
	if want := []pattern{"a", "b", "c"}; !reflect.DeepEqual(o.ClientPublish, want) {
		t.Errorf("patterns %q, want %q", o.ClientPublish, want)
	}
}

// The flag says which file is read, if the environment names another.
func TestConfigFlagBeforeVariable(t *testing.T) {
	fileHere(t, "shards: 2\n")
	t.Setenv("FLEETCAST_CONFIG", "missing.yaml")
	o, err := parseOptions("--config=fleetcast.yaml")
	if err != nil || o.Shards != 2 || o.Config != "fleetcast.yaml" {
		t.Errorf("options %+v, error %v", o, err)
	}
}

// A file that is being written, or that a shell has just truncated, must not
// stand for all defaults.
func TestEmptyConfigFile(t *testing.T) {
	fileHere(t, " \n")
	const want = "fleetcast.yaml: is empty; write a comment into it (# ...) if it is to set nothing"
	if _, err := parseOptions("--config=fleetcast.yaml"); err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
}

func TestConfigFilesThatAreTaken(t *testing.T) {
	for name, text := range map[string]string{
		"comments":         "# max-clients: 5\n",
		"document mark":    "---\nmax-clients: 7 # seven\n",
		"directive":        "%YAML 1.2\n---\nmax-clients: 7\n",
		"byte order mark":  "\ufeffmax-clients: 7\r\nshards: 1\r\n",
		"quotes":           "\"max-clients\": '7'\n",
		"flow mapping":     "{max-clients: 7}\n",
		"sizes":            "max-event: 64 KiB\nbacklog: 1024000\ncredits: 1.5MiB\n",
		"colon":            "listen: :8080\nchannels: a subscribe=anyone\nadmin: '[::1]:8081'\n",
		"toggle":           "console: yes\n",
		"as JSON":          "{\"max-clients\": 7, \"client-publish\": [\"a\"]}",
		"list, one value":  "client-publish: a\n",
		"indented list":    "client-publish:\n    - a\n    - b\n",
		"value below":      "client-publish:\n  a\n",
		"document's end":   "shards: 1\n...\n",
		"null in its text": "client-publish: 'null'\n",
		"rules":            "channels:\n  - match: prices.**\n    slow: conflate\n  - {match: \"**\", final: yes}\n",
		"rules as texts":   "channels:\n  - prices.** slow=conflate compress=on\n",
		"one rule":         "channels:\n  match: a\n  slow: conflate\n",
		"rules as JSON":    "{\"channels\": [{\"match\": \"a\", \"final\": true}]}",
		"nested mappings":  "channels:\n- match: a\n  history: {events: 1, age: 1m, bytes: 64KiB}\n",
		"many rules":       "channels:\n" + strings.Repeat("- match: a.b.c\n  slow: conflate\n  compress: on\n  final: true\n", 1200),
	} {
		t.Run(name, func(t *testing.T) {
			fileHere(t, text)
			o, err := parseOptions("--config=fleetcast.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, "7\n") && o.MaxClients != 7 {
				t.Errorf("max-clients is %d", o.MaxClients)
			}
		})
	}
}

func TestConfigFilesThatAreRefused(t *testing.T) {
	const notPlain = "YAML: anchors, aliases and tags are not taken; put a value that begins with *, & or ! in quotes"
	const quotes = "; put a value with special characters in quotes, and indent nothing but lists"
	for text, want := range map[string]string{
		"# x\nmax-cleints: 5":              "2: max-cleints: no such option; did you mean max-clients?",
		"max_clients: 5":                   "1: max_clients: no such option; did you mean max-clients?",
		"maxClients: 5":                    "1: maxClients: no such option; did you mean max-clients?",
		"--max-clients: 5":                 "1: --max-clients: no such option; did you mean max-clients?",
		"colour: red":                      "1: colour: no such option; fleetcast config lists all",
		"check: true":                      "1: check: no such option; fleetcast config lists all",
		"1: 2":                             "1: 1: no such option; fleetcast config lists all",
		"\"a\\nb\": 2":                     `1: "a\nb": no such option; fleetcast config lists all`,
		"config: x":                        "1: config: cannot be set in the file itself; use --config or FLEETCAST_CONFIG",
		"max-clients: 1\n\nmax-clients: 2": "3: max-clients: is given twice, first in line 1",
		"allow-host: a\nallow-host: b":     "2: allow-host: is given twice, first in line 1; put all entries into that list",
		"max-clients: many":                `1: max-clients: "many" is not a whole number from 0 to 1000000000`,
		"max-clients: -1":                  `1: max-clients: "-1" is not a whole number from 0 to 1000000000`,
		"max-clients: 1.5":                 `1: max-clients: "1.5" is not a whole number from 0 to 1000000000`,
		"max-clients: 0x10":                `1: max-clients: "0x10" is not a whole number from 0 to 1000000000`,
		"max-clients: 1000000001":          `1: max-clients: "1000000001" is not a whole number from 0 to 1000000000`,
		"max-clients: true":                `1: max-clients: "true" is not a whole number from 0 to 1000000000`,
		"max-clients:":                     "1: max-clients: is empty; write one value",
		"max-clients: ~":                   "1: max-clients: is empty; write one value",
		"max-clients: [1]":                 "1: max-clients: is a list; write one value",
		"max-clients:\n  at-most: 1":       "1: max-clients: is a mapping; write one value",
		"max-event: big":                   `1: max-event: "big" is not a size; write for example 65536, 64KiB or 1MiB`,
		"max-event: 2TiB":                  `1: max-event: "2TiB" is not a size; write for example 65536, 64KiB or 1MiB`,
		"ping-interval: 25":                `1: ping-interval: "25" has no unit; write 25s for seconds, or for example 500ms or 5m`,
		"ping-interval: soon":              `1: ping-interval: "soon" is not a time; write for example 500ms, 25s or 5m`,
		"ping-interval: -5s":               `1: ping-interval: "-5s" is negative; a time must not be`,
		"listen: 8080":                     `1: listen: "8080" is not host:port; write for example localhost:8080, 0.0.0.0:8080 or [::1]:8080 (in quotes in a file), or off`,
		"console: perhaps":                 `1: console: "perhaps" is neither on nor off`,
		"log-level: loud":                  `1: log-level: "loud" is not a level; choose debug, info, warn or error`,
		"log-format: xml":                  `1: log-format: "xml" is not a log format; choose text or json`,
		"allow-origin:\n- https://b\n- c":  `3: allow-origin: "c" is not an origin; write for example https://example.com, http://localhost:3000 or *`,
		"allow-origin:\n- https://b\n-":    "3: allow-origin: is empty; write a value, or a list of values",
		"allow-origin: {a: b}":             "1: allow-origin: is a mapping; write a value, or a list of values",
		"client-publish: a b":              `1: client-publish: channel pattern "a b" can match no channel: bad_channel: a channel name holds a space or a control character`,
		"log-level: " + strings.Repeat("x", 200): `1: log-level: "` + strings.Repeat("x", 80) +
			`" is not a level; choose debug, info, warn or error`,

		"channels:\n- match: a\n  slwo: conflate":                      "3: channels: slwo: no such key of a rule; did you mean slow?",
		"channels:\n- match: a\n  client_publish: on":                  "3: channels: client_publish: no such key of a rule; did you mean client-publish?",
		"channels:\n- match: a\n  continue: true":                      "3: channels: continue: no such key of a rule; later rules always count for what earlier ones do not set, unless one has final: true",
		"channels:\n- match: a\n  continu: true":                       "3: channels: continu: no such key of a rule; later rules always count for what earlier ones do not set, unless one has final: true",
		"channels:\n- match: a\n  \"retention of it\": 5":              "3: channels: retention of it: no such key of a rule; there are match, slow, compress, subscribe, publish, history, client-publish, subscribe-hook and final",
		"channels:\n- match: a\n- slow: conflate\n":                    `3: channels: a rule has no match; write for example match: prices.**, or match: "**" for all channels`,
		"channels:\n- {}\n":                                            `2: channels: a rule has no match; write for example match: prices.**, or match: "**" for all channels`,
		"channels: {slow: conflate}":                                   `1: channels: a rule has no match; write for example match: prices.**, or match: "**" for all channels`,
		"channels:\n- match: a\n  slow: x\n  compress: 1":              "3: channels: slow: \"x\" is not a policy for slow consumers; choose disconnect, drop_oldest or conflate\nfleetcast.yaml:4: channels: compress: \"1\" is neither on nor off",
		"channels:\n- match: a\n  slow: conflate\n  slow: x":           "4: channels: slow is given twice, first in line 3",
		"channels:\n- match: [a, b]":                                   "2: channels: match is a list; write one value",
		"channels:\n- match:\n  slow: conflate":                        "2: channels: match is empty; write one value",
		"channels:\n- match: a b":                                      `2: channels: match: channel pattern "a b" can match no channel: bad_channel: a channel name holds a space or a control character`,
		"channels:\n- match: a\n  final: perhaps":                      `3: channels: final: "perhaps" is neither on nor off`,
		"channels:\n-\n":                                               "2: channels: is empty; write a list of rules",
		"channels: [[a]]":                                              "1: channels: is a list; write a list of rules",
		"channels: a slwo=conflate":                                    "1: channels: slwo: no such key of a rule; did you mean slow?",
		"channels: a slow":                                             `1: channels: "slow" in a rule has no =; write the pattern of channels first and then for example slow=conflate`,
		"channels: a slow=conflate slow=conflate":                      "1: channels: slow is given twice in a rule",
		"channels: a publish=token client-publish=on":                  `1: channels: channel pattern "a" has publish and client-publish, which is short for it; write publish alone`,
		"channels:\n- {match: a, publish: token, client-publish: off}": `2: channels: channel pattern "a" has publish and client-publish, which is short for it; write publish alone`,
		"channels: a subscribe=all":                                    `1: channels: subscribe: "all" says of no client that it may; choose anyone, user, token or nobody`,
		"channels: a***":                                               `1: channels: match: channel pattern "a***" has three * in a row; write ** for any characters, * for any within a segment`,
		"channels:\n- match: a\n  history: 0":                          `3: channels: history: "0" keeps no events; write off for that`,
		"channels:\n- match: a\n  history: [1, 2m]":                    "3: channels: history is a list; write one value",
		"channels:\n- match: a\n  history: {}":                         "3: channels: history: is empty; write bounds, such as events: 100 or age: 10m, or on or off",
		"channels:\n- match: a\n  history:\n    evnts: 1":              "4: channels: evnts: a history has no such entry; did you mean events?",
		"channels:\n- match: a\n  history:\n    size: 1":               "4: channels: size: a history has no such entry; there are events, age and bytes",
		"channels:\n- match: a\n  history: {events: 1.5}":              `3: channels: history: events: "1.5" is not a whole number`,
		"channels:\n- match: a\n  history: {events: 0}":                "3: channels: history: events: a history of 0 events, must be 1 to 1000000, or off",
		"channels:\n- match: a\n  history:\n    events: 1\n    age: 10\n    bytes: x": "5: channels: history: age: \"10\" has no unit; write 10s for seconds, or for example 500ms or 5m\n" +
			"fleetcast.yaml:6: channels: history: bytes: \"x\" is not a size; write for example 65536, 64KiB or 1MiB",
		"channels:\n- match: a\n  history:\n    age: 500ms":           "4: channels: history: age: a history of 500ms, must be 1s to 720h",
		"channels:\n- match: a\n  history:\n    bytes: 0":             "4: channels: history: bytes: 0 keeps nothing; write history: off for that",
		"channels:\n- match: a\n  history:\n    bytes: 100":           "4: channels: history: bytes: a history of 100B, must be 1KiB to 1GiB",
		"channels:\n- match: a\n  history:\n    age: 1m\n    age: 2m": "5: channels: age is given twice, first in line 4",
		"channels:\n- match: a\n  history: {events: {a: b}}":          "3: channels: events is a mapping; write one value",
		"channels:\n- match: a\n  slow: {events: 1}":                  "3: channels: slow is a mapping; write one value",
		"history: {events: 1}":                                        "1: history: is a mapping; write a value, or a list of values",
		"history:\n- a=7\n- b=7x":                                     `3: history: "7x" is neither off nor bounds of a history, such as 100,10m or 100,10m,256KiB`,
		"history:\n- 7\n- a=8\n- 9":                                   "4: history is 9,5m for all channels, and 7,5m already; write a pattern before one of them, such as chat.**=9,5m",
		"history-memory: 4":                                           "1: history-memory is 4, must be from 1MiB to 1TiB",
		"channels: a match=b":                                         "1: channels: match is given twice in a rule",
		"channels:\n" + strings.Repeat("- match: a\n", 5001):          "5002: more than 5000 keys of rules",

		"- max-clients":                    "1: is a list; write one option a line, for example max-clients: 1000",
		"\nmax-clients 5":                  "2: is text; write one option a line, for example max-clients: 1000",
		"shards: 1\n---\nshards: 2":        "3: a second YAML document begins; write one",
		"shards: &a 1":                     "1: " + notPlain,
		"shards: *a":                       "1: " + notPlain,
		"allow-origin: *":                  "1: " + notPlain,
		"shards: !!int 1":                  "1: " + notPlain,
		"<<: {a: b}":                       "1: " + notPlain,
		"client-publish: [[a]]":            "1: client-publish: is a list; write a value, or a list of values",
		"client-publish: [{a: b}]":         "1: client-publish: is a mapping; write a value, or a list of values",
		"client-publish:\n- - a":           "2: YAML: a list within a list is not taken",
		"client-publish:\n-\n  - a":        "3: client-publish: is a list; write a value, or a list of values",
		"shards: 1\n\tadmin: off":          `2: YAML: found character '\t' that cannot start any token`,
		"shards: 1\n  ingest-loops: 2":     "1: YAML: mapping value is not allowed in this context" + quotes,
		"listen: [::1]:80":                 "1: YAML: value is not allowed in this context" + quotes,
		"listen: \"a":                      "1: YAML: could not find end character of double-quoted text",
		"shards: 1\nlisten: \xff":          "2: is not UTF-8",
		"\xff\xfes\x00:\x00":               "1: is UTF-16, by its byte order mark; save it as UTF-8",
		"\xfe\xff\x00s\x00:":               "1: is UTF-16, by its byte order mark; save it as UTF-8",
		`client-publish: ["a\uDFFF"]`:      "1: YAML: an escape is half of a surrogate pair, which is no character",
		`client-publish: ["\U0000d800"]`:   "1: YAML: an escape is half of a surrogate pair, which is no character",
		strings.Repeat("a: 1\n", 1001):     "1001: more than 1000 keys",
		"a: " + strings.Repeat("[", 1<<19): "1: YAML: lists and mappings nest too deep",
		strings.Repeat("- ", 1<<18):        "1: YAML: a list within a list is not taken",
		"max-event: 32MiB\ncredits: 1MiB":  "1: max-event is 32MiB, must be at most credits, 1MiB",
		"shards: 1\nmax-message: 127":      "2: max-message is 127, must be from 128 to 1GiB",
		"listen: off":                      "1: listen cannot be off: without clients there is nothing to do",
		"backlog: 0\npong-timeout: 0":      "1: backlog is 0, must be from 1 to 1TiB\nfleetcast.yaml:2: pong-timeout is 0s, must be from 100ms to 24h",
		"retention: 0s":                    "1: retention is 0s, must be from 1s to 720h",
		"slow-after: 50ms":                 "1: slow-after is 50ms, must be from 100ms to 5m",

		"backlog-memory: 1MiB\nbacklog: 2MiB": "2: backlog is 2MiB, must be at most backlog-memory, 1MiB",

		"max-event: x\ncolour: 1\nx: [": "3: YAML: sequence end token ']' not found",
		"backlog: x\nconsole: maybe":    "1: backlog: \"x\" is not a size; write for example 65536, 64KiB or 1MiB\nfleetcast.yaml:2: console: \"maybe\" is neither on nor off",
	} {
		name := text[:min(len(text), 30)]
		t.Run(name, func(t *testing.T) {
			fileHere(t, text+"\n")
			_, err := parseOptions("--config=fleetcast.yaml")
			if err == nil {
				t.Fatal("it is taken")
			}
			if got, want := err.Error(), "fleetcast.yaml:"+want; got != want {
				t.Errorf("error\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A file full of errors does not fill the log.
func TestManyErrorsAreCounted(t *testing.T) {
	var text strings.Builder
	for i := range 30 {
		text.WriteString("unknown" + strings.Repeat("x", i) + ": 1\n")
	}
	fileHere(t, text.String())
	_, err := parseOptions("--config=fleetcast.yaml")
	if err == nil {
		t.Fatal("it is taken")
	}
	lines := strings.Split(err.Error(), "\n")
	if got, want := lines[len(lines)-1], "fleetcast.yaml: 10 more errors"; len(lines) != maxConfigErrors+1 || got != want {
		t.Errorf("%d lines, the last %q, want %q", len(lines), got, want)
	}
}

func TestConfigFilesThatCannotBeRead(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := unix.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("directory", 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, "long", "#"+strings.Repeat("x", maxConfigFile))
	writeFile(t, "longest", "#"+strings.Repeat("x", maxConfigFile-1))
	for path, want := range map[string]string{
		"pipe":      "pipe: is not a regular file",
		"directory": "directory: is a directory, not a YAML file",
		"missing":   "missing: there is no such file",
		"long":      "long: is longer than 1048576 bytes",
		"longest":   "",
		"long/file": "read the configuration file: stat long/file: not a directory",
	} {
		got := ""
		if _, err := parseOptions("--config=" + path); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("error %q, want %q", got, want)
		}
	}
}

func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{"max-clients: 5", "a: [b, {c: d}]", "client-publish:\n- a\n- *b", "channels:\n- match: a.*\n  slow: conflate\n- {match: b, final: true}", "channels: {match: a, history: {events: 7}}\nhistory: [a=7, off]", "? - a\n: |\n  b", "%YAML 1.2\n---\n# x\n", "\"\\x\": 'y"} {
		f.Add([]byte(text))
	}
	all := flagsOf(f)
	flags := all[:0]
	for _, flag := range all {
		if flag.Target.Type() != reflect.TypeFor[Endpoint]() { // which would look up names
			flags = append(flags, flag)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		values, err := parseConfigFile("f", text, flags)
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("an error without its place: %q", line)
				}
			}
			return
		}
		for _, flag := range flags {
			for _, text := range values[flag.Name].texts {
				if err := checkText(flag, text); err != nil {
					t.Errorf("%s: %v", flag.Name, err)
				}
			}
		}
	})
}

// The examples of the documentation are valid.
func TestDocumentedFile(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash(configurationDocs))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(page), "    # fleetcast.yaml\n")
	if !found {
		t.Fatal("the page has no example")
	}
	example, _, _ = strings.Cut(example, "\n\n")
	fileHere(t, strings.ReplaceAll("\n"+example, "\n    ", "\n"))
	if _, err := parseOptions("--config=fleetcast.yaml"); err != nil {
		t.Error(err)
	}
}
