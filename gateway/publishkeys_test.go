package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

const (
	noAuth    = "-NOAUTH Authentication required.\r\n"
	wrongPass = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
)

// auth is the line of NDJSON that shows a key.
func auth(text string) string { return fmt.Sprintf(`{"id":9,"auth":%q}`+"\n", text) }

// TestPublishKeyLines shows keys in NDJSON.
func TestPublishKeyLines(t *testing.T) {
	w := newWitness(t)
	text, k := w.key("prices", "prices.**", "news")
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{k} })
	event := func(channel string) string { return fmt.Sprintf(`{"id":1,"channel":%q,"data":1}`+"\n", channel) }
	for name, test := range map[string]struct{ sent, reply string }{
		"no key":          {event("news") + event("news"), `{"id":1,"error":{"code":"authentication_required"`},
		"no id":           {`{"channel":"news","data":1}` + "\n", `{"line":1,"error":{"code":"authentication_required"`},
		"no JSON":         {"{]\n", `{"line":1,"error":{"code":"authentication_required"`},
		"wrong key":       {auth(keys.New()) + event("news"), `{"id":9,"error":{"code":"invalid_key"`},
		"no key's form":   {auth("secret") + event("news"), `{"id":9,"error":{"code":"invalid_key"`},
		"no text":         {`{"id":9,"auth":1}` + "\n", `{"id":9,"error":{"code":"authentication_required"`},
		"key and event":   {fmt.Sprintf(`{"id":9,"auth":%q,"channel":"news","data":1}`+"\n", text), `{"id":9,"error":{"code":"authentication_required"`},
		"a long line":     {`{"id":9,"auth":"` + strings.Repeat("x", 2000) + "\"}\n", `{"line":1,"error":{"code":"authentication_required"`},
		"an endless line": {`{"id":9,"auth":"` + strings.Repeat("x", 100_000), `{"line":1,"error":{"code":"authentication_required"`},
	} {
		p := s.publisher()
		p.sends(test.sent)
		if line := p.line(); !strings.HasPrefix(line, test.reply) {
			t.Errorf("%s: answered with %s", name, line)
		}
		p.ends()
		p.Close()
	}
	p := s.publisher()
	p.sends("\n" + auth(text) + event("news") + event("prices.eur") + event("prices.eur.bid") + event("secret") +
		`{"id":2,"channels":["news","secret"],"data":1}` + "\n" + event("news"))
	for _, want := range []string{
		`{"id":9,"authenticated":"prices"}`, `"offset":1`, `"offset":1`, `"offset":1`,
		`{"id":1,"error":{"code":"permission_denied","message":"the key prices may not publish to \"secret\""}}`,
		`{"id":2,"error":{"code":"permission_denied","message":"the key prices may not publish to \"secret\""}}`,
		`"offset":2`,
	} {
		if line := p.line(); !strings.Contains(line, want) {
			t.Errorf("answered with %s, want %s", line, want)
		}
	}
	// Without an id a right key is not answered, and a later wrong one ends the connection.
	p.sends(fmt.Sprintf(`{"auth":%q}`+"\n", text) + event("news") + auth(keys.New()))
	if line := p.line(); !strings.Contains(line, `"offset":3`) {
		t.Errorf("answered with %s", line)
	}
	if line := p.line(); !strings.Contains(line, "invalid_key") {
		t.Errorf("answered with %s", line)
	}
	p.ends()
	stats := s.stats().Publish
	if stats.Events != 5 || stats.Streams != 3 || stats.Errors["authentication_required"] != 7 || stats.Errors["invalid_key"] != 3 || stats.Errors["permission_denied"] != 2 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestPublishKeyRESP shows keys in RESP.
