package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

// keeps gives all channels a history of so many events.
func keeps(events int) func(*gateway.Config) {
	return func(c *gateway.Config) { c.History = gateway.History{Events: events, Age: time.Hour} }
}

// recoveredReply is the reply to subscribe with since or last; rest is what it says of that.
func recoveredReply(channel, epoch string, offset uint64, rest string) string {
	return fmt.Sprintf(`{"type":"subscribed","channel":%q,"epoch":%q,"offset":%d,%s}`, channel, epoch, offset, rest)
}

// TestSince is the table of answers in docs/protocol.md.
func TestSince(t *testing.T) {
	const events = 40
	all := keeps(100)
	for _, test := range []struct {
		name   string
		config func(*gateway.Config)
		start  string // a member of the command; EPOCH stands for the channel's
		offset uint64 // of the reply
		reply  string
		gap    string
		from   uint64 // the first event that comes; 0: none of those
	}{
		{"all are kept", all, `"since":{"epoch":"EPOCH","offset":17}`, 17, `"recovered":true,"latest":40`, "", 18},
		{"nothing was missed", all, `"since":{"epoch":"EPOCH","offset":40}`, 40, `"recovered":true,"latest":40`, "", 0},
		{"from the beginning", all, `"since":{"epoch":"EPOCH","offset":0}`, 0, `"recovered":true,"latest":40`, "", 1},
		{"some are trimmed", keeps(10), `"since":{"epoch":"EPOCH","offset":17}`, 17,
			`"recovered":false,"lost":{"from":18,"to":30},"latest":40`, `{"type":"gap","channel":"news","from":18,"to":30}`, 31},
		{"off", func(c *gateway.Config) { c.History = gateway.History{} }, `"since":{"epoch":"EPOCH","offset":17}`, 17,
			`"recovered":false,"lost":{"from":18,"to":40},"latest":40`, `{"type":"gap","channel":"news","from":18,"to":40}`, 0},
		{"no memory", func(c *gateway.Config) { c.HistoryMemory = 0 }, `"since":{"epoch":"EPOCH","offset":39}`, 39,
			`"recovered":false,"lost":{"from":40,"to":40},"latest":40`, `{"type":"gap","channel":"news","from":40,"to":40}`, 0},
		{"another epoch", all, `"since":{"epoch":"other","offset":17}`, 40, `"recovered":false,"latest":40`, "", 0},
		{"beyond the top", all, `"since":{"epoch":"EPOCH","offset":41}`, 40, `"recovered":false,"latest":40`, "", 0},
		{"the last ones", all, `"last":20`, 20, `"latest":40`, "", 21},
		{"all of the last ones", all, `"last":1000`, 0, `"latest":40`, "", 1},
		{"the last ones that are kept", keeps(5), `"last":20`, 35, `"latest":40`, "", 36},
		{"the last ones without history", func(c *gateway.Config) { c.History = gateway.History{} }, `"last":20`, 40, `"latest":40`, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, test.config)
			p := s.publisher()
			var epoch string
			for n := 1; n <= events; n++ {
				epoch = p.publishes("news", fmt.Sprint(n)).Epoch
			}
			c := s.connect()
			c.says(`{"type":"subscribe","channel":"news",` + strings.Replace(test.start, "EPOCH", epoch, 1) + `}`)
			c.wants(recoveredReply("news", epoch, test.offset, test.reply))
			if test.gap != "" {
				c.wants(test.gap)
			}
			for n := test.from; n > 0 && n <= events; n++ {
				c.wants(event("news", n, fmt.Sprint(n)))
			}
			p.publishes("news", `"live"`)
			c.wants(event("news", events+1, `"live"`))
		})
	}
}

