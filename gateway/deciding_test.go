package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// desk is a decider whose decisions the test makes.
type desk struct {
	asked   chan asked
	reasons []string
	atOnce  int
}

// asked is a request about which it is not decided yet.
type asked struct {
	gateway.ConnectRequest
	ctx    context.Context
	answer chan<- *gateway.ConnectRefusal
}

func newDesk() *desk {
	return &desk{asked: make(chan asked, 10_000), reasons: []string{"bad_token"}, atOnce: 10_000}
}

// sits has the gateway ask d. A request with the query "now" is accepted at once.
func (d *desk) sits(c *gateway.Config) {
	c.Decider = &gateway.Decider{Reasons: d.reasons, AtOnce: d.atOnce,
		Decide: func(ctx context.Context, request gateway.ConnectRequest) *gateway.ConnectRefusal {
			if request.Query == "now" {
				return nil
			}
			answer := make(chan *gateway.ConnectRefusal)
			d.asked <- asked{request, ctx, answer}
			return <-answer // whatever becomes of ctx: not every decider looks at it
		}}
}

// knock sends a request with a query, and what is behind its head.
func (s *server) knock(query, behind string) *peer {
	s.Helper()
	p := s.dialRaw()
	p.sends(strings.Replace(head, "/ws", "/ws?"+query, 1) + "\r\n" + behind)
	return p
}

// deciding waits until so many clients wait for a decision.
func (s *server) deciding(n int64) {
	s.Helper()
	s.eventually("clients that wait for a decision", func(g gateway.GatewayStats) bool { return g.Total.Deciding == n })
}

// ends waits for the end of the request's context, and returns why it ended.
func (a *asked) ends(tb testing.TB) error {
	tb.Helper()
	select {
	case <-a.ctx.Done():
		return a.ctx.Err()
	case <-time.After(patience):
		tb.Fatal("the decider is not told of the end")
		return nil
	}
}

// TestDecisionToAccept has a client that waits: it is told nothing before the
// decision, then everything.
func TestDecisionToAccept(t *testing.T) {
	d := newDesk()
	s := start(t, d.sits)
	p := s.dialRaw()
	p.sends(strings.Replace(head, "/ws", "/ws?token=x", 1) + "Origin: http://localhost\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n")
	request := <-d.asked
	if got := (request.Path + "|" + request.Query + "|" + request.Host + "|" + request.Origin); got != "/ws|token=x|localhost|http://localhost" {
		t.Errorf("the decider is shown %s", got)
	}
	if values := request.Values("COOKIE"); !slices.Equal(values, []string{"a=1", "b=2"}) {
		t.Errorf("the values of Cookie are %q", values)
	}
	if client := request.Client.String(); client != p.LocalAddr().String() {
		t.Errorf("the client is %s, not %s", client, p.LocalAddr())
	}
	s.deciding(1)
	if total := s.stats().Total; total.Clients != 0 || total.BytesOut != 0 {
		t.Errorf("before the decision the counters are %+v", total)
	}
	request.answer <- nil
	p.upgraded()
	if welcome := decode[message](p, p.text()); welcome.Type != "welcome" {
		t.Errorf("the first message is %+v", welcome)
	}
	p.says(ping)
	p.wants(pong)
	if err := request.ends(t); !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended with %v", err)
	}
	if total := s.stats().Total; total.Deciding != 0 || total.Clients != 1 {
		t.Errorf("the counters are %+v", total)
	}
}

// TestDecisionBehindOwnChecks: what the gateway itself refuses, nobody is asked about.
func TestDecisionBehindOwnChecks(t *testing.T) {
	d := newDesk()
	s := start(t, d.sits)
	p := s.dialRaw()
	p.sends(head + "Origin: http://elsewhere.test\r\n\r\n")
	p.refused(403, "origin", "")
	if len(d.asked) != 0 {
		t.Error("the decider was asked")
	}
}