func TestPublishKeyRESP(t *testing.T) {
	w := newWitness(t)
	text, k := w.key("prices", "prices.**", "news")
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{k} })
	publish := array("PUBLISH", "news", "1")
	for name, test := range map[string]struct{ sent, reply string }{
		"no key":               {publish + array("PING") + array("SET", "a", "b") + array("MULTI") + array("EXEC"), strings.Repeat(noAuth, 5)},
		"inline":               {"PUBLISH news 1\r\nAUTH " + text + "\r\nPUBLISH news 1\r\n", noAuth + "+OK\r\n:0\r\n"},
		"as default":           {array("AUTH", "default", text) + publish, "+OK\r\n:0\r\n"},
		"by its name":          {array("auth", "prices", text) + publish, "+OK\r\n:0\r\n"},
		"by another name":      {array("AUTH", "other", text) + publish, wrongPass + noAuth},
		"wrong, then right":    {array("AUTH", keys.New()) + publish + array("AUTH", text) + publish, wrongPass + noAuth + "+OK\r\n:0\r\n"},
		"right, then wrong":    {array("AUTH", text) + array("AUTH", "x") + publish, "+OK\r\n" + wrongPass + ":0\r\n"},
		"too many words":       {array("AUTH", "a", "b", "c"), "-ERR syntax error\r\n"},
		"another channel":      {array("AUTH", text) + array("PUBLISH", "secret", "1") + publish, "+OK\r\n-NOPERM the key prices may not publish to \"secret\"\r\n:0\r\n"},
		"its subscribers":      {array("AUTH", text) + array("PUBSUB", "NUMSUB", "news"), "+OK\r\n*2\r\n$4\r\nnews\r\n:0\r\n"},
		"another's":            {array("AUTH", text) + array("PUBSUB", "SHARDNUMSUB", "news", "secret"), "+OK\r\n-NOPERM the key prices may not publish to \"secret\"\r\n"},
		"HELLO without a key":  {array("HELLO", "3") + array("HELLO"), strings.Repeat("-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n", 2)},
		"HELLO with a wrong":   {array("HELLO", "3", "AUTH", "default", "x") + publish, wrongPass + noAuth},
		"HELLO with a key":     {array("HELLO", "2", "AUTH", "default", text, "SETNAME", "me") + publish, "*14\r\n$6\r\nserver\r\n"},
		"RESET":                {array("AUTH", text) + array("RESET") + publish, "+OK\r\n+RESET\r\n" + noAuth},
		"who it is":            {array("AUTH", text) + array("ACL", "WHOAMI"), "+OK\r\n$6\r\nprices\r\n"},
		"QUIT":                 {array("QUIT"), "+OK\r\n"},
		"transaction":          {array("AUTH", text) + array("MULTI") + publish + array("EXEC"), "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:0\r\n"},
		"transaction, refused": {array("AUTH", text) + array("MULTI") + publish + array("PUBLISH", "secret", "1") + array("EXEC"), "+OK\r\n+OK\r\n+QUEUED\r\n-NOPERM the key prices may not publish to \"secret\"\r\n" + aborted},
		"AUTH in a transaction": {array("AUTH", text) + array("MULTI") + array("AUTH", text) + array("EXEC"),
			"+OK\r\n+OK\r\n-ERR this command is not taken in a transaction\r\n" + aborted},
		"many words":     {array("PUBLISH", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"), "-ERR Protocol error: invalid multibulk length\r\n"},
		"a long word":    {array("AUTH", strings.Repeat("x", 2000)), "-ERR Protocol error: invalid bulk length\r\n"},
		"a long command": {strings.Repeat("x", 20_000), "-ERR Protocol error: too big inline request\r\n"},
		"three wrong":    {strings.Repeat(array("AUTH", "x"), 3) + publish, strings.Repeat(wrongPass, 3)},
	} {
		p := s.publisher()
		p.sends(test.sent)
		p.receives(test.reply)
		if strings.HasPrefix(test.reply, "-ERR Protocol") || name == "three wrong" {
			p.ends()
		}
		p.Close()
	}
}

// TestManyCommandsBeforeAuth ends a connection that goes on without a key.
func TestManyCommandsBeforeAuth(t *testing.T) {
	w := newWitness(t)
	_, k := w.key("prices", "**")
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{k} })
	p := s.publisher()
	p.sends(strings.Repeat(array("PING"), 40))
	p.receives(strings.Repeat(noAuth, 32))
	p.ends()
}

// TestNoKeyInTime ends connections that show no key, whatever else they send.
func TestNoKeyInTime(t *testing.T) {
	t.Parallel() // it waits most of the time
	w := newWitness(t)
	text, k := w.key("prices", "**")
	s, _ := startSeen(t, w, func(c *gateway.Config) {
		c.PublishKeys, c.MessageTimeout = []gateway.Key{k}, 500*time.Millisecond
	})
	known := s.publisher()
	known.sends(array("AUTH", text))
	known.receives("+OK\r\n")
	reset := s.publisher()
	reset.sends(array("AUTH", text) + array("RESET"))
	reset.receives("+OK\r\n+RESET\r\n")
	talks := s.publisher()
	talks.sends(array("PING"))
	talks.receives(noAuth)
	for _, p := range []*peer{reset, talks} {
		if line := p.line(); line != "-ERR no key came in 500ms" {
			t.Errorf("answered with %q", line)
		}
	}
	known.sends(array("PUBLISH", "news", "1"))
	known.receives(":0\r\n")
	if n := s.stats().Publish.Ended["no_key"]; n != 2 {
		t.Errorf("%d are counted", n)
	}
}

// TestWrongKeys has one address try keys: after ten it is cut off at once, and the right
// key is still taken.
func TestWrongKeys(t *testing.T) {
	w := newWitness(t)
	text, k := w.key("prices", "**")
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{k} })
	limited := 0
	for range 20 {
		p, wrong := s.publisher(), keys.New()
		w.hides(wrong)
		p.sends(auth(wrong))
		switch line := p.line(); {
		case strings.Contains(line, `"invalid_key"`) && limited == 0:
		case strings.Contains(line, `"rate_limited"`) && strings.Contains(line, "retry_after_ms"):
			limited++
		default:
			t.Fatalf("answered with %s", line)
		}
		p.ends()
		p.Close()
	}
	if limited < 5 { // on a machine that is slow, some are allowed again
		t.Errorf("%d of 20 are too many", limited)
	}
	p := s.publisher()
	p.sends(array("AUTH", keys.New()))
	p.receives("-ERR rate limited, try again in ")
	p.Close()
	p = s.publisher()
	p.sends(array("AUTH", text) + array("PUBLISH", "news", "1"))
	p.receives("+OK\r\n:0\r\n")
	s.Close()
	s.awaitEnd()
	if lines := strings.Count(w.logged(), `"code":"invalid_key"`); lines == 0 || lines > 3 {
		t.Errorf("%d lines tell of 21 wrong keys:\n%s", lines, w.logged())
	}
}

