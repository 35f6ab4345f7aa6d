package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
	"fleetcast/gateway/stream"
)

// heldEngine keeps what is submitted until a test completes it, but for the channel news.
type heldEngine struct {
	testing.TB
	embedded stream.Engine

	mu   sync.Mutex
	held map[string][]stream.Ticket // by channel, oldest first
	sum  int
}

func holdEvents(tb testing.TB) *heldEngine {
	return &heldEngine{TB: tb, held: make(map[string][]stream.Ticket)}
}

func (e *heldEngine) Submit(s *stream.Submission) {
	if string(s.Channel) == "news" {
		e.embedded.Submit(s)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[string(s.Channel)] = append(e.held[string(s.Channel)], s.Defer())
	e.sum++
}

// submitted is how many events were ever submitted.
func (e *heldEngine) submitted() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sum
}

// await waits until so many events were submitted.
func (e *heldEngine) await(n int) {
	e.Helper()
	until(e, fmt.Sprint(n, " events are submitted"), func() bool { return e.submitted() >= n })
}

// take takes the oldest event of a channel, which must be there.
func (e *heldEngine) take(channel string) stream.Ticket {
	e.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.held[channel]) == 0 {
		e.Fatalf("nothing is held for %s", channel)
	}
	first := e.held[channel][0]
	e.held[channel] = e.held[channel][1:]
	return first
}

// completes completes the oldest event of each channel, with its place in the call as the offset.
func (e *heldEngine) completes(channels ...string) {
	e.Helper()
	for i, channel := range channels {
		e.take(channel).Complete(stream.Position{Epoch: stream.Epoch([]byte("EEEEEEEE")), Offset: uint64(i + 1), Subscribers: i}, nil)
	}
}

// fails fails the oldest event of a channel.
func (e *heldEngine) fails(channel string) {
	e.Helper()
	e.take(channel).Complete(stream.Position{}, errors.New("no connection to the far side"))
}

// completeAll completes everything.
func (e *heldEngine) completeAll() {
	e.mu.Lock()
	all := e.held
	e.held = make(map[string][]stream.Ticket)
	e.mu.Unlock()
	for _, tickets := range all {
		for _, t := range tickets {
			t.Complete(stream.Position{Offset: 1}, nil)
		}
	}
}

// startOn runs a gateway on the engine.
func startOn(tb testing.TB, e *heldEngine, set ...func(*gateway.Config)) *server {
	tb.Helper()
	g := prepare(tb, set...)
	e.embedded = g.UseEngine(e)
	return run(tb, g)
}

// publishAll lets clients publish everywhere.
func publishAll(c *gateway.Config) { c.ClientPublish = gateway.Patterns{"**"} }

// noCredits waits until no event holds credits.
func (s *server) noCredits() gateway.GatewayStats {
	s.Helper()
	return s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
}

// quiet fails if the peer receives something within a moment. It proves little, and never fails wrongly.
func (p *peer) quiet() {
	p.Helper()
	p.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if b, err := p.in.Peek(1); err == nil {
		p.Fatalf("received %q, want nothing yet", b)
	}
	p.SetReadDeadline(time.Now().Add(patience))
}

