package options

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

// TestHistoryOption reads what is kept from a flag, a variable and a file, as texts and as
// mappings.
func TestHistoryOption(t *testing.T) {
	minutes := func(events, minutes, bytes int) gateway.History {
		return gateway.History{Events: events, Age: time.Duration(minutes) * time.Minute, Bytes: bytes}
	}
	for name, test := range map[string]struct {
		file, variable string
		flags          []string
		want           map[string]gateway.History // by channel
	}{
		"nothing":               {want: map[string]gateway.History{"a": minutes(100, 5, 0)}},
		"for all":               {flags: []string{"--history=200,1h"}, want: map[string]gateway.History{"a": minutes(200, 60, 0)}},
		"off":                   {flags: []string{"--history", "off"}, want: map[string]gateway.History{"a": {}}},
		"patterns":              {flags: []string{"--history=chat.*=7,10m chat.a.**=8 off x=y=9,64KiB"}, want: map[string]gateway.History{"chat.a": minutes(7, 10, 0), "chat.a.b": minutes(8, 5, 0), "b": {}, "x=y": minutes(9, 5, 64<<10)}},
		"several flags":         {flags: []string{"--history=a=off", "--history=a=7"}, want: map[string]gateway.History{"a": {}, "b": minutes(100, 5, 0)}},
		"a variable":            {variable: "a=on 1s", want: map[string]gateway.History{"a": minutes(100, 5, 0), "b": {Events: 100, Age: time.Second}}},
		"a file's value":        {file: "history: off", want: map[string]gateway.History{"a": {}}},
		"a file's list":         {file: "history:\n- a.**=7,10m,1MiB\n- 300", want: map[string]gateway.History{"a.b": minutes(7, 10, 1<<20), "b": minutes(300, 5, 0)}},
		"the flag goes first":   {file: "history: off", flags: []string{"--history=9"}, want: map[string]gateway.History{"a": minutes(9, 5, 0)}},
		"a rule's text":         {file: "channels:\n- match: a\n  history: 20m, 7\n- b history=off\n- match: c\n  history: 5", want: map[string]gateway.History{"a": minutes(7, 20, 0), "b": {}, "c": minutes(5, 5, 0)}},
		"a rule's on":           {file: "history: off\nchannels: {match: a, history: on}", want: map[string]gateway.History{"a": minutes(100, 5, 0), "b": {}}},
		"a rule's mapping":      {file: "channels:\n- match: a\n  history:\n    events: 7\n    age: 20m\n    bytes: 65536\n  slow: conflate\n", want: map[string]gateway.History{"a": minutes(7, 20, 65536)}},
		"a mapping in a line":   {file: "channels:\n- {match: a, history: {bytes: 1MB, events: 7}}\n", want: map[string]gateway.History{"a": minutes(7, 5, 1_000_000)}},
		"a mapping of one":      {file: "{channels: [{match: a, history: {age: 1h}}]}", want: map[string]gateway.History{"a": minutes(100, 60, 0)}},
		"a rule goes first":     {file: "history: [a=off]\nchannels: {match: a, history: 7}", want: map[string]gateway.History{"a": minutes(7, 5, 0)}},
		"final ends the search": {file: "history: [a=off, \"9\"]\nchannels: {match: a, final: on}", want: map[string]gateway.History{"a": minutes(9, 5, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			fileHere(t, test.file+"\n# nothing else\n")
			if test.variable != "" {
				t.Setenv("FLEETCAST_HISTORY", test.variable)
			}
			o, err := parseOptions(append([]string{"--config=fleetcast.yaml"}, test.flags...)...)
			if err != nil {
				t.Fatal(err)
			}
			config := o.unshared(manyConnections)
			for channel, want := range test.want {
				decisions := config.Explain(channel)
				at := slices.IndexFunc(decisions, func(d gateway.RuleDecision) bool { return d.Key == historyOption })
				if at < 0 || decisions[at].Value != want.String() {
					t.Errorf("%s: %+v, want %v", channel, decisions, want)
				}
			}
		})
	}
}

// TestHistoryThatIsRefused has the errors of flags; TestConfigFilesThatAreRefused has those
// of files.
func TestHistoryThatIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	for text, want := range map[string]string{
		"--history=0":                "keeps no events; write off for that",
		"--history=a=1000001":        "a history of 1000001 events, must be 1 to 1000000, or off",
		"--history=100,721h":         "a history of 721h, must be 1s to 720h",
		"--history=a=1,2":            `"1,2" has two bounds of one kind; a history has one number of events, one age and one size at most`,
		"--history=chat.**":          `"chat.**" is neither off nor bounds of a history, such as 100,10m or 100,10m,256KiB; write a pattern with its bounds, for example chat.**=100,10m`,
		"--history=a***=1":           "three * in a row",
		"--history==1":               "channel pattern is empty",
		"--history=a=":               `"" is neither off nor bounds`,
		"--history=1 a=2 3":          "--history is 3,5m for all channels, and 1,5m already; write a pattern before one of them, such as chat.**=3,5m",
		"--history-memory=1023KiB":   "--history-memory is 1023KiB, must be from 1MiB to 1TiB",
		"--channels=a history=soon":  `history: "soon" is neither off nor bounds`,
		"--channels=a history=1KiB,": "neither off nor bounds",
	} {
		if _, err := parseOptions(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// TestHistoryMemory has an eighth of the memory, of which backlogs have a quarter.
func TestHistoryMemory(t *testing.T) {
	for text, want := range map[string]int64{"": backlogMemory() / 2, "--history-memory=0": backlogMemory() / 2, "--history-memory=3MiB": 3 << 20} {
		var args []string
		if text != "" {
			args = append(args, text)
		}
		o, err := parseOptions(args...)
		if err != nil {
			t.Fatal(err)
		}
		if config := o.unshared(manyConnections); config.HistoryMemory != want {
			t.Errorf("%s: %d bytes, want %d", text, config.HistoryMemory, want)
		}
	}
}

// TestHistoryWarnings names rules for which the memory is too small, and memory that nothing
// needs.
func TestHistoryWarnings(t *testing.T) {
	const small, idle = "may need more than history-memory", "because the history of every channel is off"
	for _, test := range []struct {
		args []string
		want string // "": none
		also string
	}{
		{nil, "", ""},
		{[]string{"--history-memory=1MiB"}, "", ""},
		{[]string{"--history-memory=1MiB", "--history=1000000,1h,1MiB"}, "", ""},
		{[]string{"--history-memory=1MiB", "--history=10000,1h"}, small, `rule=10000,1h from=--history needs="1.1 MiB" history_memory="1.0 MiB"`},
		{[]string{"--history-memory=1MiB", "--history=a.**=10,1h,2MiB"}, small, `rule="a.**=10,1h,2MiB" from=--history`},
		{[]string{"--history-memory=1MiB", "--channels=a history=9,2MiB"}, small, `rule="a history=9,5m,2MiB" from=--channels`},
		{[]string{"--history-memory=64MiB", "--history=off"}, idle, "option=--history-memory"},
		{[]string{"--history=off"}, "", ""},
		{[]string{"--history-memory=64MiB", "--history=off a=on"}, "", ""},
		{[]string{"--history-memory=64MiB", "--history=off", "--channels=a history=on"}, "", ""},
	} {
		o, err := parseOptions(test.args...)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		o.WarnOfNoEffect(slog.New(slog.NewTextHandler(&log, nil)))
		if got := log.String(); test.want == "" && got != "" || !strings.Contains(got, test.want) || !strings.Contains(got, test.also) || strings.Count(got, "\n") > 1 {
			t.Errorf("%q: %s, want %q %q", test.args, got, test.want, test.also)
		}
	}
}
