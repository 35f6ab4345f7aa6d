package publisher_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	server "fleetcast/gateway"
	"fleetcast/gateway/publisher"
)

// textOf is the idempotency text of a request, "" if it has none.
func textOf(r request) string {
	var members struct{ Idempotency string }
	_ = json.Unmarshal([]byte(r.raw), &members)
	return members.Idempotency
}

// TestOptionsOnTheWire: names and positions go out as they are, and what the gateway says of them comes back.
func TestOptionsOnTheWire(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			switch *r.ID {
			case 1:
				return `{"id":1,"results":[{"channel":"news","epoch":"E","offset":7,"subscribers":3,"duplicate":true}]}` + "\n", true
			case 2:
				return `{"id":2,"error":{"code":"conflict","message":"m","epoch":"E\u00e9","offset":40}}` + "\n", true
			}
			return "", false
		}
	})
	p, ctx := dial(t, g, publisher.Config{}), testContext(t)
	result, err := p.Publish(ctx, "news", []byte("1"), publisher.WithIdempotency("order \"17\""), publisher.WithKey("k"))
	if want := (publisher.Result{Channel: "news", Epoch: "E", Offset: 7, Subscribers: 3, Duplicate: true}); err != nil || result != want {
		t.Errorf("a duplicate: %+v, %v", result, err)
	}
	_, err = p.Publish(ctx, "news", []byte("1"), publisher.WithExpect("Zx3k", 17))
	var refused *publisher.Error
	if !errors.As(err, &refused) || refused.Code != publisher.CodeConflict || refused.Epoch != "Eé" || refused.Offset != 40 {
		t.Errorf("a conflict: %v", err)
	}
	if result, err = p.Publish(ctx, "news", []byte("1")); err != nil || result.Duplicate {
		t.Errorf("neither: %+v, %v", result, err)
	}
	requests := g.awaitRequests(3)
	for i, want := range []string{
		`{"id":1,"channel":"news","key":"k","idempotency":"order \"17\"","data":1}`,
		`{"id":2,"channel":"news","expect":{"epoch":"Zx3k","offset":17},"data":1}`,
		`{"id":3,"channel":"news","data":1}`,
	} {
		if requests[i].raw != want {
			t.Errorf("request %d is %s, want %s", i+1, requests[i].raw, want)
		}
	}
	for name, publish := range map[string]func() error{
		"an empty name": func() error { _, err := p.Publish(ctx, "a", []byte("1"), publisher.WithIdempotency("")); return err },
		"a long name":   func() error { return p.Send(ctx, "a", []byte("1"), publisher.WithIdempotency(strings.Repeat("x", 65))) },
		"no UTF-8":      func() error { return p.Send(ctx, "a", []byte("1"), publisher.WithIdempotency("\xff")) },
		"an epoch":      func() error { return p.Send(ctx, "a", []byte("1"), publisher.WithExpect("\xff", 1)) },
		"an offset":     func() error { return p.NewBatch().Add("a", []byte("1"), publisher.WithExpect("E", 1<<53)) },
		"several channels": func() error {
			_, err := p.PublishMany(ctx, []string{"a"}, []byte("1"), publisher.WithExpect("E", 1))
			return err
		},
	} {
		if err := publish(); !errors.As(err, &refused) || refused.Code != publisher.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRepeat has the connection break before each of the first two answers: with Repeat, the event is sent again,
// under the same name, until it is answered.
func TestRepeat(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			if r.conn < 3 {
				go g.cut()
				return "", true
			}
			return "", false
		}
	})
	p, ctx := dial(t, g, publisher.Config{Repeat: true, MinBackoff: time.Millisecond}), testContext(t)
	if result, err := p.Publish(ctx, "news", []byte("1")); err != nil || result.Offset == 0 {
		t.Fatalf("repeated: %+v, %v", result, err)
	}
	results, err := p.PublishMany(ctx, []string{"a", "b"}, []byte("2"))
	if err != nil || len(results) != 2 {
		t.Fatalf("%+v, %v", results, err)
	}
	if _, err := p.Publish(ctx, "news", []byte("3"), publisher.WithIdempotency("mine")); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(ctx, "news", []byte("4")); err != nil {
		t.Fatal(err)
	}
	requests := g.awaitRequests(6)
	texts := make([]string, len(requests))
	for i := range requests {
		texts[i] = textOf(requests[i])
	}
	if texts[0] == "" || texts[1] != texts[0] || texts[2] != texts[0] || texts[3] == "" || texts[3] == texts[0] || texts[4] != "mine" || texts[5] != "" {
		t.Errorf("the texts are %q", texts)
	}
}

