package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

type clientDetail struct {
	Client        string    `json:"client"`
	Shard         int       `json:"shard"`
	Address       string    `json:"address"`
	User          string    `json:"user"`
	ConnectedAt   time.Time `json:"connected_at"`
	AgeSeconds    float64   `json:"age_seconds"`
	Channels      []string  `json:"channels"`
	Subscriptions int       `json:"subscriptions"`
	Backlog       struct {
		Bytes         int     `json:"bytes"`
		Messages      int     `json:"messages"`
		OldestSeconds float64 `json:"oldest_seconds"`
	} `json:"backlog"`
	ReceivedBytes int     `json:"received_bytes"`
	SentBytes     int     `json:"sent_bytes"`
	RTTSeconds    float64 `json:"rtt_seconds"`
	UnsentBytes   int     `json:"unsent_bytes"`
}

func (o *operator) client(id string) clientDetail {
	o.Helper()
	return answered[clientDetail](o, o.get("/api/clients/"+id), 200)
}

func TestClientDetail(t *testing.T) {
	t.Parallel() // it waits most of the time
	before := time.Now()
	s := start(t, func(c *gateway.Config) { c.ClientChannels = 1_200 })
	o := s.operator()
	p, id := s.connectKnown(0)
	const command = `{"type":"subscribe","channel":"news"}`
	p.subscribe("news")
	d := o.client(id)
	upper := time.Since(before)
	// Ages count from each client's own handshake.
	s.eventually("an age", func(gateway.GatewayStats) bool { return o.client(id).AgeSeconds >= 0.5 })
	_, youngID := s.connectKnown(0)
	if young, old := o.client(youngID), o.client(id); old.AgeSeconds-young.AgeSeconds < 0.3 || young.ConnectedAt.Sub(d.ConnectedAt) < 300*time.Millisecond {
		t.Errorf("a client that came half a second later is %v s old, the first %v s", young.AgeSeconds, old.AgeSeconds)
	}
	if d.Client != id || d.Address != p.LocalAddr().String() || d.Subscriptions != 1 || len(d.Channels) != 1 || d.Channels[0] != "news" {
		t.Errorf("the client is %+v", d)
	}
	if d.AgeSeconds < 0 || d.AgeSeconds > upper.Seconds()+0.2 || time.Since(d.ConnectedAt) < 0 || d.ConnectedAt.Before(before.Add(-time.Second)) {
		t.Errorf("it is %v s old, since %v; the test is as old as %v", d.AgeSeconds, d.ConnectedAt, upper)
	}
	if want := len(head+"\r\n") + len(clientFrame(ws.OpText, true, command)); d.ReceivedBytes != want || d.SentBytes == 0 {
		t.Errorf("received are %d, want %d; sent %d", d.ReceivedBytes, want, d.SentBytes)
	}
	if d.RTTSeconds <= 0 || d.RTTSeconds > 1 || d.Backlog.Bytes != 0 || d.Backlog.OldestSeconds != 0 {
		t.Errorf("the client is %+v", d)
	}
	stats := s.stats()
	if stats.Shards[d.Shard].Clients == 0 {
		t.Errorf("shard %d is said to have it; the shards are %+v", d.Shard, stats.Shards)
	}
	for batch := range 2 {
		var names []string
		for i := range 550 {
			names = append(names, fmt.Sprintf(`"%d-%d"`, batch, i))
		}
		p.says(`{"type":"subscribe","channels":[` + strings.Join(names, ",") + `]}`)
		for range names {
			p.text()
		}
	}
	if d := o.client(id); d.Subscriptions != 1_101 || len(d.Channels) != 1_000 || d.Channels[0] != "news" || d.Channels[999] != "1-448" {
		t.Errorf("of %d subscriptions, %d are named", d.Subscriptions, len(d.Channels))
	}
	p.Close()
	s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	o.refused(o.get("/api/clients/"+id), 404, "not_found", id)
}

