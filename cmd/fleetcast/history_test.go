package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHistory asks a real gateway for the events of a channel of which the last 4,000 of 5,000 are
// kept, and of one whose events fill several pages with a few.
func TestHistory(t *testing.T) {
	t.Parallel() // it waits most of the time
	_, url, publish, _ := startGateway(t, "--channels=numbers history=4000,1h", "--channels=large history=100,1h", "--channels=off history=off")
	var numbers, large strings.Builder
	for n := 1; n <= 5000; n++ {
		fmt.Fprintln(&numbers, n)
	}
	for n := 1; n <= 20; n++ {
		fmt.Fprintf(&large, "\"%d%s\"\n", n, strings.Repeat("x", 60_000))
	}
	publishLines(t, publish, "numbers", numbers.String())
	publishLines(t, publish, "large", large.String())
	publishLines(t, publish, "off", "1\n")
	publishLines(t, publish, "other", `{"a": [1, 2]}`+"\n")
	c := start(t, nil, "publish", "--to="+publish, "numbers", "5001")
	epoch := c.out.await(t, `epoch ([^)]+)\)`)[1]

	for name, test := range map[string]struct {
		args     string
		from, to int    // of the data, by its first digits; 0: none
		says     string // on the standard error, behind the command
	}{
		"latest":                  {"numbers", 4902, 5001, "there are earlier ones: --before 4902\n"},
		"latest, in pages":        {"numbers --limit 3000", 2002, 5001, "there are earlier ones: --before 2002\n"},
		"all":                     {"numbers --limit 100000", 1002, 5001, ""},
		"just all":                {"numbers --limit 4000", 1002, 5001, ""},
		"all but one":             {"numbers --limit 3999", 1003, 5001, "there are earlier ones: --before 1003\n"},
		"before":                  {"numbers --before 4902 --limit 2", 4900, 4901, "there are earlier ones: --before 4900\n"},
		"before, in pages":        {"numbers --before 4902 --limit 2500", 2402, 4901, "there are earlier ones: --before 2402\n"},
		"before, all":             {"numbers --before 2002 --limit 1000", 1002, 2001, ""},
		"before what is kept":     {"numbers --before 1002", 0, 0, "none of these events is kept; the latest one is 5001\n"},
		"before the end of time":  {"numbers --before 9007199254740991 --limit 1", 5001, 5001, "there are earlier ones: --before 5001\n"},
		"since":                   {"numbers --since EPOCH:4950", 4951, 5001, ""},
		"since, limited":          {"numbers --since EPOCH:1002 --limit 10", 1003, 1012, "there are more: --since EPOCH:1012\n"},
		"since, in pages":         {"numbers --since EPOCH:1500 --limit 2500", 1501, 4000, "there are more: --since EPOCH:4000\n"},
		"since, all":              {"numbers --since EPOCH:2001 --limit 3000", 2002, 5001, ""},
		"since, trimmed":          {"numbers --since EPOCH:7 --limit 1", 1002, 1002, "events 8 to 1001 are not kept any more\nfleetcast history: there are more: --since EPOCH:1002\n"},
		"since the latest":        {"numbers --since EPOCH:5001", 0, 0, ""},
		"since beyond the latest": {"numbers --since EPOCH:5002", 0, 0, "the gateway does not know offset 5002: the latest event is 5001\n"},
		"since of another epoch":  {"numbers --since other:4 --limit 1", 1002, 1002, "the channel has begun anew since, with epoch EPOCH: these are the first events of it that are kept\nfleetcast history: there are more: --since EPOCH:1002\n"},
		"many bytes":              {"large", 1, 20, ""},
		"many bytes, limited":     {"large --limit 13", 8, 20, "there are earlier ones: --before 8\n"},
		"many bytes, just all":    {"large --limit 20", 1, 20, ""},
		"many bytes, before":      {"large --before 19 --limit 10", 9, 18, "there are earlier ones: --before 9\n"},
		"many bytes, since":       {"large --since other:0 --limit 12", 1, 12, ""},
		"off":                     {"off", 0, 0, "none of these events is kept; the latest one is 1\n"},
		"no such channel":         {"nobody", 0, 0, "the gateway knows no events of nobody\n"},
		"no such channel, since":  {"nobody --since x:7", 0, 0, "the gateway knows no events of nobody\n"},
		"no such channel, before": {"nobody --before 7", 0, 0, "the gateway knows no events of nobody\n"},
	} {
		t.Run(name, func(t *testing.T) {
			args := strings.Fields(strings.ReplaceAll(test.args, "EPOCH", epoch))
			c := start(t, nil, append([]string{"history", "--data", "--url=" + url}, args...)...)
			if code := c.wait(t); code != 0 {
				t.Fatalf("exit code %d: %s", code, c.err)
			}
			want := test.from
			for line := range strings.Lines(c.out.String()) {
				if got := strings.Trim(strings.TrimRight(line, "x\"\n"), `"`); got != fmt.Sprint(want) {
					t.Fatalf("printed %.20s, want %d", got, want)
				}
				want++
			}
			if test.from > 0 && want != test.to+1 {
				t.Errorf("the last event is %d, want %d", want-1, test.to)
			}
			says := strings.ReplaceAll(test.says, "EPOCH", epoch)
			if says != "" {
				says = "fleetcast history: " + says
			}
			if got := c.err.String(); got != says && name != "many bytes, since" {
				t.Errorf("said %s, want %s", got, says)
			}
		})
	}

	c = start(t, nil, "history", "--url="+url, "other")
	c.wait(t)
	if got, want := c.out.String(), `{"type":"event","channel":"other","offset":1,"data":{"a": [1, 2]}}`+"\n"; got != want || c.err.String() != "" {
		t.Errorf("printed %q and said %q, want %q", got, c.err, want)
	}
}