// TestEngineNDJSON completes out of order, and with errors: the replies, to whatever it is, keep the order of the
// requests, and the credits are held until then.
func TestEngineNDJSON(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e)
	p := s.publisher()
	p.sends(`{"id":1,"channel":"a","data":1}` + "\n" +
		`{"id":2,"channels":["b","c","b"],"data":1}` + "\n" +
		"nonsense\n" +
		`{"channel":"d","data":1}` + "\n" +
		`{"channel":"e","data":1}` + "\n" +
		`{"id":3,"channels":["f","g"],"data":1}` + "\n" +
		`{"id":4}` + "\n" +
		`{"id":6,"channel":"news","data":1}` + "\n")
	e.await(8)
	s.eventually("an event that does not wait", func(g gateway.GatewayStats) bool { return g.Publish.Events == 1 })
	if stats := s.stats().Publish; stats.CreditsUsed != 8*258 || stats.Requests != 6 {
		t.Errorf("the counters are %+v", stats)
	}
	e.fails("g")
	e.fails("e")
	e.completes("f", "d", "c")
	e.completes("b")
	s.eventually("the completions", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 2*258 })
	p.quiet()
	e.completes("a")
	p.receives(`{"id":1,"results":[{"channel":"a","epoch":"EEEEEEEE","offset":1,"subscribers":0}]}` + "\n")
	e.completes("b")
	p.receives(`{"id":2,"results":[{"channel":"b","epoch":"EEEEEEEE","offset":1,"subscribers":0},` +
		`{"channel":"c","epoch":"EEEEEEEE","offset":3,"subscribers":2},{"channel":"b","epoch":"EEEEEEEE","offset":1,"subscribers":0}]}` + "\n" +
		`{"line":3,"error":{"code":"bad_request","message":"a message is one JSON object"}}` + "\n" +
		`{"line":5,"error":{"code":"not_available","message":"publishing failed: no connection to the far side"}}` + "\n" +
		`{"id":3,"error":{"code":"not_available","message":"publishing failed for 1 of 2 channels, first \"g\": no connection to the far side"}}` + "\n" +
		`{"id":4,"error":{"code":"bad_request","message":"channel is missing"}}` + "\n")
	if a := decode[answer](t, p.line()); a.ID == nil || *a.ID != 6 || a.Results[0].Offset != 1 {
		t.Errorf("received %+v", a)
	}
	stats := s.noCredits().Publish
	if stats.Events != 7 || stats.Errors["not_available"] != 2 || stats.Errors["bad_request"] != 1 {
		t.Errorf("the counters are %+v", stats)
	}
	// The connection is as any other again.
	p.sends(`{"id":5,"channel":"a","data":1}` + "\n")
	e.await(9)
	e.completes("a")
	p.receives(`{"id":5,"results":[{"channel":"a","epoch":"EEEEEEEE","offset":1,"subscribers":0}]}` + "\n")
	p.CloseWrite()
	p.ends()
}

// TestEngineRESP is TestEngineNDJSON for RESP, with commands and a transaction between events, and with
// replies that are not wanted.
func TestEngineRESP(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e)
	p := s.publisher()
	p.sends(array("PING") + array("PUBLISH", "a", "1") + array("PING") + array("PUBLISH", "b", "1") +
		array("MULTI") + array("PUBLISH", "c", "1") + array("ECHO", "x") + array("PUBLISH", "d", "1") + array("EXEC") +
		array("ECHO", "y") + array("CLIENT", "REPLY", "SKIP") + array("PUBLISH", "e", "1") + array("ECHO", "z") +
		array("CLIENT", "REPLY", "OFF") + array("MULTI") + array("PUBLISH", "f", "1") + array("PING") + array("EXEC") + array("CLIENT", "REPLY", "ON") +
		array("QUIT"))
	e.await(6)
	p.receives("+PONG\r\n")
	e.completes("f", "d", "b")
	e.fails("e")
	e.fails("c")
	s.eventually("the completions", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 258 })
	p.quiet()
	e.completes("a")
	p.receives(":0\r\n+PONG\r\n:2\r\n" + queued(3) + "*3\r\n-ERR publishing failed: no connection to the far side\r\n$1\r\nx\r\n:1\r\n" +
		"$1\r\ny\r\n$1\r\nz\r\n+OK\r\n+OK\r\n")
	p.ends()
	if stats := s.noCredits().Publish; stats.Events != 4 || stats.Errors["not_available"] != 2 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestEngineClient has a client wait for its event: its commands keep their order, other clients are served.
func TestEngineClient(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, oneShard, noRates, publishAll)
	p, other := s.connect(), s.connect()
	p.subscribe("news")
	p.says(`{"id":1,"type":"publish","channel":"a","data":1}`)
	p.says(`{"id":2,"type":"publish","channel":"b","data":1}`)
	p.says(`{"id":3,"type":"subscribe","channel":"later"}`)
	p.says(`{"id":4,"type":"ping"}`)
	e.await(1)
	s.publish("news", "7")
	p.wants(event("news", 1, "7")) // which does not wait
	other.subscribe("news")
	p.quiet()
	if n := e.submitted(); n != 1 {
		t.Errorf("%d events of one client are pending", n)
	}
	e.completes("a")
	p.wants(`{"type":"published","id":1,"channel":"a","offset":1}`)
	e.await(2)
	e.fails("b")
	p.wants(`{"type":"error","id":2,"code":"not_available","message":"publish \"b\": publishing failed: no connection to the far side"}`)
	if m := decode[message](t, p.text()); m.Type != "subscribed" || m.Channel != "later" {
		t.Errorf("received %+v", m)
	}
	p.wants(`{"type":"pong","id":4}`)
	stats := s.noCredits()
	if stats.Total.ClientPublished != 1 || stats.Total.CommandErrors["not_available"] != 1 {
		t.Errorf("the counters are %+v", stats.Total)
	}
}

