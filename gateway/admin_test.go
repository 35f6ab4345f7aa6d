package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
)

// admin serves the admin port; get asks for a path.
func admin(t *testing.T, g *gateway.Gateway) (get func(path string) (status int, contentType, body string)) {
	t.Helper()
	web := httptest.NewServer(g.AdminHandler(gateway.Admin{}))
	t.Cleanup(web.Close)
	return func(path string) (int, string, string) {
		t.Helper()
		response, err := web.Client().Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, response.Header.Get("Content-Type"), string(body)
	}
}

func TestHealthAndReadiness(t *testing.T) {
	config := gateway.DefaultConfig(100)
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	get := admin(t, g)
	const text = "text/plain; charset=utf-8"
	want := func(path string, status int, body string) {
		t.Helper()
		if gotStatus, kind, got := get(path); gotStatus != status || kind != text || got != body+"\n" {
			t.Errorf("%s is answered with %d %s %q", path, gotStatus, kind, got)
		}
	}
	const notReady = "not ready: the gateway is starting or draining"
	want("/readyz", http.StatusServiceUnavailable, notReady)
	want("/healthz", http.StatusOK, "ok")

	s := &server{TB: t, Gateway: g, ended: make(chan struct{})}
	go func() {
		g.Run()
		close(s.ended)
	}()
	t.Cleanup(g.Close)
	p := s.connect() // so that it runs
	want("/readyz", http.StatusOK, "ready")

	result := s.drain(patience)
	if m := decode[message](t, p.text()); m.Type != "goodbye" {
		t.Errorf("received %+v", m)
	}
	want("/readyz", http.StatusServiceUnavailable, notReady) // while p holds the drain up
	want("/healthz", http.StatusOK, "ok")
	p.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
	want("/readyz", http.StatusServiceUnavailable, notReady)
	if status, kind, body := get("/api/stats"); status != http.StatusServiceUnavailable || kind != "application/json" || !strings.Contains(body, `"not_available"`) {
		t.Errorf("/api/stats of what has stopped is answered with %d %s %q", status, kind, body)
	}
}