func TestDecisionToRefuse(t *testing.T) {
	d := newDesk()
	s := start(t, d.sits)
	tests := map[string]struct {
		refusal        gateway.ConnectRefusal
		status         int
		reason, header string
	}{
		"plain":          {gateway.ConnectRefusal{Status: 401, Reason: "bad_token", Message: "the token has expired"}, 401, "bad_token", ""},
		"field":          {gateway.ConnectRefusal{Status: 401, Reason: "bad_token", Header: http.Header{"Www-Authenticate": {"Bearer"}}}, 401, "bad_token", "WWW-Authenticate: Bearer\r\n"},
		"line end":       {gateway.ConnectRefusal{Status: 503, Reason: "bad_token", Header: http.Header{"Retry-After": {"7\r\nX: y"}}}, 503, "bad_token", "Retry-After: 7  X: y\r\n"},
		"framing":        {gateway.ConnectRefusal{Status: 403, Message: "no", Header: http.Header{"Content-Length": {"100"}, "Connection": {"keep-alive"}}}, 403, "refused", "Content-Length: 3\r\n"},
		"unknown reason": {gateway.ConnectRefusal{Status: 429, Reason: "whatever\n"}, 429, "refused", ""},
		"no status":      {gateway.ConnectRefusal{}, 403, "refused", ""},
		"status 200":     {gateway.ConnectRefusal{Status: 200}, 403, "refused", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := s.stats().Total.HandshakeFailures[test.reason]
			p := s.knock("", "")
			p.TB = t
			request := <-d.asked
			request.answer <- &test.refusal
			p.refused(test.status, test.refusal.Message, test.header)
			if n := s.stats().Total.HandshakeFailures[test.reason]; n != before+1 {
				t.Errorf("%d are counted as %s, want %d", n, test.reason, before+1)
			}
		})
	}
	s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 && g.Total.Deciding == 0 })
}

// TestDeciderPanics has a decider that panics, or ends its goroutine: its client is
// refused, and others are decided about.
func TestDeciderPanics(t *testing.T) {
	s := start(t, func(c *gateway.Config) {
		c.Decider = &gateway.Decider{AtOnce: 1, Decide: func(_ context.Context, r gateway.ConnectRequest) *gateway.ConnectRefusal {
			switch r.Query {
			case "panic":
				panic("no key")
			case "exit":
				runtime.Goexit()
			}
			return nil
		}}
	})
	for _, query := range []string{"panic", "exit", "panic"} {
		s.knock(query, "").refused(500, "could not be decided", "")
	}
	s.knock("", "").upgraded()
	stats := s.stats()
	if n := stats.Total.HandshakeFailures["decider_failed"]; n != 3 || stats.Total.Deciding != 0 {
		t.Errorf("%d failures are counted, %d clients wait", n, stats.Total.Deciding)
	}
}

// TestGoneBeforeTheDecision has clients that leave in different ways: the decider is
// told, and its answer touches nobody.
func TestGoneBeforeTheDecision(t *testing.T) {
	d := newDesk()
	s := start(t, oneShard, d.sits)
	ways := map[string]struct {
		behind string
		leave  func(*peer)
	}{
		"closes":                     {"", func(p *peer) { p.Close() }},
		"ends its side":              {"", func(p *peer) { p.CloseWrite() }},
		"resets":                     {"", func(p *peer) { p.SetLinger(0); p.Close() }},
		"closes behind early frames": {clientFrame(ws.OpText, true, ping), func(p *peer) { p.Close() }},
		"resets behind early frames": {clientFrame(ws.OpText, true, ping), func(p *peer) { p.SetLinger(0); p.Close() }},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			before := s.stats().Total.HandshakeFailures["vanished"]
			p := s.knock("", way.behind)
			request := <-d.asked
			s.deciding(1)
			way.leave(p)
			if err := request.ends(t); !errors.Is(err, context.Canceled) {
				t.Errorf("the context ended with %v", err)
			}
			s.eventually("its end", func(g gateway.GatewayStats) bool {
				return g.Total.Connections == 0 && g.Total.Deciding == 0 && g.Total.HandshakeFailures["vanished"] == before+1
			})
			request.answer <- nil
			later := s.knock("now", "")
			later.upgraded() // that answer has been taken before, or is without harm
			later.Close()
			s.eventually("nobody", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
		})
	}
	if total := s.stats().Total; total.Clients != 0 || total.ClientMessages != 0 || s.stats().ClientInput != 0 {
		t.Errorf("the counters are %+v", total)
	}
}

