package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fleetcast/gateway/publisher"
)

func TestPublishWritesTheRequest(t *testing.T) {
	tests := []struct{ name, channel, data, want, key string }{
		{"object", "news", `{"a":1}`, `{"id":1,"channel":"news","data":{"a":1}}`, ""},
		{"bytes as they are", "news", " {\"a\" :\t1.0e0}\r", "{\"id\":1,\"channel\":\"news\",\"data\": {\"a\" :\t1.0e0}\r}", ""},
		{"scalar", "news", `null`, `{"id":1,"channel":"news","data":null}`, ""},
		{"several lines", "news", "{\n  \"a\": [1,\n 2]\n}\n", `{"id":1,"channel":"news","data":{"a":[1,2]}}`, ""},
		{"name to escape", `a"b\c`, `0`, `{"id":1,"channel":"a\"b\\c","data":0}`, ""},
		{"name in UTF-8", "größe/日本", `"é\n"`, `{"id":1,"channel":"größe/日本","data":"é\n"}`, ""},
		{"longest name", strings.Repeat("n", 255), `1`, `{"id":1,"channel":"` + strings.Repeat("n", 255) + `","data":1}`, ""},
		{"key", "news", `1`, `{"id":1,"channel":"news","key":"EUR\"USD","data":1}`, `EUR"USD`},
		{"longest key", "news", `1`, `{"id":1,"channel":"news","key":"` + strings.Repeat("k", 255) + `","data":1}`, strings.Repeat("k", 255)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, nil)
			p := dial(t, g, publisher.Config{})
			var options []publisher.EventOption
			if tt.key != "" {
				options = append(options, publisher.WithKey(tt.key))
			}
			got, err := p.Publish(testContext(t), tt.channel, []byte(tt.data), options...)
			if err != nil {
				t.Fatal(err)
			}
			if raw := g.awaitRequests(1)[0].raw; raw != tt.want {
				t.Errorf("wrote %q, want %q", raw, tt.want)
			}
			want := publisher.Result{Channel: tt.channel, Epoch: "e-" + tt.channel, Offset: 1, Subscribers: 1200}
			if got != want {
				t.Errorf("result %+v, want %+v", got, want)
			}
		})
	}
}

