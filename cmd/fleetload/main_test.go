package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// Command lines that cannot be run end with status 2 and say why; nobody
// listens on port 1, so those that can be run end at once.
func TestCommandLine(t *testing.T) {
	const nobody = " --url ws://127.0.0.1:1/ws --publish 127.0.0.1:1 -q"
	cases := map[string]struct {
		exit int
		want string
	}{
		"fanout --clients 2 --channels 2 --payload 100 --events 5 --window 2 --pid=-1 --json" + nobody: {exitFault, ""},
		"fanout --rate 100 --duration 3s --profile raw" + nobody:                                       {exitFault, ""},
		"connect --clients 2 --hold 1ms" + nobody:                                                      {exitFault, ""},
		"echo --clients 2 --messages 2" + nobody:                                                       {exitFault, ""},
		"fanout --help":                                                                                {0, ""},
		"fanout --clients 0":                                                                           {exitFailed, "must be at least 1"},
		"fanout --profile other":                                                                       {exitFailed, `there is no profile "other"`},
		"fanout --window many":                                                                         {exitFailed, "--window"},
		"fanout --nonsense":                                                                            {exitFailed, "unknown flag"},
		"fanout --expect p98<1ms":                                                                      {exitFailed, "p98"},
		"fanout --source here":                                                                         {exitFailed, "--source"},
		"fanout --via post":                                                                            {exitFailed, "--via"},
		"storm --rate 0":                                                                               {exitFailed, "rate must be above 0"},
		"slow --stalls 0":                                                                              {exitFailed, "must be at least 1"},
		"slow --keys 2 --via resp -q":                                                                  {exitFailed, "JSON lines"},
		"fairness --pings 0":                                                                           {exitFailed, "pings must be above 0"},
		"fairness --publishers 0":                                                                      {exitFailed, "must be at least 1"},
		"fairness --expect pung_p99<1s":                                                                {exitFailed, "pong_p99"},
		"slow --share 1.5" + nobody:                                                                    {exitFailed, "share"},
		"intake --publish 127.0.0.1:1":                                                                 {exitFailed, "connect"},
		"compare":                                                                                      {exitFailed, "<servers>"},
		"member":                                                                                       {exitFailed, "plan"},
		"":                                                                                             {exitFailed, "expected one of"},
	}
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	var out, faults bytes.Buffer
	if got := run(interrupted, strings.Fields("fanout -q"), streams{&out, &faults}); got != exitFailed || !strings.Contains(faults.String(), "interrupted") {
		t.Errorf("an interrupted run ends with %d and says %q", got, faults.String())
	}
	for line, c := range cases {
		var out, faults bytes.Buffer
		got := run(t.Context(), strings.Fields(line), streams{&out, &faults})
		if got != c.exit || !strings.Contains(faults.String(), c.want) {
			t.Errorf("%q ends with %d, want %d, and says %q, want %q", line, got, c.exit, faults.String(), c.want)
		}
	}
}