// TestEngineBounds has an engine that completes nothing: credits bound what is pending, of one publisher and of all,
// and replies behind it have a bound too.
func TestEngineBounds(t *testing.T) {
	const line = `{"channel":"a","data":1}` + "\n" // 258 credits
	ping := array("ECHO", strings.Repeat("x", 1000))
	e := holdEvents(t)
	s := startOn(t, e, oneShard, noRates, publishAll, func(c *gateway.Config) {
		c.Credits, c.PublisherCredits, c.IngestLoops = 3*1000, 1000, 1
	})
	echoing := s.publisher()
	echoing.sends(array("PUBLISH", "echo", "1"))
	e.await(1)
	go io.WriteString(echoing.TCPConn, strings.Repeat(ping, 20_000))
	s.stops("reading a publisher that has replies behind its event", func(g gateway.GatewayStats) uint64 { return g.Publish.BytesIn })
	if n := s.stats().Publish.BytesIn; n > 1<<20 {
		t.Errorf("%d bytes of commands are read behind an event that is pending", n)
	}
	p := s.publisher()
	p.sends(strings.Repeat(line, 100))
	s.eventually("a publisher that waits", func(g gateway.GatewayStats) bool { return g.Publish.Paused == 1 })
	if n := e.submitted(); n != 1+4 {
		t.Errorf("%d events are pending, want 4 of a publisher", n-1)
	}
	p2 := s.publisher()
	p2.sends(strings.Repeat(line, 100))
	s.eventually("two publishers that wait", func(g gateway.GatewayStats) bool { return g.Publish.Paused == 2 })
	o := s.operator()
	for range 3 {
		go o.post("/api/publish", `{"channel":"a","data":1}`)
	}
	e.await(12)
	o.refused(o.post("/api/publish", `{"channel":"a","data":1}`), 503, "not_available", "credits")
	client := s.connect()
	client.says(`{"type":"publish","channel":"a","data":1}`)
	s.eventually("a client that waits", func(g gateway.GatewayStats) bool { return g.Total.Paused == 1 })
	if n := e.submitted(); n != 12 {
		t.Errorf("%d events are pending of all", n)
	}
	until(t, "all goes on", func() bool { e.completeAll(); return e.submitted() == 1+100+100+3+1 })
	e.completeAll()
	client.wants(`{"type":"published","channel":"a","offset":1}`)
	echoing.receives(":0\r\n" + strings.Repeat("$1000\r\n"+strings.Repeat("x", 1000)+"\r\n", 20_000))
	s.noCredits()
}

// TestEngineAPI has the API wait for an engine, and for no longer than its caller and the gateway.
func TestEngineAPI(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e)
	o := s.operator()
	replies := make(chan apiReply, 1)
	post := func(body string) { go func() { replies <- o.post("/api/publish", body) }() }
	post(`{"id":7,"channels":["a","b"],"data":1}`)
	e.await(2)
	post(`{"id":8,"channel":"c","data":1}`) // meanwhile
	e.await(3)
	e.completes("c")
	if r := answered[answer](t, <-replies, 200); *r.ID != 8 || r.Results[0].Channel != "c" {
		t.Errorf("answered with %+v", r)
	}
	e.completes("b", "a")
	if r := answered[answer](t, <-replies, 200); *r.ID != 7 || len(r.Results) != 2 || r.Results[0] != (result{"a", "EEEEEEEE", 2, 1}) {
		t.Errorf("answered with %+v", r)
	}
	post(`{"channels":["a","b"],"data":1}`)
	e.await(5)
	e.fails("b")
	e.completes("a")
	o.refused(<-replies, 503, "not_available", `publishing failed for 1 of 2 channels, first "b": no connection`)
	s.noCredits()
	post(`{"channel":"a","data":1}`)
	e.await(6)
	s.Close()
	o.refused(<-replies, 503, "not_available", "the event may have been published")
	e.completeAll()
}