// TestSinceOfMany: one command for several channels, each with a start of its own.
func TestSinceOfMany(t *testing.T) {
	s := start(t)
	p := s.publisher()
	epochs := make(map[string]string)
	for _, channel := range []string{"a", "b", "c", "d"} {
		for n := 1; n <= 3; n++ {
			epochs[channel] = p.publishes(channel, fmt.Sprint(n)).Epoch
		}
	}
	c := s.connect()
	c.says(fmt.Sprintf(`{"type":"subscribe","id":7,"channels":["a",{"channel":"b","since":{"epoch":%q,"offset":1}},{"channel":"c","last":1},{"channel":"d"}]}`, epochs["b"]))
	c.wants(
		subscribed(`"id":7,`, "a", epochs["a"], 3),
		`{"type":"subscribed","id":7,"channel":"b","epoch":"`+epochs["b"]+`","offset":1,"recovered":true,"latest":3}`,
		`{"type":"subscribed","id":7,"channel":"c","epoch":"`+epochs["c"]+`","offset":2,"latest":3}`,
		subscribed(`"id":7,`, "d", epochs["d"], 3),
		event("b", 2, "2"), event("b", 3, "3"), event("c", 3, "3"),
	)
	for _, channel := range []string{"a", "b", "c", "d"} {
		p.publishes(channel, "4")
		c.wants(event(channel, 4, "4"))
	}
}

// catchesUp publishes so many events with data of so many bytes, and has a client subscribe from
// the first one on that does not read.
func (s *server) catchesUp(events, size int) (publisher, client *peer, epoch, data string) {
	s.Helper()
	publisher, data = s.publisher(), `"`+strings.Repeat("x", size-2)+`"`
	for range events {
		epoch = publisher.publishes("news", data).Epoch
	}
	client = s.connectNarrow()
	client.says(fmt.Sprintf(`{"type":"subscribe","channel":"news","since":{"epoch":%q,"offset":0}}`, epoch))
	s.eventually("a catch-up", func(g gateway.GatewayStats) bool { return g.Total.CatchingUp == 1 && g.Total.Lagging == 1 })
	return publisher, client, epoch, data
}

// TestCatchUp: a client that reads slowly gets a long history at its own pace. Nothing of it
// waits in a backlog, the client is not slow, and live events follow without a seam.
func TestCatchUp(t *testing.T) {
	const events, size = 3000, 10_000
	s := start(t, keeps(events), oneShard, func(c *gateway.Config) { c.SlowAfter = 200 * time.Millisecond })
	p, c, epoch, data := s.catchesUp(events, size)
	if g := s.stats(); g.Total.BacklogBytes > 2*size+1000 {
		t.Errorf("%d bytes wait for the client", g.Total.BacklogBytes)
	}
	p.publishes("news", `"live"`)      // while it does not read
	time.Sleep(600 * time.Millisecond) // three times as long as an event may wait
	c.wants(recoveredReply("news", epoch, 0, fmt.Sprintf(`"recovered":true,"latest":%d`, events)))
	for n := uint64(2); n <= events; n++ { // the first one is trimmed with the live one, unless it has left already
		got := c.text()
		if n == 2 && got == event("news", 1, data) {
			got = c.text()
		} else if n == 2 && got == `{"type":"gap","channel":"news","from":1,"to":1}` {
			got = c.text()
		}
		if got != event("news", n, data) {
			t.Fatalf("received %.100s, want event %d", got, n)
		}
	}
	c.wants(event("news", events+1, `"live"`))
	s.eventually("the end of the catch-up", func(g gateway.GatewayStats) bool { return g.Total.CatchingUp == 0 && g.Total.Lagging == 0 })
	if g := s.stats(); g.Total.EventsFramed > events+1 || g.Total.Recoveries["recovered"] != 1 || g.Total.EventsRecovered < events {
		t.Errorf("the counters are %+v", g.Total)
	}
	p.publishes("news", `"next"`)
	c.wants(event("news", events+2, `"next"`))
}

// TestTrimmedWhileCatchingUp: what is trimmed before a client gets it is told as a gap.
func TestTrimmedWhileCatchingUp(t *testing.T) {
	const events, size = 300, 10_000
	s := start(t, keeps(events), oneShard)
	p, c, epoch, _ := s.catchesUp(events, size)
	for range events {
		p.publishes("news", "0")
	}
	c.wants(recoveredReply("news", epoch, 0, fmt.Sprintf(`"recovered":true,"latest":%d`, events)))
	gaps := 0
	for n := uint64(1); n <= 2*events; n++ {
		got := decode[message](c, c.text())
		switch {
		case got.Type == "gap" && got.From == n:
			gaps++
			n = got.To
		case got.Type != "event" || got.Offset != n:
			t.Fatalf("received %+v, want event %d", got, n)
		}
	}
	if gaps != 1 {
		t.Errorf("%d gaps were told", gaps)
	}
	p.publishes("news", `"live"`)
	c.wants(event("news", 2*events+1, `"live"`))
}