// TestDecisionComesTooLate has a decision that comes behind the deadline of the
// handshake.
func TestDecisionComesTooLate(t *testing.T) {
	t.Parallel() // it waits most of the time
	d := newDesk()
	s := start(t, d.sits, func(c *gateway.Config) { c.HandshakeTimeout = 300 * time.Millisecond })
	p := s.knock("", clientFrame(ws.OpText, true, ping))
	request := <-d.asked
	if deadline, ok := request.ctx.Deadline(); !ok || time.Until(deadline) > 300*time.Millisecond {
		t.Errorf("the deadline is %v, %t", deadline, ok)
	}
	p.refused(408, "not decided in time", "")
	_ = request.ends(t) // by its deadline or by the loop, whoever is first
	request.answer <- nil
	s.eventually("the end", func(g gateway.GatewayStats) bool {
		return g.Total.Connections == 0 && g.Total.Deciding == 0 && g.Total.HandshakeFailures["undecided"] == 1 && g.ClientInput == 0
	})
	if n := s.stats().Total.Clients; n != 0 {
		t.Errorf("there are %d clients", n)
	}
}

// TestDecisionsAreBounded: a request counts until the decider has returned, also if its
// client has gone.
func TestDecisionsAreBounded(t *testing.T) {
	d := newDesk()
	d.atOnce = 2
	s := start(t, d.sits)
	gone, stays := s.knock("", ""), s.knock("", "")
	first, second := <-d.asked, <-d.asked
	if first.Client.String() != gone.LocalAddr().String() {
		first, second = second, first
	}
	s.knock("", "").retryAfter(503, "wait for the decision")
	gone.Close()
	s.deciding(1)
	s.knock("", "").retryAfter(503, "wait for the decision")
	first.answer <- nil
	s.eventually("room for one more", func(gateway.GatewayStats) bool {
		p := s.knock("", "")
		defer p.Close()
		select {
		case third := <-d.asked:
			third.answer <- &gateway.ConnectRefusal{Status: 401}
			return true
		case <-time.After(10 * time.Millisecond): // it is refused
			return false
		}
	})
	second.answer <- nil
	stays.upgraded()
	if total := s.stats().Total; total.HandshakeFailures["decisions_full"] < 2 {
		t.Errorf("the counters are %+v", total)
	}
}