// TestEngineOutlivesPublishers: of those who are gone, a completion gives the credits back, and harms nobody.
func TestEngineOutlivesPublishers(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, oneShard, noRates, publishAll, func(c *gateway.Config) { c.IngestLoops = 1 })
	for _, text := range []string{
		`{"id":1,"channels":["a","a"],"data":1}` + "\n" + `{"id":2,"channel":"a","data":1}` + "\n",
		array("PUBLISH", "a", "1") + array("MULTI") + array("PUBLISH", "a", "1") + array("PUBLISH", "a", "1") + array("EXEC"),
	} {
		before := e.submitted()
		p := s.publisher()
		p.sends(text)
		e.await(before + 3)
		p.SetLinger(0)
		p.Close()
	}
	client, other, o := s.connect(), s.connect(), s.operator()
	client.subscribe("news")
	client.says(`{"id":9,"type":"publish","channel":"a","data":1}`)
	e.await(7)
	client.SetLinger(0)
	client.Close()
	s.eventually("their end", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == 0 })
	o.post("/api/publish", `{"channel":"news","data":1}`) // the client is not read, so only a send can tell
	s.eventually("the client's end", func(g gateway.GatewayStats) bool { return g.Total.Clients == 1 })
	other.says(`{"id":1,"type":"publish","channel":"a","data":1}`)
	e.await(8)
	e.fails("a")
	e.fails("a")
	for range 5 {
		e.completes("a")
	}
	s.eventually("completions for those who are gone", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 258 })
	if stats := s.stats(); stats.Publish.Events != 1+4 || stats.Total.ClientPublished != 1 || len(stats.Publish.Errors) != 0 || stats.Publish.BytesOut != 0 {
		t.Errorf("the counters are %+v", stats)
	}
	e.completes("a")
	other.wants(`{"type":"published","id":1,"channel":"a","offset":1}`)
	p := s.publisher()
	p.sends(`{"id":3,"channel":"a","data":1}` + "\n")
	e.await(9)
	e.completes("a")
	p.receives(`{"id":3,"results":[{"channel":"a","epoch":"EEEEEEEE","offset":1,"subscribers":0}]}` + "\n")
}

// TestDisconnectWithPending: a client that is told to go hears that its event may have been published.
func TestDisconnectWithPending(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, oneShard, noRates, publishAll)
	p := s.dialRaw()
	p.sends(head + "\r\n")
	p.upgraded()
	id := decode[message](t, p.text()).Client
	p.says(`{"id":1,"type":"publish","channel":"a","data":1}`)
	p.says(`{"id":2,"type":"ping"}`)
	e.await(1)
	s.operator().post("/api/clients/"+id+"/disconnect", "{}")
	p.wants(`{"type":"error","id":1,"code":"not_available","message":"publish \"a\": publishing failed: the answer did not come in time; the event may have been published"}`)
	if f := p.frame(); f.Header.OpCode != ws.OpClose {
		t.Errorf("received opcode %#x with %q", f.Header.OpCode, f.Payload)
	}
	e.completeAll()
	s.noCredits()
	p.ends()
}

// TestDrainWithoutEngine drains while an engine completes nothing: publishers and clients are told, and the drain ends.
func TestDrainWithoutEngine(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, noRates, publishAll)
	lines, resp, halfClosed, client := s.publisher(), s.publisher(), s.publisher(), s.connect()
	const id1 = `{"id":1,"channel":"a","data":1}` + "\n"
	lines.sends(id1 + `{"id":2}` + "\n")
	resp.sends(array("PUBLISH", "a", "1") + array("PING"))
	halfClosed.sends(id1)
	halfClosed.CloseWrite()
	client.says(`{"id":1,"type":"publish","channel":"a","data":1}`)
	client.says(`{"id":2,"type":"ping"}`)
	e.await(4)
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		drained <- s.Drain(ctx)
	}()
	const unknown = "publishing failed: the answer did not come in time; the event may have been published"
	refusal := `{"id":1,"error":{"code":"not_available","message":"` + unknown + `"}}` + "\n"
	lines.receives(refusal + `{"id":2,"error":{"code":"bad_request","message":"channel is missing"}}` + "\n")
	lines.ends()
	resp.receives("-ERR " + unknown + "\r\n+PONG\r\n")
	resp.ends()
	halfClosed.receives(refusal)
	halfClosed.ends()
	lines.Close()
	resp.Close()
	client.wants(`{"type":"error","id":1,"code":"not_available","message":"publish \"a\": `+unknown+`"}`, `{"type":"pong","id":2}`)
	if m := decode[message](t, client.text()); m.Type != "goodbye" {
		t.Errorf("received %+v", m)
	}
	client.closes(ws.StatusGoingAway, "draining")
	client.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	e.completeAll() // nobody is there any more
	s.awaitEnd()
}