// TestUnsubscribeWhileCatchingUp: nothing comes behind the answer, and the client may begin
// again.
func TestUnsubscribeWhileCatchingUp(t *testing.T) {
	const events, size = 100, 10_000
	s := start(t, keeps(events), oneShard)
	_, c, epoch, data := s.catchesUp(events, size)
	c.says(`{"type":"unsubscribe","channel":"news"}`)
	s.eventually("no catch-up", func(g gateway.GatewayStats) bool { return g.Total.CatchingUp == 0 && g.Total.Subscriptions == 0 })
	c.wants(recoveredReply("news", epoch, 0, fmt.Sprintf(`"recovered":true,"latest":%d`, events)))
	n := uint64(0)
	for {
		got := decode[message](c, c.text())
		if got.Type == "unsubscribed" {
			break
		}
		if n++; got.Offset != n {
			t.Fatalf("received %+v, want event %d", got, n)
		}
	}
	c.says(fmt.Sprintf(`{"type":"subscribe","channel":"news","since":{"epoch":%q,"offset":%d}}`, epoch, n))
	c.wants(recoveredReply("news", epoch, n, fmt.Sprintf(`"recovered":true,"latest":%d`, events)))
	for n++; n <= events; n++ {
		c.wants(event("news", n, data))
	}
}

// TestCatchUpOverManyStarts: clients that began at one event each before the last one, which is
// laid out for each of them, do not make another one's catch-up a write for each event.
func TestCatchUpOverManyStarts(t *testing.T) {
	const events = 500
	s := start(t, keeps(events), oneShard, noRates)
	p := s.publisher()
	var epoch string
	for n := 1; n <= events; n++ {
		epoch = p.publishes("news", fmt.Sprint(n)).Epoch
	}
	stays, before := s.connect(), s.connect() // or the channel would go with the other one
	stays.subscribe("news")
	for n := events; n > 0; n-- {
		before.says(fmt.Sprintf(`{"type":"subscribe","channel":"news","last":%d}`, events+1-n))
		for range events + 2 - n {
			before.text()
		}
		before.says(`{"type":"unsubscribe","channel":"news"}`)
		before.text()
	}
	c, writes := s.connect(), s.stats().Total.Writes
	c.says(`{"type":"subscribe","channel":"news","since":{"epoch":"` + epoch + `","offset":0}}`)
	c.wants(recoveredReply("news", epoch, 0, fmt.Sprintf(`"recovered":true,"latest":%d`, events)))
	for n := 1; n <= events; n++ {
		c.wants(event("news", uint64(n), fmt.Sprint(n)))
	}
	if writes = s.stats().Total.Writes - writes; writes > events/10 {
		t.Errorf("%d writes for %d events", writes, events)
	}
}

// TestCatchUpCompressedInParts: a client that catches up with many channels has little compressed
// for each write.
func TestCatchUpCompressedInParts(t *testing.T) {
	const channels, events, size = 60, 40, 400
	s := start(t, keeps(events), oneShard, noRates)
	p, data := s.publisher(), `"`+strings.Repeat("much of the same ", size/17)+`"`
	var names []string
	for channel := range channels {
		for range events {
			p.publishes(fmt.Sprint(channel), data)
		}
		names = append(names, fmt.Sprintf("%q", fmt.Sprint(channel)))
	}
	c := s.deflating(bareOffer)
	before := s.stats().Total.Writes
	c.says(`{"type":"subscribe","channels":[` + strings.Join(names, ",") + `],"last":1000}`)
	for range channels * (1 + events) {
		c.takes()
	}
	// For 32 KiB of frames there is a write at least.
	if writes := s.stats().Total.Writes - before; writes < channels*events*size/(32<<10) {
		t.Errorf("%d writes", writes)
	}
}