// TestRepeatEnds: what ends the repetition is told, and that the event may have been published.
func TestRepeatEnds(t *testing.T) {
	const none = "" // no answer
	stops := func(g *gateway, _ *publisher.Publisher, cancel func()) { g.stop() }
	cuts := func(g *gateway, _ *publisher.Publisher, cancel func()) { g.cut() }
	tests := map[string]struct {
		config publisher.Config
		end    func(g *gateway, p *publisher.Publisher, cancel func()) // after the first attempt
		second string                                                  // the answer to another one
		want   error
		text   string
	}{
		"without it": {config: publisher.Config{}, end: cuts, second: none, want: publisher.ErrDisconnected, text: "disconnected"},
		"FailFast":   {config: publisher.Config{Repeat: true, FailFast: true}, end: stops, want: publisher.ErrDisconnected, text: "; not repeated: "},
		"a refusal": {config: publisher.Config{Repeat: true}, end: cuts, second: `{"id":1,"error":{"code":"rate_limited","message":"m"}}` + "\n",
			want: publisher.ErrDisconnected, text: "; repeated: rate_limited: m"},
		"the context": {config: publisher.Config{Repeat: true}, end: func(g *gateway, p *publisher.Publisher, cancel func()) {
			g.stop()
			for p.State() == publisher.StateConnected {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}, want: context.Canceled, text: "; not repeated: "},
		"Close": {config: publisher.Config{Repeat: true}, end: func(g *gateway, p *publisher.Publisher, _ func()) {
			g.stop()
			for p.State() == publisher.StateConnected {
				time.Sleep(time.Millisecond)
			}
			p.Close()
		}, want: publisher.ErrClosed, text: "; not repeated: "},
		"the context, later": {config: publisher.Config{Repeat: true}, end: func(g *gateway, _ *publisher.Publisher, cancel func()) {
			g.cut()
			g.awaitRequests(2)
			cancel()
		}, second: none, want: context.Canceled, text: "; repeated: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, func(g *gateway) {
				g.answer = func(r request) (string, bool) {
					if r.conn == 1 {
						return none, true
					}
					return test.second, true
				}
			})
			p := dial(t, g, test.config)
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			failed := make(chan error)
			go func() {
				_, err := p.Publish(ctx, "news", []byte("1"))
				failed <- err
			}()
			g.awaitRequests(1)
			test.end(g, p, cancel)
			err := receive(t, failed, "the error")
			var refused *publisher.Error
			if !errors.Is(err, publisher.ErrDisconnected) || !errors.Is(err, test.want) || errors.Is(err, publisher.ErrNotSent) || errors.As(err, &refused) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// losingLine is a way to a gateway by which some answers get lost, with the connection.
type losingLine struct {
	net.Listener
	to   string
	lost atomic.Uint64
}

// passes passes requests of one line and their answers on, but every third answer.
func (l *losingLine) passes(client net.Conn, n *int) {
	defer client.Close()
	server, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer server.Close()
	requests, answers := bufio.NewReader(client), bufio.NewReader(server)
	for {
		request, err := requests.ReadBytes('\n')
		if err != nil {
			return
		}
		if len(bytes.TrimSpace(request)) == 0 {
			continue
		}
		_, _ = server.Write(request)
		answer, err := answers.ReadBytes('\n')
		if *n++; err != nil || *n%3 == 0 {
			l.lost.Add(1)
			return
		}
		_, _ = client.Write(answer)
	}
}

// TestRepeatAgainstTheGateway has a real gateway behind such a line: each event is published once.
func TestRepeatAgainstTheGateway(t *testing.T) {
	const events = 100
	g, err := server.New(server.DefaultConfig(1000), testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(g.Run)
	t.Cleanup(func() { g.Close(); running.Wait() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	line := &losingLine{Listener: listener, to: g.PublishAddrs()[0].String()}
	t.Cleanup(func() { line.Close() })
	go func() {
		for n := 0; ; { // a publisher has one connection at a time
			client, err := line.Accept()
			if err != nil {
				return
			}
			line.passes(client, &n)
		}
	}()

	ctx := testContext(t)
	p, err := publisher.Config{Repeat: true, MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond}.Dial(ctx, line.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	duplicates := uint64(0)
	for i := range uint64(events) {
		result, err := p.Publish(ctx, "news", fmt.Appendf(nil, "%d", i))
		if err != nil || result.Offset != i+1 {
			t.Fatalf("event %d: %+v, %v", i, result, err)
		}
		if result.Duplicate {
			duplicates++
		}
	}
	stats, err := g.Stats(ctx)
	if err != nil || stats.Publish.Events != events || duplicates == 0 || stats.Publish.Duplicates < duplicates || stats.Publish.Duplicates > line.lost.Load() {
		t.Errorf("%d events, %d duplicates, %d of them told, %d answers were lost: %v", stats.Publish.Events, stats.Publish.Duplicates, duplicates, line.lost.Load(), err)
	}
}