// TestDecisionsHaveShares: an address about whose requests nothing is decided leaves room for
// another one.
func TestDecisionsHaveShares(t *testing.T) {
	d := newDesk()
	d.atOnce = 32
	s := start(t, d.sits)
	var waiting []*peer
	for {
		p := s.knock("", "")
		waiting = append(waiting, p)
		full := s.eventually("the next decision", func(g gateway.GatewayStats) bool {
			return g.Total.Deciding == int64(len(waiting)) || g.Total.HandshakeFailures["decisions_full"] == 1
		})
		if full.Total.HandshakeFailures["decisions_full"] == 1 {
			break
		}
	}
	const share = 29 // at the last one, it has no more than 7 times the room of 4
	if n := len(waiting) - 1; n != share {
		t.Errorf("%d requests of one address wait, want %d", n, share)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := dialer.Dial("tcp", s.clientAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	other := newPeer(t, conn.(*net.TCPConn))
	other.SetDeadline(time.Now().Add(patience))
	other.sends(strings.Replace(head, "/ws", "/ws?now", 1) + "\r\n")
	other.upgraded()
	for range share {
		request := <-d.asked
		request.answer <- nil
	}
	s.eventually("all decisions", func(g gateway.GatewayStats) bool { return g.Total.Clients == share+1 })
	s.knock("now", "").upgraded() // nothing is left of the count
}

func TestDrainWhileClientsWaitForADecision(t *testing.T) {
	d := newDesk()
	s := start(t, d.sits)
	p, early := s.knock("", ""), s.knock("", clientFrame(ws.OpText, true, ping))
	requests := []asked{<-d.asked, <-d.asked}
	s.deciding(2)
	result := s.drain(patience)
	p.retryAfter(503, "stopping")
	early.retryAfter(503, "stopping")
	for _, request := range requests {
		_ = request.ends(t)
		request.answer <- nil // perhaps behind the end of the loops
	}
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

func TestCloseWhileClientsWaitForADecision(t *testing.T) {
	d := newDesk()
	s := start(t, d.sits)
	s.knock("", "")
	request := <-d.asked
	s.deciding(1)
	s.Close()
	s.awaitEnd()
	if err := request.ends(t); !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended with %v", err)
	}
	request.answer <- nil
}

// TestSentBeforeTheDecision has a client that sends frames behind its request: some
// are kept, the others are left to the kernel, and all are handled once it is accepted.
func TestSentBeforeTheDecision(t *testing.T) {
	const commands = 20_000
	d := newDesk()
	s := start(t, oneShard, noRates, d.sits)
	p := s.knock("", "")
	request := <-d.asked
	go func() { _, _ = io.WriteString(p.TCPConn, strings.Repeat(clientFrame(ws.OpText, true, ping), commands)) }() // pongs tell
	s.stops("its input", func(g gateway.GatewayStats) uint64 { return g.Total.BytesIn })
	if stats := s.stats(); stats.Total.ClientMessages != 0 || stats.Total.BytesIn > 80<<10 || stats.ClientInput > 256<<10 {
		t.Errorf("%d bytes are read, %d held; %d messages are handled", stats.Total.BytesIn, stats.ClientInput, stats.Total.ClientMessages)
	}
	request.answer <- nil
	p.upgraded()
	p.text() // welcome
	for range commands {
		p.wants(pong)
	}
	if held := s.stats().ClientInput; held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// TestDeciderIsChecked has deciders that New must not take.
func TestDeciderIsChecked(t *testing.T) {
	decide := func(context.Context, gateway.ConnectRequest) *gateway.ConnectRefusal { return nil }
	for problem, d := range map[string]gateway.Decider{
		"no Decide":        {AtOnce: 1},
		"at least 1":       {Decide: decide},
		"at most 16":       {Decide: decide, AtOnce: 1, Reasons: make([]string, 17)},
		"the reason \"A b": {Decide: decide, AtOnce: 1, Reasons: []string{"A b"}},
	} {
		config := gateway.DefaultConfig(100)
		config.Decider = &d
		if err := config.Check(); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: the error is %v", problem, err)
		}
	}
}

// TestFanOutWhileClientsWaitForADecision has 2,000 clients about which it is decided in
// a second or more, and events to others of the same shards, which arrive meanwhile.
func TestFanOutWhileClientsWaitForADecision(t *testing.T) {
	t.Parallel() // it waits most of the time
	const waiting, subscribers, events = 2_000, 20, 50
	d := newDesk()
	s := start(t, d.sits, func(c *gateway.Config) { c.HandshakeTimeout = patience })
	others := make([]*peer, subscribers)
	for i := range others {
		others[i] = s.knock("now", "")
		others[i].upgraded()
		others[i].text() // welcome
		others[i].subscribe("news")
	}
	for _, shard := range s.stats().Shards {
		if shard.Clients == 0 {
			t.Fatal("a shard has no subscribers")
		}
	}
	upstream, offset, slowest := s.publisher(), uint64(0), time.Duration(0)
	fanOut := func() {
		t.Helper()
		began := time.Now()
		offset++
		upstream.publishes("news", "1")
		for _, p := range others {
			p.wants(event("news", offset, "1"))
		}
		slowest = max(slowest, time.Since(began))
	}

	peers, requests := make([]*peer, waiting), make(map[string]asked)
	for i := range peers {
		peers[i] = s.knock(strconv.Itoa(i), "")
		request := <-d.asked
		requests[request.Query] = request
		if i%100 == 0 {
			fanOut()
		}
	}
	// Each request is a copy of its own, though the loops have read others since.
	if s.deciding(waiting); len(requests) != waiting {
		t.Errorf("the requests have %d different queries", len(requests))
	}
	decided := time.After(time.Second)
	for range events {
		fanOut()
	}
	if n := s.stats().Total.Deciding; n != waiting {
		t.Errorf("%d wait for a decision, want %d", n, waiting)
	}
	t.Logf("the slowest of %d fan-outs took %v while the others waited", offset, slowest)
	slowest = 0
	<-decided
	welcomed := make(chan struct{})
	go func() {
		defer close(welcomed)
		for _, request := range requests {
			request.answer <- nil
		}
	}()
	s.eventually("all clients", func(g gateway.GatewayStats) bool {
		fanOut()
		return g.Total.Clients == waiting+subscribers
	})
	<-welcomed
	t.Logf("the slowest took %v while they were welcomed", slowest)
	for _, p := range peers {
		p.upgraded()
		p.text()
	}
}
