package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/testrun"
	"fleetcast/gateway"
)

// Command lines that cannot be run end with status 2 and say why; nobody
// listens on port 1, so those that can be run end at once.
func TestCommandLine(t *testing.T) {
	const nobody = " --url ws://127.0.0.1:1/ws --publish 127.0.0.1:1 -q"
	cases := map[string]struct {
		exit int
		want string
	}{
		"fanout --clients 2 --channels 2 --payload 100 --events 5 --window 2 --pid=-1 --json" + nobody: {exitFailed, "no client can connect to ws://127.0.0.1:1/ws ("},
		"fanout --rate 100 --duration 3s --profile raw" + nobody:                                       {exitFailed, "no client can connect to ws://127.0.0.1:1/ws ("},
		"connect --clients 2 --hold 1ms" + nobody:                                                      {exitFailed, "no client can connect to ws://127.0.0.1:1/ws ("},
		"echo --clients 2 --messages 2" + nobody:                                                       {exitFailed, "no client can connect to ws://127.0.0.1:1/ws ("},
		"connect --clients 2 --hold 0s --settle 0s" + nobody:                                           {exitFailed, "no client can connect to ws://127.0.0.1:1/ws ("},
		"churn --clients 0 --churn 0":                                                                  {exitFailed, "clients must be at least 1\nchurn must be above 0"},
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
		"connect --token eyJabc" + nobody:                                                              {exitFailed, "a token on the command line can be read"},
		"connect --token env:NOTHING" + nobody:                                                         {exitFailed, "the token of client 0: getting the token: the environment variable NOTHING is not set"},
		"connect --token-command true --token -" + nobody:                                              {exitFailed, "exclude each other"},
		"connect --token-command true --token-key file:/x" + nobody:                                    {exitFailed, "choose"},
		"connect --token-key file:/nowhere" + nobody:                                                   {exitFailed, "--token-key: read the secret: open /nowhere"},
		"connect --token-secret 01234567890123456789012345678901" + nobody:                             {exitFailed, "must be file:PATH or env:NAME"},
		"connect --token-alg ES256" + nobody:                                                           {exitFailed, "--token-alg is for"},
		"storm --resume-tickets" + nobody:                                                              {exitFailed, "--resume-tickets is for"},
		"storm --new-tokens" + nobody:                                                                  {exitFailed, "--new-tokens is for clients with tokens of their own: give --token-secret or --token-key"},
		"storm --new-tokens --token file:/x" + nobody:                                                  {exitFailed, "--new-tokens is for"},
		"storm --new-tokens --resume-tickets --token-key file:/x" + nobody:                             {exitFailed, "--new-tokens and --resume-tickets exclude each other"},
		"fanout --missed 5" + nobody:                                                                   {exitFailed, "--missed is for clients that --recover"},
		"fanout --recover --cut-share 1" + nobody:                                                      {exitFailed, "the share that is cut off must be above 0 and below 1"},
		"fanout --recover --away 0s" + nobody:                                                          {exitFailed, "away must be above 0"},
		"fanout --expect recoverd=1" + nobody:                                                          {exitFailed, "recovered"},
		"fanout --expect p99_ratio<2" + nobody:                                                         {exitFailed, "p99_ratio"},
		"storm --recover --profile nats" + nobody:                                                      {exitFailed, "profile nats cannot recover"},
		"storm --channels 0" + nobody:                                                                  {exitFailed, "channels must be at least 1"},
		"storm --missed=-1" + nobody:                                                                   {exitFailed, "missed is -1"},
		"churn --new-tokens" + nobody:                                                                  {exitFailed, "unknown flag"},
		"completion bash":                                                                              {0, ""},
		"completion tcsh":                                                                              {exitFailed, "must be one of"},
		"man":                                                                                          {0, ""},
		"version":                                                                                      {0, ""},
		"fanuot":                                                                                       {exitFailed, `did you mean "fanout"?`},
		"compare":                                                                                      {exitFailed, "<servers>"},
		"member":                                                                                       {exitFailed, "plan"},
		"":                                                                                             {exitFailed, "expected one of"},
	}
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	var out, faults bytes.Buffer
	if got := run(interrupted, strings.Fields("fanout -q --url ws://127.0.0.1:1"), streams{&out, &faults}); got == 0 || got == exitFailed || !strings.Contains(faults.String(), "interrupted in phase connect") {
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

// A result that cannot be written is told, and one that nobody reads ends the
// run quietly; the report is written all the same.
func TestResultsThatCannotBeWritten(t *testing.T) {
	g, err := gateway.New(gateway.DefaultConfig(10), testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { g.Run(); close(stopped) }()
	defer func() { g.Close(); <-stopped }()
	connect := "connect --clients 2 --hold 1ms --pid=-1 -q --url ws://" + g.ClientAddrs()[0].String() + gateway.Path
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this machine has no /dev/full: %v", err)
	}
	defer full.Close()
	read, unread, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer unread.Close()
	report := filepath.Join(t.TempDir(), "report.html")
	for _, c := range []struct {
		line string
		out  io.Writer
		exit int
		want string
	}{
		{connect, full, exitFailed, "write the standard output: write /dev/full: no space left on device"},
		{connect + " --json", full, exitFailed, "write the standard output: write /dev/full: no space left on device"},
		{"--help", full, exitFailed, "write the standard output: write /dev/full: no space left on device"},
		{connect + " --report /dev/full", io.Discard, exitFailed, "writing the report: writing the page: write /dev/full: no space left on device"},
		{connect, unread, stdio.ExitBrokenPipe, ""},
		{connect + " --json --report " + report, unread, stdio.ExitBrokenPipe, "the report is in " + report},
	} {
		var faults bytes.Buffer
		got := run(t.Context(), strings.Fields(c.line), streams{c.out, &faults})
		if got != c.exit || !strings.Contains(faults.String(), c.want) || strings.Contains(faults.String(), "broken pipe") {
			t.Errorf("%q ends with %d, want %d, and says %q, want %q", c.line, got, c.exit, faults.String(), c.want)
		}
	}
	if info, err := os.Stat(report); err != nil || info.Size() == 0 {
		t.Errorf("the report is %v, error %v", info, err)
	}
}