// TestStats does one of each and knows what must be counted.
func TestStats(t *testing.T) {
	s := start(t, func(c *gateway.Config) {
		c.MaxClients, c.MaxPublishers, c.MaxChannels, c.Credits, c.BacklogBytes = 100, 10, 20, 1<<20, 1<<10
	})
	get := admin(t, s.Gateway)

	one, two := s.connect(), s.connect()
	const subscribe = `{"type":"subscribe","channel":"news"}`
	one.subscribe("news")
	two.subscribe("news")
	one.subscribe("other")
	one.says(ping)
	one.text()
	one.says("nonsense")
	one.text()
	upstream := s.publisher()
	upstream.publishes("news", "12345")
	upstream.publishes("nobody", "1")
	one.wants(event("news", 1, "12345"))
	two.wants(event("news", 1, "12345"))
	upstream.sends("x\n")
	upstream.line()
	refused := s.dialRaw()
	refused.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	refused.refused(404, "", "")
	three := s.connect()
	three.sends(clientFrame(ws.OpClose, true, ""))
	three.frame()
	three.Close()
	s.eventually("the end of two", func(g gateway.GatewayStats) bool { return g.Total.Connections == 2 })

	status, kind, body := get("/api/stats")
	if status != http.StatusOK || kind != "application/json" {
		t.Fatalf("/api/stats is answered with %d %s", status, kind)
	}
	stats := decode[gateway.GatewayStats](t, body)
	total := stats.Total
	commands := 2*len(clientFrame(ws.OpText, true, subscribe)) + len(clientFrame(ws.OpText, true, strings.Replace(subscribe, "news", "other", 1))) +
		len(clientFrame(ws.OpText, true, ping)) + len(clientFrame(ws.OpText, true, "nonsense")) + len(clientFrame(ws.OpClose, true, ""))
	bytesIn := uint64(3*len(head+"\r\n") + commands + len("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	if total.BytesOut < 500 || total.Writes < 10 || total.Events < 1 || total.Events > 2 || total.Channels < 2 || total.Channels > 3 {
		t.Errorf("the counters are %+v", total)
	}
	// These depend on which shard the kernel gives a client to, or on how
	// replies meet in one write.
	total.BytesOut, total.Writes, total.Events, total.Channels = 0, 0, 0, 0
	if timed := total.PublishToWrite; timed.Count != stats.Total.Events || timed.Sum <= 0 || total.Turns.Count == 0 || total.Turns.Sum <= 0 {
		t.Errorf("the times are %+v and %+v", timed, total.Turns)
	}
	total.PublishToWrite, total.Turns = gateway.Histogram{}, gateway.Histogram{}
	want := gateway.Stats{
		Connections: 2, Clients: 2, Subscriptions: 3, Deliveries: 2, ClientMessages: 5, CommandErrors: map[string]uint64{"bad_request": 1},
		BytesIn: bytesIn, Accepted: 4,
		Disconnects:       map[string]uint64{"handshake_failed": 1, "client_closed": 1},
		HandshakeFailures: map[string]uint64{"not_websocket": 1}, Recoveries: map[string]uint64{},
	}
	if !reflect.DeepEqual(total, want) {
		t.Errorf("the counters are\n%+v, want\n%+v", total, want)
	}
	if stats.Limits != (gateway.Limits{MaxClients: 100, MaxPublishers: 10, MaxChannels: 20, Subscriptions: gateway.DefaultMaxSubscriptions, Credits: 1 << 20, Backlog: 1 << 10, BacklogMemory: gateway.DefaultBacklogMemory, HistoryMemory: gateway.DefaultHistoryMemory, InputMemory: gateway.DefaultInputMemory}) {
		t.Errorf("the limits are %+v", stats.Limits)
	}
	if age := time.Since(stats.StartedAt); !stats.Ready || age < 0 || age > patience {
		t.Errorf("the gateway is ready: %v, started %v ago", stats.Ready, age)
	}
	if len(stats.Shards) != 2 || stats.Shards[0].Accepted+stats.Shards[1].Accepted != 4 {
		t.Errorf("the shards are %+v", stats.Shards)
	}
	upstreamIn := len(`{"id":1,"channel":"news","data":12345}`+"\n"+`{"id":1,"channel":"nobody","data":1}`+"\n") + len("x\n")
	publish := stats.Publish
	if publish.BytesOut == 0 {
		t.Error("no bytes went out of the publish port")
	}
	publish.BytesOut = 0
	wantPublish := gateway.PublishStats{
		Publishers: 1, Requests: 2, Events: 2, BytesIn: uint64(upstreamIn), Streams: 3, StreamsUnused: 1, HistoryEvents: 2, HistoryBytes: publish.HistoryBytes,
		Errors: map[string]uint64{"bad_request": 1}, Refused: map[string]uint64{}, Ended: map[string]uint64{},
	}
	if !reflect.DeepEqual(publish, wantPublish) {
		t.Errorf("the publish port's counters are\n%+v, want\n%+v", publish, wantPublish)
	}

	// The names are an interface.
	for _, name := range []string{"clients", "subscriptions", "channels", "events", "deliveries", "bytes_in", "bytes_out",
		"backlog_bytes", "disconnects", "handshake_failures", "publishers", "credits_used_bytes", "streams"} {
		if !strings.Contains(body, `"`+name+`":`) {
			t.Errorf("%s is not in %s", name, body)
		}
	}
}

func TestDashboardIsMounted(t *testing.T) {
	get := admin(t, start(t).Gateway)
	for path, want := range map[string]string{"/": "/dashboard/dashboard.js", "/dashboard/dashboard.js": "/api/stats"} {
		if status, _, body := get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s is answered with %d %.200q", path, status, body)
		}
	}
}

func TestProfiles(t *testing.T) {
	s := start(t)
	s.stats() // the loops run
	get := admin(t, s.Gateway)
	for path, want := range map[string]string{
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "poller.(*Loop).Run",
		"/debug/pprof/cmdline":           "gateway.test",
	} {
		if status, _, body := get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s is answered with %d %.200q", path, status, body)
		}
	}
	for _, path := range []string{"/none", "/api/none", "/debug"} {
		if status, _, _ := get(path); status != http.StatusNotFound {
			t.Errorf("%s is answered with %d", path, status)
		}
	}
}
