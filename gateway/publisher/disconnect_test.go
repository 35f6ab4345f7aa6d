package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/publisher"
)

func TestInFlightFailsAndIsNotRepeated(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) { return "", r.conn == 1 }
	})
	lost := make(chan *publisher.SendError, 10)
	p := dial(t, g, publisher.Config{OnError: func(err *publisher.SendError) { lost <- err }})
	ctx := testContext(t)
	for range 3 {
		if err := p.Send(ctx, "sent", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	failed := make(chan error)
	go func() {
		_, err := p.Publish(ctx, "published", []byte(`1`))
		failed <- err
	}()
	g.awaitRequests(4)
	g.cut()

	err := receive(t, failed, "the call in flight")
	if !errors.Is(err, publisher.ErrDisconnected) || errors.Is(err, publisher.ErrNotSent) {
		t.Errorf("error %v, want ErrDisconnected of unknown outcome", err)
	}
	report := receive(t, lost, "OnError")
	if report.First != 1 || report.Last != 3 || !errors.Is(report, publisher.ErrDisconnected) {
		t.Errorf("lost %+v, want events 1 to 3", report)
	}
	if got, err := p.Publish(ctx, "after", []byte(`1`)); err != nil || got.Offset != 1 {
		t.Errorf("after the reconnection: %+v, %v", got, err)
	}
	var flush *publisher.FlushError
	if err := p.Flush(ctx); !errors.As(err, &flush) || flush.Lost != 3 || !errors.Is(err, publisher.ErrDisconnected) {
		t.Errorf("Flush: %v, want 3 lost", err)
	}
	if err := p.Flush(ctx); err != nil {
		t.Errorf("second Flush: %v", err)
	}
	if n := len(g.awaitRequests(5)); n != 5 {
		t.Errorf("%d requests, want 5: something was sent twice", n)
	}
}

// A reply settles every Send before it, so only those behind it are lost.
func TestOnlyUnsettledSendsAreLost(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			if string(r.Data) == `"bad"` {
				return lineError(r.line, "bad_request"), true
			}
			return "", false
		}
	})
	reports := make(chan *publisher.SendError, 10)
	p := dial(t, g, publisher.Config{OnError: func(err *publisher.SendError) { reports <- err }})
	ctx := testContext(t)
	send := func(data string) {
		if err := p.Send(ctx, "news", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	send(`1`)
	if _, err := p.Publish(ctx, "news", []byte(`2`)); err != nil {
		t.Fatal(err)
	}
	send(`3`)
	send(`"bad"`)
	if r := receive(t, reports, "the refusal"); r.First != 3 || r.Last != 3 {
		t.Errorf("refused %+v, want the third event sent", r)
	}
	send(`5`)
	g.awaitRequests(5)
	g.cut()
	if r := receive(t, reports, "the loss"); r.First != 4 || r.Last != 4 {
		t.Errorf("lost %+v, want the fourth event sent", r)
	}
	send(`"bad"`)
	if r := receive(t, reports, "a refusal on the second connection"); r.First != 5 {
		t.Errorf("refused %+v, want the fifth event sent", r)
	}
	var flush *publisher.FlushError
	if err := p.Flush(ctx); !errors.As(err, &flush) || flush.Lost != 1 || flush.Refused != 2 || flush.First.First != 3 {
		t.Errorf("Flush: %v", err)
	}
}

func TestGatewayRestart(t *testing.T) {
	g := newGateway(t, nil)
	states := make(chan publisher.State, 10)
	p := dial(t, g, publisher.Config{OnStateChange: func(s publisher.State, _ error) { states <- s }})
	ctx := testContext(t)
	if _, err := p.Publish(ctx, "news", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	g.stop()
	for _, want := range []publisher.State{publisher.StateConnected, publisher.StateConnecting} {
		if s := receive(t, states, "a state"); s != want {
			t.Fatalf("state %v, want %v", s, want)
		}
	}

	// While nobody listens, calls wait as long as they may.
	_, err := p.Publish(until(t, 20*time.Millisecond), "news", []byte(`2`))
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, publisher.ErrNotSent) {
		t.Errorf("error %v, want DeadlineExceeded and ErrNotSent", err)
	}
	published := make(chan error)
	go func() {
		_, err := p.Publish(ctx, "news", []byte(`3`))
		published <- err
	}()
	g.start()
	if err := receive(t, published, "the waiting call"); err != nil {
		t.Errorf("the call that waited for the restart: %v", err)
	}
	if s := receive(t, states, "a state"); s != publisher.StateConnected || p.State() != s {
		t.Errorf("state %v, then %v", s, p.State())
	}
	if got := g.awaitRequests(2); len(got) != 2 || string(got[1].Data) != `3` {
		t.Errorf("requests %+v", got)
	}
}

func TestFailFast(t *testing.T) {
	g := newGateway(t, nil)
	states := make(chan publisher.State, 10)
	p := dial(t, g, publisher.Config{FailFast: true, OnStateChange: func(s publisher.State, _ error) { states <- s }})
	g.stop()
	for receive(t, states, "the disconnection") != publisher.StateConnecting {
	}
	ctx := testContext(t)
	_, err := p.Publish(ctx, "news", []byte(`1`))
	for _, err := range []error{err, p.Send(ctx, "news", []byte(`1`))} {
		if !errors.Is(err, publisher.ErrDisconnected) || !errors.Is(err, publisher.ErrNotSent) {
			t.Errorf("error %v, want ErrDisconnected and ErrNotSent", err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Errorf("Flush of nothing: %v", err)
	}
	g.start()
	for receive(t, states, "the reconnection") != publisher.StateConnected {
	}
	if _, err := p.Publish(ctx, "news", []byte(`1`)); err != nil {
		t.Error(err)
	}
}

func TestRepliesNotUnderstoodCloseTheConnection(t *testing.T) {
	const good = `{"channel":"news","epoch":"e","offset":1,"subscribers":1}`
	tests := []struct{ name, reply string }{
		{"not JSON", "HTTP/1.1 400 Bad Request\r\n"},
		{"empty line", "\n"},
		{"not an object", "[1]\n"},
		{"null", "null\n"},
		{"no shape", "{}\n"},
		{"other id", `{"id":7,"results":[` + good + "]}\n"},
		{"id of wrong type", `{"id":"1","results":[` + good + "]}\n"},
		{"negative id", `{"id":-1,"results":[` + good + "]}\n"},
		{"no results", `{"id":1,"results":[]}` + "\n"},
		{"too many results", `{"id":1,"results":[` + good + "," + good + "]}\n"},
		{"other channel", `{"id":1,"results":[` + strings.Replace(good, "news", "olds", 1) + "]}\n"},
		{"results and error", `{"id":1,"results":[` + good + `],"error":{"code":"internal"}}` + "\n"},
		{"error without code", `{"id":1,"error":{"message":"m"}}` + "\n"},
		{"error about no request", `{"error":{"code":"bad_request","message":"m"}}` + "\n"},
		{"error about a line to come", lineError(2, "bad_request")},
		{"id and line", `{"id":1,"line":1,"error":{"code":"internal"}}` + "\n"},
		{"something behind", `{"id":1,"results":[` + good + "]} x\n"},
		{"endless line", strings.Repeat("x", 1<<20+1)},
		{"endless nesting", strings.Repeat("[", 1<<19) + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, func(g *gateway) {
				g.answer = func(r request) (string, bool) { return tt.reply, r.conn == 1 }
			})
			p := dial(t, g, publisher.Config{})
			_, err := p.Publish(testContext(t), "news", []byte(`1`))
			if !errors.Is(err, publisher.ErrProtocol) || !errors.Is(err, publisher.ErrDisconnected) {
				t.Errorf("error %v, want ErrProtocol and ErrDisconnected", err)
			}
			got, err := p.Publish(testContext(t), "news", []byte(`2`))
			if err != nil || got.Offset != 1 {
				t.Errorf("on the next connection: %+v, %v", got, err)
			}
		})
	}
}

// The gateway cannot read the id of a line that is too long, so that its refusal
// names the line.
func TestOversizedRequestFailsAlone(t *testing.T) {
	const limit = 1000
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			return lineError(r.line, "limit_exceeded"), len(r.raw) > limit
		}
		// The first three replies come together, so that the requests are in
		// flight together.
		var held []byte
		replies := 0
		g.write = func(c net.Conn, b []byte) error {
			held = append(held, b...)
			if replies += bytes.Count(b, []byte("\n")); replies < 3 {
				return nil
			}
			_, err := c.Write(held)
			held = held[:0]
			return err
		}
	})
	p := dial(t, g, publisher.Config{})
	ctx := testContext(t)
	large := []byte(`"` + strings.Repeat("x", limit) + `"`)
	results := make(chan error)
	calls := []struct {
		channel string
		data    []byte
	}{{"before", []byte(`1`)}, {"large", large}, {"after", []byte(`2`)}}
	for i, call := range calls {
		if err := p.Send(ctx, "sent", []byte(`0`)); err != nil {
			t.Fatal(err)
		}
		go func() {
			got, err := p.Publish(ctx, call.channel, call.data)
			var refused *publisher.Error
			switch {
			case call.channel == "large" && (!errors.As(err, &refused) || refused.Code != "limit_exceeded"):
				results <- fmt.Errorf("large: error %w, want limit_exceeded", err)
			case call.channel != "large" && (err != nil || got.Offset != 1):
				results <- fmt.Errorf("%s: %+v, %w", call.channel, got, err)
			default:
				results <- nil
			}
		}()
		g.awaitRequests(2*i + 2)
	}
	if err := p.Send(ctx, "sent", []byte(`0`)); err != nil {
		t.Fatal(err)
	}
	for range calls {
		if err := receive(t, results, "the calls"); err != nil {
			t.Error(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Errorf("Flush: %v", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.accepted != 1 || g.offsets["sent"] != 4 {
		t.Errorf("%d connections, %d events sent, want 1 and 4", g.accepted, g.offsets["sent"])
	}
}

func TestUnaskedRepliesCloseTheConnection(t *testing.T) {
	for _, reply := range []string{`{"id":1,"results":[{"channel":"news","epoch":"e","offset":1}]}` + "\n", "-ERR\r\n", lineError(1, "internal")} {
		g := newGateway(t, nil)
		p := dial(t, g, publisher.Config{})
		g.await("the connection", func() bool { return len(g.conns) == 1 })
		g.mu.Lock()
		for c := range g.conns {
			_, _ = c.Write([]byte(reply))
		}
		g.mu.Unlock()
		g.await("a second connection", func() bool { return g.accepted >= 2 })
		if _, err := p.Publish(testContext(t), "news", []byte(`1`)); err != nil {
			t.Error(err)
		}
	}
}

func TestConnectionCutWithinAReply(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		first := true
		g.write = func(c net.Conn, b []byte) error {
			if first {
				first = false
				_, _ = c.Write(b[:len(b)-5])
				return net.ErrClosed
			}
			_, err := c.Write(b)
			return err
		}
	})
	p := dial(t, g, publisher.Config{})
	if _, err := p.Publish(testContext(t), "news", []byte(`1`)); !errors.Is(err, publisher.ErrDisconnected) {
		t.Errorf("error %v, want ErrDisconnected", err)
	}
	if got, err := p.Publish(testContext(t), "news", []byte(`2`)); err != nil || got.Offset != 2 {
		t.Errorf("on the next connection: %+v, %v", got, err)
	}
}

// Replies that were sent before the gateway closed its side are not lost.
func TestRepliesBeforeTheEndCount(t *testing.T) {
	const events = 100
	g := newGateway(t, func(g *gateway) {
		var held []byte
		g.write = func(c net.Conn, b []byte) error {
			held = append(held, b...)
			if strings.Count(string(held), "\n") < events {
				return nil
			}
			_, _ = c.Write(held)
			return net.ErrClosed
		}
	})
	p := dial(t, g, publisher.Config{})
	batch := p.NewBatch()
	for range events {
		_ = batch.Add("news", []byte(`1`))
	}
	if _, err := batch.Publish(testContext(t)); err != nil {
		t.Error(err)
	}
}

func TestBackOffGrowsWhileConnectionsAreUseless(t *testing.T) {
	// The gateway takes each connection and drops it at once.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	times := make(chan time.Time, 100)
	dialled := make(chan struct{})
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			<-dialled // or Dial itself might fail
			times <- time.Now()
			c.Close()
		}
	}()
	p, err := publisher.Config{MinBackoff: 4 * time.Millisecond, MaxBackoff: time.Hour}.Dial(testContext(t), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	close(dialled)
	first := receive(t, times, "the first connection")
	var last time.Time
	for range 5 {
		last = receive(t, times, "the next connection")
	}
	// Pauses of 4, 8, 16, 32, 64 ms, each at least half as long; without
	// growth they would sum up to 20 ms, 30 at most.
	if waited := last.Sub(first); waited < 60*time.Millisecond {
		t.Errorf("5 attempts within %v", waited)
	}
}