// TestHistoryOfAScriptedGateway: what a gateway may answer besides.
func TestHistoryOfAScriptedGateway(t *testing.T) {
	t.Parallel() // it waits most of the time
	const first = `{"type":"history","id":1,"channel":"news","limit":100}`
	page := func(id int, epoch string, latest int, rest string) string {
		return fmt.Sprintf(`{"type":"history","id":%d,"channel":"news","epoch":%q,"latest":%d,%s}`, id, epoch, latest, rest)
	}
	since := func(id int, epoch string, offset, limit int) string {
		return fmt.Sprintf(`{"type":"history","id":%d,"channel":"news","since":{"epoch":%q,"offset":%d},"limit":%d}`, id, epoch, offset, limit)
	}
	for name, test := range map[string]struct {
		args      string
		exchanges []exchange
		code      int
		prints    string
		says      string
	}{
		"later": {"", []exchange{
			{first, []string{`{"type":"error","id":1,"code":"rate_limited","message":"too many","retry_after_ms":20}`}},
			{strings.Replace(first, "1", "2", 1), []string{`{"type":"error","id":2,"code":"not_available","message":"not yet","retry_after_ms":20}`}},
			{strings.Replace(first, "1", "3", 1), []string{page(3, "x", 1, `"events":[{"offset":1,"data":1}],"more":false`)}},
		}, 0, "1\n", "fleetcast history: rate_limited: too many; trying again in 20ms, as the gateway asks\n"},
		"other messages": {"", []exchange{{first, []string{
			`{"type":"subscribed","channel":"news","epoch":"x","offset":0}`, `{"type":"event","channel":"news","offset":1,"data":"live"}`,
			page(7, "x", 1, `"events":[{"offset":1,"data":"other"}],"more":false`), `{"type":"of later","id":1}`,
			page(1, "x", 1, `"events":[{"offset":1,"data":"ours"}],"more":false`),
		}}}, 0, "\"ours\"\n", ""},
		"refused": {"", []exchange{{first, []string{`{"type":"error","id":1,"code":"permission_denied","message":"not \u001b[31myou"}`}}},
			exitFailure, "", "fleetcast history: permission_denied: not [31myou\n"},
		"refused, whatever it asked": {"", []exchange{{first, []string{`{"type":"error","code":"authentication_required","message":"say who you are"}`}}},
			exitFailure, "", "fleetcast history: authentication_required: say who you are\nGive a token with --token or --token-command; fleetcast token makes one\n"},
		"trimmed between pages": {"--since x:1 --limit 9", []exchange{
			{since(1, "x", 1, 9), []string{page(1, "x", 9, `"events":[{"offset":2,"data":2}],"more":true`)}},
			{since(2, "x", 2, 8), []string{page(2, "x", 9, `"events":[{"offset":5,"data":5}],"more":true`)}},
			{since(3, "x", 5, 7), []string{page(3, "x", 9, `"events":[],"more":true`)}}, // it makes no sense, but ends
		}, 0, "2\n5\n", "fleetcast history: events 3 to 4 are not kept any more\n"},
		"trimmed before the first one": {"--limit 3", []exchange{
			{strings.Replace(first, "100", "3", 1), []string{page(1, "x", 9, `"events":[{"offset":9,"data":9}],"more":true`)}},
			{since(2, "x", 5, 4), []string{page(2, "x", 9, `"events":[{"offset":8,"data":8},{"offset":9,"data":9},{"offset":10,"data":10}],"more":true`)}},
		}, 0, "8\n9\n", ""},
		"anew between pages": {"--since x:1", []exchange{
			{since(1, "x", 1, 100), []string{page(1, "x", 9, `"events":[{"offset":2,"data":2}],"more":true`)}},
			{since(2, "x", 2, 99), []string{page(2, "y", 9, `"events":[{"offset":1,"data":1}],"more":true`)}},
		}, exitFailure, "2\n", "fleetcast history: the channel has begun anew meanwhile; the events after offset 2 are missing\n"},
		"nonsense": {"", []exchange{{first, []string{page(1, "x", 9, `"events":[{"offset":2}],"more":false`)}}},
			exitFailure, "", "fleetcast history: reading a history: an event is an object with offset and data\n"},
		"an epoch that is none": {"--since x:1 --limit 1", []exchange{
			{since(1, "x", 1, 1), []string{page(1, "$(x)", 2, `"events":[{"offset":1,"data":1}],"more":true`)}},
		}, 0, "1\n", "fleetcast history: the channel has begun anew since, with epoch $(x): these are the first events of it that are kept\n"},
		"no answer": {"--timeout 300ms", []exchange{{first, nil}}, exitFailure, "", "fleetcast history: URL has not answered within 300ms\n"},
		"cut off":   {"", []exchange{{first, nil}}, exitFailure, "", "connection lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connections := [][]exchange{test.exchanges}
			if name == "cut off" {
				connections = append(connections, nil) // so that this one is not the last
			}
			url := scriptedTo(t, connections...)
			c := start(t, nil, append([]string{"history", "--data", "--url=" + url, "news"}, strings.Fields(test.args)...)...)
			if code := c.wait(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if got := c.out.String(); got != test.prints {
				t.Errorf("printed %q, want %q", got, test.prints)
			}
			says := strings.ReplaceAll(test.says, "URL", url)
			if got := c.err.String(); got != says && (name != "cut off" || !strings.Contains(got, says)) {
				t.Errorf("said %q, want %q", got, says)
			}
		})
	}
}

