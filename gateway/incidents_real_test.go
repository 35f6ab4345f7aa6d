package gateway_test

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// startLogged is start with a log that the test reads.
func startLogged(tb testing.TB, set ...func(*gateway.Config)) (*server, *lines) {
	tb.Helper()
	config := gateway.DefaultConfig(10_000)
	config.Shards = 2
	for _, f := range set {
		f(&config)
	}
	log := new(lines)
	g, err := gateway.New(config, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		tb.Fatalf("starting a gateway: %v", err)
	}
	g.WatchEvery(20 * time.Millisecond)
	return run(tb, g), log
}

// await waits until a line of the log matches, and returns it.
func (l *lines) await(tb testing.TB, pattern string) string {
	tb.Helper()
	expression := regexp.MustCompile("(?m)^.*" + pattern + ".*$")
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-poll.C {
		if line := expression.FindString(l.String()); line != "" {
			return line
		}
	}
	tb.Fatalf("no line of the log matches %s:\n%s", pattern, l)
	return ""
}

// TestIncidents has clients and publishers refused and cut off in ways of each
// kind. The log tells of it without any option, and names one of them.
func TestIncidents(t *testing.T) {
	t.Parallel() // it waits most of the time
	const client, address = `example\.client=[0-9a-f]{16} example\.address=127\.0\.0\.1:\d+`, `example\.address=127\.0\.0\.1:\d+`
	for _, test := range []struct {
		name    string
		set     func(*gateway.Config)
		act     func(*server)
		pattern string
	}{
		{"full", func(c *gateway.Config) { c.MaxClients = 1 }, func(s *server) {
			s.connect()
			s.dialRaw().refused(503, "", "")
		}, `level=WARN msg="handshakes of clients were refused" reason=full count=\d total=\d ` + address + ` advice="raise --max-clients`},
		{"an origin", func(c *gateway.Config) { c.AllowedOrigins = []string{"https://ours.example"} }, func(s *server) {
			for _, origin := range []string{"https://shop.example", "https://ours.example.evil.example"} {
				p := s.dialRaw()
				p.sends(head + "Origin: " + origin + "\r\n\r\n")
				p.refused(403, "", "")
			}
		}, `level=WARN .*reason=forbidden_origin .*origins="?https://(shop|ours).example.* ` + address + ` advice="if these are your pages, add their origins to --allow-origin"`},
		{"a host", nil, func(s *server) {
			p := s.dialRaw() // an absolute target stands above Host
			p.sends(strings.Replace(head, "GET /ws", "GET http://evil.example:80/ws", 1) + "\r\n")
			p.refused(421, "", "")
		}, `level=WARN .*reason=forbidden_host .*hosts=evil\.example:80 ` + address + ` advice=.*--allow-host`},
		{"an address with too many", func(c *gateway.Config) { c.AddressClients = 1 }, func(s *server) {
			s.connect()
			s.dialRaw().refused(429, "", "")
		}, `level=WARN .*reason=address_full .*` + address + ` advice=.*--address-clients`},
		{"a token", identified, func(s *server) {
			p := s.shows("Authorization: Bearer nonsense")
			p.responseHead()
		}, `level=INFO msg="handshakes of clients were refused" reason=token_refused .*reasons=token_malformed ` + address + ` advice=.*--explain`},
		{"too many commands", func(c *gateway.Config) { c.ClientCommands = gateway.Rate{PerSecond: 1, Burst: 1} }, func(s *server) {
			p := s.connect()
			for range 5 {
				p.says(ping)
			}
		}, `level=WARN msg="commands of clients were refused" code=rate_limited .*` + client + ` example\.message="too many commands: at most 1 a second" advice=.*--client-commands`},
		{"too many channels", func(c *gateway.Config) { c.ClientChannels = 1 }, func(s *server) {
			s.connect().says(`{"type":"subscribe","channels":["a","b"]}`)
		}, `level=WARN msg="commands of clients were refused" code=limit_exceeded .*` + client + ` .*too many channels`},
		{"nonsense", nil, func(s *server) { s.connect().says("nonsense") },
			`level=INFO msg="commands of clients were refused" code=bad_request .*` + client},
		{"a frame that is not masked", nil, func(s *server) { s.violates(s.connect()) },
			`level=INFO msg="clients were cut off" reason=protocol_error .*` + client},
		{"a message that is too long", func(c *gateway.Config) { c.MaxMessage = 200 }, func(s *server) {
			p := s.connect()
			p.says(strings.Repeat("x", 300))
			p.frame() // the close frame
			p.Close()
		}, `level=INFO msg="clients were cut off" reason=message_too_big .*` + client + ` advice=.*--max-message`},
		{"silence", func(c *gateway.Config) { c.PingInterval, c.PongTimeout = 100*time.Millisecond, 100*time.Millisecond }, func(s *server) {
			s.connect()
		}, `level=INFO msg="clients were cut off" reason=ping_timeout .*` + client},
		{"the backlogs' memory", func(c *gateway.Config) { c.BacklogMemory, c.BacklogBytes = 300<<10, 300<<10 }, func(s *server) {
			p := s.connectNarrow()
			p.subscribe("news")
			for upstream := s.publisher(); s.stats().Total.Clients > 0; {
				upstream.publishes("news", `"`+strings.Repeat("x", 60_000)+`"`)
			}
		}, `level=WARN msg="clients were cut off" reason=backlogs_full .*` + client + ` example\.channel=news example\.backlog_bytes=\d+ .*advice=.*/api/channels.*--backlog-memory`},
		{"too many publishers", func(c *gateway.Config) { c.MaxPublishers = 1 }, func(s *server) {
			s.publisher().publishes("news", "1")
			_, _ = io.ReadAll(s.publisher()) // it is reset, or closed
		}, `level=WARN msg="connections to the publish port were turned away" reason=full .*` + address + ` advice=.*--max-publishers`},
		{"too many names", func(c *gateway.Config) { c.MaxChannels = 2 }, func(s *server) {
			for p, i := s.publisher(), 0; i < 3; i++ {
				p.publishes(fmt.Sprint("name-", i), "1")
			}
		}, `level=WARN msg="channels without subscribers were forgotten before .*count=1 total=1 advice=.*--max-channels`},
		{"the histories' memory", func(c *gateway.Config) { c.HistoryMemory = 64 << 10 }, func(s *server) {
			for p, i := s.publisher(), 0; i < 20; i++ {
				p.publishes(fmt.Sprint("name-", i), `"`+strings.Repeat("x", 10_000)+`"`)
			}
		}, `level=WARN msg="histories of channels were given up before .*count=\d+ total=\d+ advice=.*--history-memory`},
		{"a publisher's mistake", nil, func(s *server) {
			s.publisher().sends(array("CLIENT", "SETNAME", "billing") + array("PUBLISH", "a b", "1"))
		}, `level=WARN msg="requests to publish were refused" code=bad_channel .*` + address + ` example\.name=billing example\.message="a channel name`},
		{"a mistake by the API", nil, func(s *server) { s.operator().post("/api/publish", `{"channel":"","data":1}`) },
			`level=WARN msg="requests to publish were refused" code=bad_channel .*` + address + ` example\.by=/api/publish`},
		{"a proxy without a name", behind(gateway.XForwardedFor), func(s *server) {
			p := s.dialFrom(proxyAddress)
			p.sends(head + "\r\n")
			p.upgraded()
		}, `level=WARN msg="trusted proxies did not say .*count=1 total=1 example\.proxy=` + proxyAddress},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.set == nil {
				test.set = func(*gateway.Config) {}
			}
			t.Parallel()
			s, log := startLogged(t, test.set)
			test.act(s)
			log.await(t, test.pattern)
		})
	}
}