func TestPublishRefusesBeforeSending(t *testing.T) {
	tests := []struct{ name, channel, data, code string }{
		{"no name", "", `1`, "bad_channel"},
		{"long name", strings.Repeat("n", 256), `1`, "bad_channel"},
		{"space in name", "a b", `1`, "bad_channel"},
		{"newline in name", "a\nb", `1`, "bad_channel"},
		{"DEL in name", "a\x7f", `1`, "bad_channel"},
		{"no-break space in name", "a\u00a0b", `1`, "bad_channel"},
		{"name not UTF-8", "a\xff", `1`, "bad_channel"},
		{"no data", "news", ``, "bad_request"},
		{"not JSON", "news", `{"a":}`, "bad_request"},
		{"smuggled request", "news", "1}\n{\"channel\":\"other\",\"data\":1", "bad_request"},
		{"smuggled request without newline", "news", `1}{"channel":"other","data":1`, "bad_request"},
		{"smuggled member", "news", `1,"id":99`, "bad_request"},
		{"two values", "news", "1\n2", "bad_request"},
		{"newline in a string", "news", "\"a\nb\"", "bad_request"},
		{"open string", "news", `"a\`, "bad_request"},
		{"no such escape", "news", `"\x"`, "bad_request"},
		{"short escape", "news", `"\u12"`, "bad_request"},
		{"control byte in a string", "news", "\"a\x01b\"", "bad_request"},
		{"data not UTF-8", "news", "\"\xff\"", "bad_request"},
		{"lines not UTF-8", "news", "[\"\xff\",\n1]", "bad_request"},
		{"nested without end", "news", strings.Repeat("[", 500_000), "bad_request"},
		{"too large", "news", `"` + strings.Repeat("x", 1<<20) + `"`, "limit_exceeded"},
	}
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{})
	ctx := testContext(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := []byte(tt.data)
			_, single := p.Publish(ctx, tt.channel, data)
			_, many := p.PublishMany(ctx, []string{"ok", tt.channel}, data)
			for call, err := range map[string]error{
				"Publish": single, "PublishMany": many,
				"Send": p.Send(ctx, tt.channel, data), "Add": p.NewBatch().Add(tt.channel, data),
			} {
				var refused *publisher.Error
				if !errors.As(err, &refused) || refused.Code != tt.code {
					t.Errorf("%s: error %v, want code %s", call, err, tt.code)
				}
			}
		})
	}
	if _, err := p.Publish(ctx, "news", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	if got := g.awaitRequests(1); len(got) != 1 || got[0].line != 1 {
		t.Errorf("refused events reached the gateway: %+v", got)
	}
}

func TestPublishReturnsTheGatewaysRefusal(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			return idError(*r.ID, "rate_limited"), r.Channel == nil || *r.Channel == "refused"
		}
	})
	p := dial(t, g, publisher.Config{})
	ctx := testContext(t)
	_, single := p.Publish(ctx, "refused", []byte(`1`))
	_, many := p.PublishMany(ctx, []string{"a", "b"}, []byte(`1`))
	for _, err := range []error{single, many} {
		var refused *publisher.Error
		if !errors.As(err, &refused) || *refused != (publisher.Error{Code: "rate_limited", Message: "of the test"}) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := p.Publish(ctx, "news", []byte(`1`)); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}

func TestPublishIsToldWhenToTryAgain(t *testing.T) {
	for text, want := range map[string]struct {
		after time.Duration
		words string
	}{
		"1500":                 {1500 * time.Millisecond, "rate_limited: no; try again in 1.5s"},
		"0":                    {0, "rate_limited: no"},
		"18446744073709551615": {100 * 365 * 24 * time.Hour, "rate_limited: no; try again in 876000h0m0s"},
	} {
		g := newGateway(t, func(g *gateway) {
			g.answer = func(r request) (string, bool) {
				return fmt.Sprintf(`{"id":%d,"error":{"code":"rate_limited","message":"no","retry_after_ms":%s}}`+"\n", *r.ID, text), true
			}
		})
		_, err := dial(t, g, publisher.Config{}).Publish(testContext(t), "news", []byte(`1`))
		var refused *publisher.Error
		if !errors.As(err, &refused) || refused.Code != publisher.CodeRateLimited || refused.RetryAfter != want.after || refused.Error() != want.words {
			t.Errorf("%s ms: error %v", text, err)
		}
	}
}

// TestRateLeft follows what the gateway says of its rate.
func TestRateLeft(t *testing.T) {
	var left atomic.Value
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			return fmt.Sprintf(`{"id":%d,"results":%s%s}`+"\n", *r.ID, g.sequence([]string{*r.Channel}), left.Load()), true
		}
	})
	p := dial(t, g, publisher.Config{})
	for _, test := range []struct {
		text    string
		left    int
		limited bool
	}{{"", 0, false}, {`,"rate_left":7`, 7, true}, {`,"rate_left":0`, 0, true}, {"", 0, false}} {
		left.Store(test.text)
		if _, err := p.Publish(testContext(t), "news", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
		if got, limited := p.RateLeft(); got != test.left || limited != test.limited {
			t.Errorf("after %q: %d left, limited: %v", test.text, got, limited)
		}
	}
}

func TestPublishMany(t *testing.T) {
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{})
	got, err := p.PublishMany(testContext(t), []string{"a", "b", "a"}, []byte(`1`))
	if err != nil {
		t.Fatal(err)
	}
	want := []publisher.Result{{"a", "e-a", 1, 1200, false}, {"b", "e-b", 1, 1200, false}, {"a", "e-a", 2, 1200, false}}
	if !slices.Equal(got, want) {
		t.Errorf("results %v, want %v", got, want)
	}
	if raw := g.awaitRequests(1)[0].raw; raw != `{"id":1,"channels":["a","b","a"],"data":1}` {
		t.Errorf("wrote %s", raw)
	}
	if _, err := p.PublishMany(testContext(t), nil, []byte(`1`)); err == nil {
		t.Error("no channel was accepted")
	}
}

func TestSendsArriveInOrder(t *testing.T) {
	const events = 10_000
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{WriteBuffer: 16 << 10})
	ctx := testContext(t)
	for i := range events {
		if err := p.Send(ctx, "news", fmt.Appendf(nil, `%d`, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	got := g.awaitRequests(events)
	if len(got) != events {
		t.Fatalf("%d events arrived, want %d", len(got), events)
	}
	for i, r := range got {
		if string(r.Data) != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, r.Data)
		}
		if r.ID != nil {
			t.Fatalf("a Send asked for a reply: %s", r.raw)
		}
	}
}

func TestConcurrentCallersKeepTheirOrder(t *testing.T) {
	const callers, rounds = 16, 200
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{WriteBuffer: 1 << 10, MaxInFlight: 4})
	ctx := testContext(t)
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			channel := fmt.Sprintf("c%d", caller)
			batch := p.NewBatch()
			for i := 0; i < rounds; i += 4 {
				result, err := p.Publish(ctx, channel, fmt.Append(nil, i))
				if err != nil || result.Channel != channel || result.Offset != uint64(i+1) {
					t.Errorf("Publish %d: %+v, %v", i, result, err)
					return
				}
				_ = batch.Add(channel, fmt.Append(nil, i+2))
				_ = batch.Add(channel, fmt.Append(nil, i+3))
				if err := errors.Join(p.Send(ctx, channel, fmt.Append(nil, i+1)), batch.Send(ctx)); err != nil {
					t.Errorf("Send %d: %v", i, err)
					return
				}
			}
		})
	}
	running.Wait()
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for _, r := range g.awaitRequests(callers * rounds) {
		if string(r.Data) != fmt.Sprint(next[*r.Channel]) {
			t.Fatalf("%s: event %s, want %d", *r.Channel, r.Data, next[*r.Channel])
		}
		next[*r.Channel]++
	}
	for channel, n := range next {
		if n != rounds {
			t.Errorf("%s: %d events, want %d", channel, n, rounds)
		}
	}
}

func TestSplitReplies(t *testing.T) {
	tests := []struct {
		name string
		cut  func(left int) int
	}{
		{"byte by byte", func(int) int { return 1 }},
		{"at random", func(left int) int { return 1 + rand.IntN(left) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, func(g *gateway) {
				g.write = func(c net.Conn, b []byte) error {
					for len(b) > 0 {
						n := tt.cut(len(b))
						if _, err := c.Write(b[:n]); err != nil {
							return err
						}
						b = b[n:]
					}
					return nil
				}
			})
			p := dial(t, g, publisher.Config{})
			batch := p.NewBatch()
			for range 20 {
				if err := batch.Add("news", []byte(`1`)); err != nil {
					t.Fatal(err)
				}
			}
			outcomes, err := batch.Publish(testContext(t))
			if err != nil || len(outcomes) != 20 || outcomes[19].Offset != 20 {
				t.Errorf("outcomes %+v, %v", outcomes, err)
			}
		})
	}
}

func TestContextEndsWhileAwaitingTheReply(t *testing.T) {
	late := make(chan struct{})
	g := newGateway(t, func(g *gateway) {
		g.write = func(c net.Conn, b []byte) error {
			<-late
			_, err := c.Write(b)
			return err
		}
	})
	p := dial(t, g, publisher.Config{})
	ctx, cancel := context.WithCancel(testContext(t))
	failed := make(chan error)
	go func() {
		_, err := p.Publish(ctx, "news", []byte(`1`))
		failed <- err
	}()
	g.awaitRequests(1)
	cancel()
	err := receive(t, failed, "the cancelled call")
	if !errors.Is(err, context.Canceled) || errors.Is(err, publisher.ErrNotSent) {
		t.Errorf("error %v, want Canceled of unknown outcome", err)
	}
	close(late)
	got, err := p.Publish(testContext(t), "news", []byte(`2`))
	if err != nil || got.Offset != 2 {
		t.Errorf("the next call got %+v, %v", got, err)
	}
}

func TestContextEndedBefore(t *testing.T) {
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := p.Publish(ctx, "news", []byte(`1`))
	for _, err := range []error{err, p.Send(ctx, "news", []byte(`1`))} {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, publisher.ErrNotSent) {
			t.Errorf("error %v, want Canceled and ErrNotSent", err)
		}
	}
}

func TestDialFails(t *testing.T) {
	g := newGateway(t, nil)
	open := g.addr
	refusing := newGateway(t, nil)
	refusing.stop()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name, addr string
		ctx        context.Context
		cfg        publisher.Config
		want       error // any, if nil
	}{
		{"nobody listens", refusing.addr, testContext(t), publisher.Config{}, syscall.ECONNREFUSED},
		{"no port", "127.0.0.1", testContext(t), publisher.Config{}, nil},
		{"context ended", open, ended, publisher.Config{}, nil},
		{"negative timeout", open, testContext(t), publisher.Config{WriteTimeout: -1}, nil},
		{"negative buffer", open, testContext(t), publisher.Config{WriteBuffer: -1}, nil},
		{"back-off upside down", open, testContext(t), publisher.Config{MinBackoff: time.Second, MaxBackoff: time.Millisecond}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.cfg.Dial(tt.ctx, tt.addr)
			if err == nil {
				p.Close()
			}
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// Send allocates nothing; what netpoll allocates for a write is shared by the
// events in it.
func TestSendAllocatesNothing(t *testing.T) {
	p := dialQuick(t)
	ctx := context.Background()
	long := strings.Repeat("größe", 20) // more than a conversion keeps on the stack
	send := func() {
		for _, channel := range [...]string{"news", `a"b`, long} {
			if err := p.Send(ctx, channel, benchData); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 10_000 { // until the buffers have grown
		send()
	}
	if n := testing.AllocsPerRun(10_000, send); n != 0 {
		t.Errorf("%v allocations per Send", n)
	}
}