// TestHistoryWithAToken: who may subscribe may have the history, and whoever has a grant for it. An
// expired token is replaced by the next one.
func TestHistoryWithAToken(t *testing.T) {
	url := tokenGateway(t)
	good, nothing, old := signedGranting(t, time.Hour), signedFor(t, time.Hour), signedFor(t, -time.Hour)
	only, _ := ranToken(t, "", 0, "--secret=file:"+fileWith(t, "secret", tokenSecret), "--user=alice", "--history=news", "--ttl=1h")
	anew, _ := printsTokens(t, old, good)
	again, _ := printsTokens(t, old)
	for _, test := range []struct {
		flag string
		code int
		want string
	}{
		{"--token=-", 0, "the gateway knows no events of news"},
		{"--token=file:" + fileWith(t, "only", only), 0, "the gateway knows no events of news"},
		{"--token-command=" + anew, 0, "the gateway knows no events of news"},
		{"--token-command=" + again, exitFailure, "the token has expired, and --token-command gives the same"},
		{"--token=file:" + fileWith(t, "old", old), exitFailure, "the token has expired, and --token gives the same"},
		{"--token=file:" + fileWith(t, "nothing", nothing), exitFailure, "permission_denied: history \"news\""},
		{"--data", exitFailure, "Give a token with --token or --token-command"},
	} {
		c := start(t, strings.NewReader(good), "history", "--url="+url, test.flag, "news")
		if code := c.wait(t); code != test.code || !strings.Contains(c.err.String(), test.want) {
			t.Errorf("%.20s: exit code %d, said %s, want %d, %s", test.flag, code, c.err, test.code, test.want)
		}
	}
}

// TestHistoryRefusals are told before anything is sent, or with what to do.
func TestHistoryRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		args string
		code int
		want string
	}{
		"no gateway":         {"--url=ws://127.0.0.1:1/ws news", exitFailure, "is a gateway running there? Start one with: fleetcast serve"},
		"bad channel":        {"a\tb", exitUsage, `channel "a\tb"`},
		"since and before":   {"news --since=x:1 --before=2", exitUsage, "--since and --before exclude each other"},
		"before nothing":     {"news --before=0", exitUsage, "--before is 0, must be an offset, from 1 to 9007199254740991"},
		"negative limit":     {"news --limit=-1", exitUsage, "--limit is -1, must be at least 1"},
		"no limit":           {"news --limit=0", exitUsage, "--limit is 0, must be at least 1"},
		"bad since":          {"news --since=17", exitUsage, "a position is EPOCH:OFFSET, such as ZbTWIsyu:17"},
		"timeout of nothing": {"news --timeout=0s", exitUsage, "--timeout is 0s"},
		"two channels":       {"news chat", exitUsage, "unexpected argument chat"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, nil, append([]string{"history"}, strings.Split(test.args, " ")...)...)
			if code := c.wait(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if got := c.err.String(); !strings.Contains(got, test.want) {
				t.Errorf("said %s, want %s", got, test.want)
			}
		})
	}
}
