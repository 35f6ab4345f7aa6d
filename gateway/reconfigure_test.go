package gateway_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// reconfigurable is a gateway with the configuration that it was started with.
func reconfigurable(t *testing.T) (*server, gateway.Config) {
	var config gateway.Config
	s := start(t, oneShard, func(c *gateway.Config) { config = *c })
	return s, config
}

func TestReconfigure(t *testing.T) {
	t.Parallel() // it waits most of the time
	s, config := reconfigurable(t)
	change := func(set func(c *gateway.Config)) {
		t.Helper()
		set(&config)
		if err := s.Reconfigure(config); err != nil {
			t.Fatal(err)
		}
	}
	client, upstream := s.connect(), s.publisher()
	client.subscribe("a")

	change(func(c *gateway.Config) { c.ClientChannels = 1 })
	client.says(`{"type":"subscribe","channel":"b"}`)
	client.wants(`{"type":"error","code":"limit_exceeded","message":"subscribe \"b\": too many channels on one connection"}`)
	client.says(ping)
	client.text()

	client.says(`{"type":"publish","channel":"a","data":1}`)
	client.wants(`{"type":"error","code":"permission_denied","message":"publish \"a\": clients may not publish to this channel"}`)
	patterns, err := gateway.ParsePatterns([]string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	change(func(c *gateway.Config) { c.ClientPublish = patterns })
	client.says(`{"type":"publish","channel":"a","data":1}`)
	client.wants(`{"type":"published","channel":"a","offset":1}`, event("a", 1, "1"))

	// Lines and events of connections that are there already.
	long := `{"id":1,"channel":"a","data":"` + strings.Repeat("x", 100_000) + `"}` + "\n"
	upstream.sends(long)
	if line := upstream.line(); !strings.Contains(line, "limit_exceeded") {
		t.Errorf("answered with %s", line)
	}
	change(func(c *gateway.Config) { c.MaxEvent = 200_000; c.Credits = 2 << 20; c.BacklogMemory = 3 << 20 })
	upstream.sends(long)
	if line := upstream.line(); !strings.Contains(line, `"offset":2`) {
		t.Errorf("answered with %s", line)
	}
	client.text()

	change(func(c *gateway.Config) { c.MaxClients = 1 })
	full := s.dialRaw()
	full.refused(503, "", "no room")
	change(func(c *gateway.Config) { c.MaxClients = 2 })
	other := s.connect()

	other.Close()
	s.eventually("the end of the other", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	refused := s.dialRaw()
	refused.sends(head + "Origin: https://a.test\r\n\r\n")
	refused.refused(403, "", "")
	s.eventually("the end of the refused", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	change(func(c *gateway.Config) { c.AllowedOrigins = []string{"https://a.test"} })
	allowed := s.dialRaw()
	allowed.sends(head + "Origin: https://a.test\r\n\r\n")
	allowed.upgraded()
	allowed.text()

	change(func(c *gateway.Config) { c.MaxMessage = 128 })
	allowed.sends(clientFrame(ws.OpText, true, strings.Repeat("x", 129)))
	allowed.closes(ws.StatusMessageTooBig, "message is larger than this endpoint takes")

	change(func(c *gateway.Config) { c.MaxChannels = 1 })
	upstream.publishes("unheard", "1")
	if n := s.stats().Publish.EventsUnkept; n != 1 {
		t.Errorf("%d channels found no room", n)
	}
	limits := s.stats().Limits
	if want := (gateway.Limits{MaxClients: 2, MaxPublishers: config.MaxPublishers, MaxChannels: 1, Subscriptions: config.MaxSubscriptions, Credits: 2 << 20, Backlog: config.BacklogBytes, BacklogMemory: 3 << 20, HistoryMemory: config.HistoryMemory, InputMemory: config.InputMemory}); limits != want {
		t.Errorf("the limits are %+v, want %+v", limits, want)
	}
}

// What needs a restart stays as it is, and an invalid change changes nothing.
func TestReconfigureWithin(t *testing.T) {
	s, config := reconfigurable(t)
	before := config
	config.MaxClients, config.Credits = 7, 0
	if err := s.Reconfigure(config); err == nil || !strings.Contains(err.Error(), "Credits is 0, must be at least 1") {
		t.Errorf("error %v", err)
	}
	if got := s.stats().Limits.MaxClients; got != before.MaxClients {
		t.Errorf("%d clients are allowed after an invalid change", got)
	}
	config = before
	config.Shards, config.PingInterval = 4, before.PingInterval*2
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	p := s.dialRaw()
	p.sends(head + "\r\n")
	p.upgraded()
	if m := decode[message](t, p.text()); m.PingIntervalMS != uint64(before.PingInterval.Milliseconds()) {
		t.Errorf("the welcome is %+v", m)
	}
	if n := len(s.stats().Shards); n != 1 {
		t.Errorf("there are %d shards", n)
	}
}

// TestReconfigureHistory changes what is kept of channels while there are events.
func TestReconfigureHistory(t *testing.T) {
	s, config := reconfigurable(t)
	upstream := s.publisher()
	publish := func(events int, channels ...string) gateway.PublishStats {
		t.Helper()
		for range events {
			for _, channel := range channels {
				upstream.publishes(channel, `"`+strings.Repeat("x", 1000)+`"`)
			}
		}
		return s.stats().Publish
	}
	change := func(set func(c *gateway.Config)) {
		t.Helper()
		set(&config)
		if err := s.Reconfigure(config); err != nil {
			t.Fatal(err)
		}
	}
	if got := publish(10, "a", "b"); got.HistoryEvents != 20 || got.HistoryBytes < 20*1000 {
		t.Errorf("by default: %d events in %d bytes", got.HistoryEvents, got.HistoryBytes)
	}
	change(func(c *gateway.Config) {
		c.HistoryRules = []gateway.HistoryRule{{Pattern: "a", History: gateway.History{}}}
	})
	if got := publish(1, "a", "b"); got.HistoryEvents != 11 {
		t.Errorf("with nothing of a: %d events", got.HistoryEvents)
	}
	change(func(c *gateway.Config) { c.History, c.HistoryRules = gateway.History{}, nil })
	if got := publish(1, "a", "b"); got.HistoryEvents != 0 || got.HistoryBytes != 0 {
		t.Errorf("with nothing of any: %d events in %d bytes", got.HistoryEvents, got.HistoryBytes)
	}
	change(func(c *gateway.Config) { c.History, c.HistoryMemory = gateway.DefaultHistory(), 0 })
	if got := publish(1, "a", "b"); got.HistoryEvents != 0 {
		t.Errorf("without memory: %d events", got.HistoryEvents)
	}
	const memory = 64 << 10
	change(func(c *gateway.Config) { c.HistoryMemory = memory })
	got := publish(20, "a", "b", "c", "d", "e")
	if got.HistoryEvents == 0 || got.HistoryBytes > memory || got.HistoryBytes < memory/2 || got.HistoryEvicted == 0 {
		t.Errorf("with %d bytes: %d events in %d bytes, %d given up", memory, got.HistoryEvents, got.HistoryBytes, got.HistoryEvicted)
	}
	if limits := s.stats().Limits; limits.HistoryMemory != memory {
		t.Errorf("the limits are %+v", limits)
	}
}

// Publishers that wait for credit go on when there is more of it.
func TestReconfigureCredits(t *testing.T) {
	s, config := reconfigurable(t)
	client := s.connectNarrow()
	client.subscribe("news")
	config.Credits, config.PublisherCredits = 1<<10, 1<<10
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	if got := s.stats().Publish.CreditsUsed; got != 0 {
		t.Errorf("%d credits are used", got)
	}
	config.Credits = 1 << 30
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		s.publish("news", "1")
		client.wants(event("news", uint64(i+1), "1"))
	}
	s.eventually("the return of all credits", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
}

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestConnectionLog(t *testing.T) {
	for _, test := range []struct {
		name   string
		limit  int
		wanted []string
	}{
		{"off", 0, nil},
		{"on", 100, []string{
			`msg="client connected" client=`, `origin=https://localhost`, `msg="client gone" client=`, "reason=client_closed",
			`msg="handshake refused" reason=not_websocket address=127.0.0.1:`, `msg="publisher connected" address=127.0.0.1:`, `msg="publisher gone" address=127.0.0.1:`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log lines
			config := gateway.DefaultConfig(100)
			config.ConnectionLog = test.limit
			g, err := gateway.New(config, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			s := &server{TB: t, Gateway: g, ended: make(chan struct{})}
			go func() { g.Run(); close(s.ended) }()
			p := s.dialRaw()
			p.sends(head + "Origin: https://localhost\r\nCookie: secret\r\n\r\n")
			p.upgraded()
			p.text()
			p.sends(clientFrame(ws.OpClose, true, ""))
			p.Close()
			refused := s.dialRaw()
			refused.sends("GET /?token=secret HTTP/1.1\r\nHost: localhost\r\n\r\n")
			refused.refused(404, "", "")
			s.publisher().Close()
			s.eventually("the end of all", func(g gateway.GatewayStats) bool {
				return g.Total.Connections == 0 && g.Total.Accepted == 2 && g.Publish.Publishers == 0
			})
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := g.Drain(ctx); err != nil {
				t.Fatal(err)
			}
			s.awaitEnd()
			text := log.String()
			for _, wanted := range test.wanted {
				if !strings.Contains(text, wanted) {
					t.Errorf("no %q in the log:\n%s", wanted, text)
				}
			}
			if test.wanted == nil && strings.Count(text, "\n") > strings.Count(text, `msg="handshakes of clients were refused"`) || strings.Contains(text, "secret") {
				t.Errorf("the log is\n%s", text)
			}
		})
	}
}

// A welcome tells the limits that hold when it is said.
func TestReconfigureWelcome(t *testing.T) {
	s, config := reconfigurable(t)
	bounds := func() string {
		t.Helper()
		p := s.dialRaw()
		p.sends(head + "\r\n")
		p.upgraded()
		_, limits, _ := strings.Cut(p.text(), `"limits":`)
		return limits
	}
	config.ClientCommands, config.ClientPublishes = gateway.Rate{}, gateway.Rate{PerSecond: 0.5, Burst: 7}
	config.ClientChannels, config.MaxMessage, config.MaxEvent, config.MaxChannelName = 5000, 1000, 900, 100
	for i, want := range []string{
		`{"publishes_per_second":0.5,"publishes_burst":7,"channels":5000,"names_per_command":1024,"message_bytes":1000,"event_bytes":900,"channel_bytes":100}}`,
		`{"publishes_per_second":0.5,"publishes_burst":7,"channels":5001,"names_per_command":1024,"message_bytes":1000,"event_bytes":900,"channel_bytes":100}}`,
	} {
		config.ClientChannels = 5000 + i
		if err := s.Reconfigure(config); err != nil {
			t.Fatal(err)
		}
		if got := bounds(); got != want {
			t.Errorf("the welcome tells the limits %s, want %s", got, want)
		}
	}
}