// violates has a client end its connection by a frame that is not masked.
func (s *server) violates(p *peer) {
	s.Helper()
	p.sends("\x81\x01x")
	p.frame() // the close frame
	p.Close()
}

// What is not told when the gateway ends is told then.
func TestIncidentsAtTheEnd(t *testing.T) {
	t.Parallel() // it waits most of the time
	s, log := startLogged(t)
	s.violates(s.connect())
	s.eventually("the end of the client", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	s.Close()
	s.awaitEnd()
	log.await(t, `reason=protocol_error count=1 total=1`)
}

// Loops that are held up say so when they serve again.
func TestHeldUpLoops(t *testing.T) {
	t.Parallel() // it waits most of the time
	s, log := startLogged(t)
	p := s.connect()
	goOn := s.StallShards()
	time.Sleep(1500 * time.Millisecond) // for which they are held up
	goOn()
	p.sends(clientFrame(ws.OpPing, true, ""))
	p.frame()
	line := log.await(t, `level=WARN msg="loops were held up and serve again: their clients and publishers waited"`)
	match := regexp.MustCompile(`longest=(\S+) loops="shard [01](, shard 1)?"$`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("the line is %s", line)
	}
	if took, err := time.ParseDuration(match[1]); err != nil || took < 1500*time.Millisecond-100*time.Millisecond {
		t.Errorf("held up for %v, error %v", took, err)
	}
	s.Close()
	s.awaitEnd()
	// A loop that has no processor for a while answers after the other, and has a line of its own.
	if n := strings.Count(log.String(), "held up"); n > 2 {
		t.Errorf("%d lines:\n%s", n, log)
	}
}