// TestPublishKeyRate: all connections with a key share its rate, in all protocols.
func TestPublishKeyRate(t *testing.T) {
	w := newWitness(t)
	text, k := w.key("prices", "**")
	k.Rate = gateway.Rate{PerSecond: 0.001, Burst: 5}
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{k} })
	one, two := s.publisher(), s.publisher()
	one.sends(auth(text) + `{"id":1,"channels":["a","b"],"data":1}` + "\n")
	one.line()
	if line := one.line(); !strings.Contains(line, `"rate_left":3`) {
		t.Errorf("answered with %s", line)
	}
	two.sends(array("AUTH", text) + array("PUBLISH", "a", "1") + array("MULTI") + strings.Repeat(array("PUBLISH", "a", "1"), 3) + array("EXEC") +
		array("MULTI") + strings.Repeat(array("PUBLISH", "a", "1"), 2) + array("EXEC"))
	two.receives("+OK\r\n:0\r\n" + queued(3) + "-EXECABORT Transaction discarded because of: rate limited, try again in ")
	two.line()
	two.receives(queued(2) + "*2\r\n:0\r\n:0\r\n")
	one.sends(`{"id":1,"channel":"a","data":1}` + "\n")
	if line := one.line(); !strings.Contains(line, `"rate_limited"`) {
		t.Errorf("answered with %s", line)
	}
	o := s.operator()
	o.refused(o.call("POST", "/api/publish", `{"channel":"a","data":1}`, "Authorization: Bearer "+text, jsonType), 429, "rate_limited", "too many events")
}

// TestKeysChange: a removed key ends its connections at once, a changed one counts at once,
// and the first key ends those that have shown none.
func TestKeysChange(t *testing.T) {
	w := newWitness(t)
	goneText, gone := w.key("gone", "**")
	staysText, stays := w.key("stays", "**")
	s, config := startSeen(t, w, func(c *gateway.Config) { c.IngestLoops = 2 })
	change := func(list ...gateway.Key) {
		t.Helper()
		config.PublishKeys = list
		if err := s.Reconfigure(*config); err != nil {
			t.Fatal(err)
		}
	}
	open, silent := s.publisher(), s.publisher()
	open.sends(array("AUTH", "default", goneText) + array("PUBLISH", "a", "1")) // where none is needed, any is right
	open.receives("+OK\r\n:0\r\n")
	line := s.publisher()
	line.sends(auth(goneText) + `{"id":1,"channel":"a","data":1}` + "\n")
	line.receives(`{"id":9,"authenticated":""}` + "\n")
	line.line()
	s.eventually("all connections", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == 3 })

	change(gone, stays)
	open.receives("-NOAUTH the configuration has changed: ")
	open.line()
	open.ends()
	if got := line.line(); !strings.Contains(got, `"line":2,"error":{"code":"authentication_required"`) {
		t.Errorf("answered with %s", got)
	}
	line.ends()
	silent.line()
	silent.ends()

	first, second := s.publisher(), s.publisher()
	first.sends(array("AUTH", goneText) + array("MULTI") + array("PUBLISH", "a", "1"))
	first.receives("+OK\r\n" + queued(1))
	second.sends(array("AUTH", staysText) + array("PUBLISH", "b", "1"))
	second.receives("+OK\r\n:0\r\n")
	stays.Channels = []string{"a"}
	change(stays)
	first.receives("-NOAUTH the configuration has changed: ")
	first.line()
	first.ends()
	second.sends(array("PUBLISH", "b", "1") + array("PUBLISH", "a", "1"))
	second.receives("-NOPERM the key stays may not publish to \"b\"\r\n:0\r\n")
	change()
	second.sends(array("PUBLISH", "b", "1"))
	second.receives(":0\r\n")
	s.eventually("the end of those without a key", func(g gateway.GatewayStats) bool { return g.Publish.Ended["no_key"] == 4 && g.Publish.Publishers == 1 })
}

// TestKeysAllocateNothing publishes by a key without an allocation for an event.
func TestKeysAllocateNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates")
	}
	w := newWitness(t)
	text, k := w.key("prices", "a.*", "b.*", "prices.*")
	k.Rate = gateway.Rate{PerSecond: 1e8, Burst: 1e6}
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{k} })
	p := s.publisher()
	p.sends(auth(text))
	p.line()
	lines := strings.Repeat(`{"channel":"prices.eur","data":1}`+"\n", 1000) + `{"id":1,"channel":"prices.usd","data":1}` + "\n"
	round := func() { p.sends(lines); p.line() }
	round()
	if n := testing.AllocsPerRun(20, round); n > 100 {
		t.Errorf("1,001 events take %v allocations", n)
	}
}
