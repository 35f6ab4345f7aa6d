package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

// queued is the answer to MULTI and n commands behind it.
func queued(n int) string { return "+OK\r\n" + strings.Repeat("+QUEUED\r\n", n) }

func TestTransaction(t *testing.T) {
	s := start(t)
	subscriber := s.connect()
	subscriber.subscribe("news")
	p := s.publisher()
	p.sends(array("MULTI") + array("PUBLISH", "news", "1") + array("PUBLISH", "other", "x") + array("SPUBLISH", "news", "text") + array("PING"))
	p.receives(queued(4))
	if stats := s.stats().Publish; stats.Events != 0 {
		t.Errorf("before EXEC %d events are published", stats.Events)
	}
	p.sends(array("EXEC") + array("PUBLISH", "news", "2"))
	p.receives("*4\r\n:1\r\n:0\r\n:1\r\n+PONG\r\n:1\r\n")
	subscriber.wants(event("news", 1, "1"), event("news", 2, `"text"`), event("news", 3, "2"))
	stats := s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
	if stats.Publish.Events != 4 || stats.Publish.Requests != 4 || len(stats.Publish.Errors) != 0 {
		t.Errorf("the counters are %+v", stats.Publish)
	}
}

// TestRefusedTransactions: after any refusal nothing of a transaction is published, and the next one is.
func TestRefusedTransactions(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxEvent = 200 })
	p := s.publisher()
	good := array("PUBLISH", "news", "1")
	for _, test := range map[string]struct{ command, reply string }{
		"bad channel":     {array("PUBLISH", "a b", "1"), "-ERR a channel name holds a space or a control character\r\n"},
		"not UTF-8":       {array("PUBLISH", "news", "\xff"), "-ERR payload is not valid UTF-8\r\n"},
		"too deep":        {array("PUBLISH", "news", nested(100)), "-ERR data is nested deeper than 99 levels of arrays and objects\r\n"},
		"too long":        {array("PUBLISH", "news", strings.Repeat("x", 199)), "-ERR data is longer than 200 bytes\r\n"},
		"unknown command": {array("SET", "a", "1"), "-ERR unknown command 'SET', with args beginning with: 'a' '1' \r\n"},
		"arguments":       {array("PUBLISH", "news"), "-ERR wrong number of arguments for 'publish' command\r\n"},
		"subcommand":      {array("CLIENT", "KILL", "1"), "-ERR unknown subcommand 'KILL'. Try CLIENT HELP.\r\n"},
		"too many others": {strings.Repeat(array("PING"), 65), strings.Repeat("+QUEUED\r\n", 64) + "-ERR a transaction may have 10000 events, 64 other commands and 4194304 bytes\r\n"},
	} {
		p.sends(array("MULTI") + good + test.command + good + array("EXEC") + array("EXEC"))
		p.receives(queued(1) + test.reply + "+QUEUED\r\n" + aborted + "-ERR EXEC without MULTI\r\n")
	}
	if stats := s.stats().Publish; stats.Events != 0 || stats.Streams != 0 || stats.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", stats)
	}
	p.sends(array("MULTI") + good + array("EXEC"))
	p.receives(queued(1) + "*1\r\n:0\r\n")
}

// TestAbandonedTransactions: what ends before EXEC publishes nothing.
func TestAbandonedTransactions(t *testing.T) {
	s := start(t)
	begun := array("MULTI") + array("PUBLISH", "news", "1")
	for name, end := range map[string]string{"QUIT": array("QUIT"), "FIN": "", "half a command": "*1\r\n$4\r\nEX", "violation": "*x\r\n", "HTTP": "POST / HTTP/1.1\r\n"} {
		p := s.publisher()
		p.sends(begun + end)
		p.receives(queued(1))
		if name != "QUIT" && name != "violation" && name != "HTTP" {
			p.CloseWrite()
		}
		s.eventually("the end of "+name, func(g gateway.GatewayStats) bool { p.Close(); return g.Publish.Publishers == 0 })
	}
	if stats := s.stats().Publish; stats.Events != 0 || stats.Streams != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestTransactionRates: a rate takes a whole transaction or nothing of it.
func TestTransactionRates(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.PublisherRate = gateway.Rate{PerSecond: 0.001, Burst: 3} })
	p := s.publisher()
	events := func(n int) string {
		return array("MULTI") + strings.Repeat(array("PUBLISH", "news", "1"), n) + array("EXEC")
	}
	p.sends(events(2) + events(2))
	p.receives(queued(2) + "*2\r\n:0\r\n:0\r\n" + queued(2))
	if got := p.line(); !strings.HasPrefix(got, "-EXECABORT Transaction discarded because of: rate limited, try again in ") {
		t.Errorf("beyond the rate: %s", got)
	}
	p.sends(array("PUBLISH", "news", "1"))
	p.receives(":0\r\n") // the refused one has taken nothing
	if stats := s.stats().Publish; stats.Events != 3 || stats.Errors["rate_limited"] != 1 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestTransactionsWithoutCredit wait for it whole.
func TestTransactionsWithoutCredit(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.PublisherCredits = 1 })
	subscriber := s.connect()
	subscriber.subscribe("news")
	p := s.publisher()
	const transactions, events = 50, 20
	var want []string
	for i := range transactions {
		p.sends(array("MULTI"))
		for j := range events {
			p.sends(array("PUBLISH", "news", fmt.Sprint(i*events+j)))
			want = append(want, event("news", uint64(len(want)+1), fmt.Sprint(len(want))))
		}
		p.sends(array("EXEC"))
	}
	subscriber.wants(want...)
	for range transactions {
		p.receives(queued(events) + "*20\r\n" + strings.Repeat(":1\r\n", events))
	}
	s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
}

// TestTransactionBounds: what is queued is bounded for one and for all.
func TestTransactionBounds(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.Credits, c.PublisherCredits = 1<<20, 1<<20 })
	large := array("PUBLISH", "news", `"`+strings.Repeat("x", 60<<10)+`"`)
	hog, p := s.publisher(), s.publisher()
	hog.sends(array("MULTI") + strings.Repeat(large, 17))
	hog.receives(queued(17))
	p.sends(array("MULTI") + large)
	p.receives(queued(0) + "-ERR too much is queued in the transactions of all publishers; try again later\r\n")
	p.sends(large + array("EXEC"))
	p.receives("+QUEUED\r\n" + aborted)
	hog.sends(array("DISCARD"))
	hog.receives("+OK\r\n")
	p.sends(array("MULTI") + large + array("EXEC"))
	p.receives(queued(1) + "*1\r\n:0\r\n")

	hog.sends(array("MULTI"))
	hog.receives("+OK\r\n")
	hog.sends(strings.Repeat(array("PUBLISH", "a", "1"), 10_001) + array("EXEC"))
	hog.receives(strings.Repeat("+QUEUED\r\n", 10_000) + "-ERR a transaction may have 10000 events, 64 other commands and 4194304 bytes\r\n" + aborted)
	hog.sends(array("MULTI") + strings.Repeat(array("PUBLISH", "a", "1"), 10_000) + array("EXEC"))
	hog.receives(queued(10_000) + "*10000\r\n" + strings.Repeat(":0\r\n", 10_000))
}

// TestOldTransactions: a transaction does not hold its room for ever. EXEC then publishes nothing.
func TestOldTransactions(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.Credits, c.PublisherCredits = 1000, 1000 })
	hog, p := s.publisher(), s.publisher()
	large := array("PUBLISH", "news", `"`+strings.Repeat("x", 900)+`"`)
	hog.sends(array("MULTI") + large)
	hog.receives(queued(1))
	for _, passed := range []time.Duration{59 * time.Second, 61 * time.Second} {
		if err := s.PassTime(passed); err != nil {
			t.Fatal(err)
		}
		p.sends(array("MULTI") + large + array("DISCARD"))
		if passed < time.Minute {
			p.receives(queued(0) + "-ERR too much is queued in the transactions of all publishers; try again later\r\n+OK\r\n")
		} else {
			p.receives(queued(1) + "+OK\r\n")
		}
	}
	hog.sends(large + array("EXEC"))
	hog.receives("+QUEUED\r\n" + aborted)
	if stats := s.stats().Publish; stats.Events != 0 {
		t.Errorf("%d events are published", stats.Events)
	}
}

// TestSilentTransaction: a transaction that takes several turns has no replies where none are wanted.
func TestSilentTransaction(t *testing.T) {
	const events = 5000
	s := start(t)
	p := s.publisher()
	p.sends(array("CLIENT", "REPLY", "OFF") + array("MULTI") + strings.Repeat(array("PUBLISH", "news", "1"), events) + array("EXEC") +
		array("CLIENT", "REPLY", "ON"))
	p.receives("+OK\r\n")
	if stats := s.stats().Publish; stats.Events != events || stats.ReadCuts == 0 {
		t.Errorf("the counters are %+v", stats)
	}
}