func TestHostileClientIDs(t *testing.T) {
	s := start(t)
	o := s.operator()
	_, id := s.connectKnown(0)
	s.dialRaw().sends("GET /ws HTTP/1.1\r\n") // its session has no id yet
	s.eventually("two", func(g gateway.GatewayStats) bool { return g.Total.Connections == 2 })
	for _, hostile := range []string{
		"x", id[1:], id + "0", "+" + id[1:], "0x" + id[2:], "ABCDEFABCDEFABCD", "%2e%2e%2fstats", "..%2f" + id, id + "%00", "%ff",
		"%20" + id[1:], strings.Repeat("f", 10_000), "00000000_0000000", "１２３４５６７８９０１２３４５６",
	} {
		for _, reply := range []apiReply{o.get("/api/clients/" + hostile), o.post("/api/clients/"+hostile+"/disconnect", "{}")} {
			o.refused(reply, 400, "bad_request", "16 hexadecimal digits")
		}
	}
	o.refused(o.get("/api/clients/0000000000000000"), 404, "not_found", "0000000000000000")
	o.refused(o.get("/api/clients/"+id+"/nonsense"), 404, "not_found", "/nonsense")
	o.refused(o.get("/api/clients/"), 404, "not_found", "/api/clients/")
	if stats := s.stats().Total; stats.Connections != 2 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestDisconnect has clients that others wrote see the end.
func TestDisconnect(t *testing.T) {
	t.Parallel() // it waits most of the time
	for body, reason := range map[string]string{
		"": "disconnected by an operator", "{}": "disconnected by an operator", ` { "reason" : "moved \u00e9" } `: "moved é",
		`{"reason":""}`: "", `{"reason":"` + strings.Repeat("é", 61) + `x"}`: strings.Repeat("é", 61) + "x",
	} {
		s := start(t)
		o := s.operator()
		c, other := dialCoder(s, nil, nil), s.connect()
		id := c.welcome().Client
		c.subscribe("news")
		other.subscribe("news")
		got := answered[map[string]any](t, o.post("/api/clients/"+id+"/disconnect", body), 200)
		if got["client"] != id || got["disconnected"] != true {
			t.Errorf("answered with %v", got)
		}
		_, err := c.receive()
		var closed coder.CloseError
		if !errors.As(err, &closed) || closed.Code != coder.StatusPolicyViolation || closed.Reason != reason {
			t.Errorf("after %s the client is told %v, want 1008 %q", body, err, reason)
		}
		o.refused(o.get("/api/clients/"+id), 404, "not_found", id)
		o.refused(o.post("/api/clients/"+id+"/disconnect", ""), 404, "not_found", id)
		s.eventually("its end", func(g gateway.GatewayStats) bool {
			return g.Total.Connections == 1 && g.Total.Subscriptions == 1 && g.Total.Disconnects["disconnected"] == 1
		})
		s.publish("news", "1")
		other.wants(event("news", 1, "1"))
	}
}

func TestBadDisconnects(t *testing.T) {
	s := start(t)
	o := s.operator()
	p, id := s.connectKnown(0)
	for body, message := range map[string]string{
		`{"reason":"` + strings.Repeat("é", 62) + `"}`: "at most 123 bytes",
		`{"reason":1}`:                  "must be a text",
		`{"reason":null}`:               "must be a text",
		`{"Reason":"x"}`:                `no key "Reason"`,
		`{"reason":"a","reason":"b"}`:   "repeated",
		`{"reason":"a","code":1000}`:    `no key "code"`,
		`{"reason":"a"`:                 "unexpected end",
		`{"reason":"a"}{}`:              "invalid JSON",
		"{\"reason\":\"\xff\"}":         "UTF-8",
		`[]`:                            "one JSON object",
		`null`:                          "one JSON object",
		strings.Repeat(" ", 100) + "{]": "invalid JSON",
	} {
		o.refused(o.post("/api/clients/"+id+"/disconnect", body), 400, "bad_request", message)
	}
	p.says(ping)
	p.wants(`{"type":"pong"}`)
}

type laggardList struct {
	Laggards []struct {
		Client          string  `json:"client"`
		Shard           int     `json:"shard"`
		Address         string  `json:"address"`
		BacklogBytes    int     `json:"backlog_bytes"`
		BacklogMessages int     `json:"backlog_messages"`
		OldestSeconds   float64 `json:"oldest_seconds"`
	} `json:"laggards"`
}

// TestLaggards has clients of which some do not read, one more behind than the
// other, and then read on.
func TestLaggards(t *testing.T) {
	s := start(t, neverSlow)
	o, began := s.operator(), time.Now()
	first, firstID := s.connectKnown(4 << 10)
	second, secondID := s.connectKnown(4 << 10)
	reader := s.connect()
	for _, p := range []*peer{first, second, reader} {
		p.subscribe("both")
	}
	second.subscribe("more")
	upstream := s.publisher()
	data := `"` + strings.Repeat("x", 60_000) + `"`
	const both, more = 8, 4
	for range both {
		upstream.publishes("both", data)
	}
	for range more {
		upstream.publishes("more", data)
	}
	for i := range uint64(both) {
		reader.wants(eventAt("both", i+1, data))
	}
	s.eventually("the last event", func(g gateway.GatewayStats) bool { return g.Total.Deliveries == 3*both+more })

	list := answered[laggardList](t, o.get("/api/laggards"), 200).Laggards
	if len(list) != 2 || list[0].Client != secondID || list[1].Client != firstID || list[0].BacklogBytes <= list[1].BacklogBytes {
		t.Fatalf("the laggards are %+v, want %s and %s", list, secondID, firstID)
	}
	sum := int64(list[0].BacklogBytes + list[1].BacklogBytes)
	if stats := s.stats().Total; sum != stats.BacklogBytes {
		t.Errorf("they lag by %d bytes in all; the counters say %d", sum, stats.BacklogBytes)
	}
	for i, p := range []*peer{second, first} {
		l, d := list[i], o.client(list[i].Client)
		if l.Address != p.LocalAddr().String() || l.Shard != d.Shard || l.BacklogBytes != d.Backlog.Bytes || l.BacklogMessages != d.Backlog.Messages {
			t.Errorf("a laggard is %+v, the client %+v", l, d)
		}
		if l.OldestSeconds < 0 || l.OldestSeconds > d.Backlog.OldestSeconds || d.Backlog.OldestSeconds > time.Since(began).Seconds() {
			t.Errorf("its oldest event waits for %v s, then %v s; the test is %v old", l.OldestSeconds, d.Backlog.OldestSeconds, time.Since(began))
		}
		if d.UnsentBytes == 0 {
			t.Errorf("no bytes wait in the kernel: %+v", d)
		}
	}
	if list := answered[laggardList](t, o.get("/api/laggards?limit=1"), 200).Laggards; len(list) != 1 || list[0].Client != secondID {
		t.Errorf("the first laggard is %+v", list)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "after=x"} {
		o.refused(o.get("/api/laggards?"+query), 400, "bad_request", strings.Split(query, "=")[0])
	}

	// An operator cuts one off, who vanishes; the other reads and catches up.
	answered[map[string]any](t, o.post("/api/clients/"+secondID+"/disconnect", ""), 200)
	if list := answered[laggardList](t, o.get("/api/laggards"), 200).Laggards; len(list) != 1 || list[0].Client != firstID {
		t.Errorf("the laggard is %+v, want %s", list, firstID)
	}
	second.SetLinger(0)
	second.Close()
	s.eventually("its end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 2 })
	if n := s.Lagging(); n != 1 {
		t.Errorf("%d clients are listed as lagging, want 1", n)
	}
	for i := range uint64(both) {
		first.wants(eventAt("both", i+1, data))
	}
	s.eventually("the end of its backlog", func(gateway.GatewayStats) bool {
		return len(answered[laggardList](t, o.get("/api/laggards"), 200).Laggards) == 0
	})
	if d := o.client(firstID); d.Backlog.Bytes != 0 || d.Backlog.Messages != 0 || d.Backlog.OldestSeconds != 0 {
		t.Errorf("who has caught up has the backlog %+v", d.Backlog)
	}
}

// TestConcurrentOperators has several at once while events flow, and clients
// come, lag and go.
func TestConcurrentOperators(t *testing.T) {
	t.Parallel() // it waits most of the time
	const operators, rounds = 4, 15
	s := start(t)
	o := s.operator()
	done := make(chan struct{})
	for i := range operators {
		go func() {
			defer func() { done <- struct{}{} }()
			for j := range rounds {
				p, id := s.connectKnown(4 << 10)
				p.subscribe("news")
				o.post("/api/publish", fmt.Sprintf(`{"channels":["news","n-%d-%d"],"data":%q}`, i, j, strings.Repeat("x", 10_000)))
				for _, path := range []string{"/api/channels?order=subscribers", "/api/channels?limit=3", "/api/laggards", "/api/clients/" + id, "/api/stats"} {
					if reply := o.get(path); reply.status != http.StatusOK {
						t.Errorf("%s is answered with %d %s", path, reply.status, reply.body)
					}
				}
				if reply := o.post("/api/clients/"+id+"/disconnect", ""); reply.status != http.StatusOK {
					t.Errorf("disconnect is answered with %d %s", reply.status, reply.body)
				}
				io.Copy(io.Discard, p.in)
				p.Close()
			}
		}()
	}
	for range operators {
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("the operators do not come to an end")
		}
	}
	s.eventually("the end of all", func(g gateway.GatewayStats) bool {
		return g.Total.Connections == 0 && g.Total.Disconnects["disconnected"] == operators*rounds && g.Publish.Events == 2*operators*rounds && g.Publish.CreditsUsed == 0
	})
	if n := s.Lagging(); n != 0 {
		t.Errorf("%d clients that are gone are listed as lagging", n)
	}
}