// TestDrainAwaitsEngine: what an engine completes soon is answered as ever.
func TestDrainAwaitsEngine(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, noRates, publishAll, oneShard)
	p, client := s.publisher(), s.connect()
	p.sends(`{"id":1,"channel":"a","data":1}` + "\n")
	client.says(`{"id":1,"type":"publish","channel":"b","data":1}`)
	e.await(2)
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	e.completes("b", "a")
	p.receives(`{"id":1,"results":[{"channel":"a","epoch":"EEEEEEEE","offset":2,"subscribers":1}]}` + "\n")
	p.ends()
	p.Close()
	client.wants(`{"type":"published","id":1,"channel":"b","offset":1}`)
	client.text() // goodbye
	client.closes(ws.StatusGoingAway, "draining")
	client.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestCloseWithPending: the gateway ends at once, and completions that come later do nothing.
func TestCloseWithPending(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, noRates, publishAll)
	p, client := s.publisher(), s.connect()
	p.sends(`{"id":1,"channels":["a","a"],"data":1}` + "\n")
	client.says(`{"id":1,"type":"publish","channel":"a","data":1}`)
	e.await(3)
	e.completes("a")
	s.Close()
	s.awaitEnd()
	e.completeAll()
	if _, err := io.ReadAll(p.in); err != nil && !errors.Is(err, io.EOF) {
		t.Logf("the publisher's connection ended with %v", err)
	}
}

// hastyEngine completes on goroutines of its own, in an order by chance, some with errors, some before Submit returns.
type hastyEngine struct{}

func (hastyEngine) Submit(s *stream.Submission) {
	ticket, seed := s.Defer(), rand.IntN(10)
	complete := func() {
		if seed == 0 {
			ticket.Complete(stream.Position{}, errors.New("by chance"))
			return
		}
		ticket.Complete(stream.Position{Offset: 1}, nil)
	}
	switch {
	case seed < 3:
		complete()
	case seed < 6:
		go complete()
	default:
		time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, complete)
	}
}

// TestEngineByChance has publishers and clients that pipeline, some of whom go away, on an engine in a hurry.
func TestEngineByChance(t *testing.T) {
	const requests = 500
	g := prepare(t, noRates, publishAll, func(c *gateway.Config) { c.PublisherCredits = 20_000 })
	g.UseEngine(hastyEngine{})
	s := run(t, g)
	var all sync.WaitGroup
	for n := range 4 {
		p, r, c, gone := s.publisher(), s.publisher(), s.connect(), s.publisher()
		channel := func(i int) string { return fmt.Sprintf("c-%d", (n+i)%7) }
		all.Go(func() {
			for i := range requests {
				fmt.Fprintf(p, `{"id":%d,"channels":[%q,%q],"data":1}`+"\n", i, channel(i), channel(i+1))
			}
		})
		all.Go(func() {
			for i := range requests {
				if a := decode[answer](t, p.line()); a.ID == nil || *a.ID != uint64(i) {
					t.Errorf("reply %d is %+v", i, a)
					return
				}
			}
		})
		all.Go(func() {
			for i := range requests {
				fmt.Fprint(r, array("PUBLISH", channel(i), "1"), array("ECHO", fmt.Sprint(i)), array("MULTI"), array("PUBLISH", channel(i), "1"), array("EXEC"))
			}
		})
		all.Go(func() {
			for i := range requests {
				if first := r.line(); first != ":0" && !strings.HasPrefix(first, "-ERR publishing failed") {
					t.Errorf("the reply to publish %d is %q", i, first)
					return
				}
				r.receives(fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(i)), i) + queued(1) + "*1\r\n")
				r.line()
			}
		})
		all.Go(func() {
			for i := range 100 {
				c.says(fmt.Sprintf(`{"id":%d,"type":"publish","channel":%q,"data":1}`, i, channel(i)))
			}
			for i := range 100 {
				if m := decode[message](t, c.text()); m.ID == nil || *m.ID != uint64(i) {
					t.Errorf("reply %d is %+v", i, m)
					return
				}
			}
		})
		all.Go(func() {
			for i := range 50 {
				fmt.Fprintf(gone, `{"id":%d,"channel":%q,"data":1}`+"\n", i, channel(i))
			}
			gone.Close()
		})
	}
	all.Wait()
	s.noCredits()
}
