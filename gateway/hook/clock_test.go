package hook_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fleetcast/gateway/hook"
)

// pipes is a network within a bubble of synctest, where the time is not real.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once
	dials   atomic.Int32
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialled:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.dials.Add(1)
	ours, theirs := net.Pipe()
	select {
	case p.dialled <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble runs a test under a fake clock, with a server of net/http.
func inBubble(t *testing.T, handler http.HandlerFunc, change func(*hook.Options), test func(t *testing.T, h *hook.Hook, log *logged)) (dials int32) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{dialled: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(network)
		}()
		o, log := options("http://127.0.0.1/hook")
		o.Timeout, o.Dial = 2*time.Second, network.dial
		if change != nil {
			change(&o)
		}
		h, err := hook.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			h.Close()
			_ = server.Close()
			<-served
			time.Sleep(time.Second) // handlers end
		}()
		test(t, h, log)
		dials = network.dials.Load()
	})
	return dials
}

// sleepy is an answer after a time, unless the connection ends before.
func sleepy(after time.Duration, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(after):
			_, _ = io.WriteString(w, body)
		case <-r.Context().Done():
		}
	}
}

const allow = `{"user":"alice"}`

// TestSlow asks servers that take long, in one way or another. No call takes longer than 2 s.
func TestSlow(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no answer": sleepy(time.Hour, allow),
		"too late":  sleepy(2*time.Second+time.Millisecond, allow),
		"a drip": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		},
		"a drip as a refusal's body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusInternalServerError)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		},
		"a drip of interim answers": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(100 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, _ *logged) {
				start := time.Now()
				outcome := h.Connect(t.Context(), client)
				took := time.Since(start)
				if strings.Contains(name, "refusal") {
					if reasonOf(outcome) != "hook_failed" || took != 100*time.Millisecond { // its body hardly matters
						t.Errorf("%s after %v", reasonOf(outcome), took)
					}
					return
				}
				if reasonOf(outcome) != "hook_timeout" || took != 2*time.Second || !outcome.Refusal.Temporary {
					t.Errorf("%s after %v", reasonOf(outcome), took)
				}
				if s := h.Stats(); s.Requests["hook_timeout"] != 1 || s.Seconds.Sum != 2 || s.InFlight != 0 {
					t.Errorf("counted %+v", s)
				}
			})
		})
	}
	inBubble(t, sleepy(1999*time.Millisecond, allow), nil, func(t *testing.T, h *hook.Hook, _ *logged) {
		if outcome := h.Connect(t.Context(), client); reasonOf(outcome) != "allowed" {
			t.Errorf("an answer just in time: %+v", outcome.Refusal)
		}
	})
}

// TestTurns has one call in flight and one waiting. The turn comes in the order of
// arrival, and a wait ends after 2 s.
func TestTurns(t *testing.T) {
	one := func(o *hook.Options) { o.AtOnce, o.Queue = 1, 1 }
	ask := func(h *hook.Hook, ctx context.Context) chan string {
		done := make(chan string, 1)
		start := time.Now()
		go func() { done <- reasonOf(h.Connect(ctx, client)) + " " + time.Since(start).String() }()
		synctest.Wait()
		return done
	}
	inBubble(t, sleepy(1500*time.Millisecond, allow), one, func(t *testing.T, h *hook.Hook, _ *logged) {
		first, second, third := ask(h, t.Context()), ask(h, t.Context()), ask(h, t.Context())
		if a, b, c := <-first, <-second, <-third; a != "allowed 1.5s" || b != "allowed 3s" || c != "hook_busy 0s" {
			t.Errorf("%s, %s, %s", a, b, c)
		}
	})
	inBubble(t, sleepy(1500*time.Millisecond, allow), func(o *hook.Options) { o.AtOnce, o.Queue = 1, 2 }, func(t *testing.T, h *hook.Hook, _ *logged) {
		first, second, third := ask(h, t.Context()), ask(h, t.Context()), ask(h, t.Context())
		if a, b, c := <-first, <-second, <-third; a != "allowed 1.5s" || b != "allowed 3s" || c != "hook_busy 2s" {
			t.Errorf("%s, %s, %s", a, b, c)
		}
		if s := h.Stats(); s.Open != 0 || s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("counted %+v", s)
		}
	})
	inBubble(t, sleepy(time.Hour, allow), one, func(t *testing.T, h *hook.Hook, _ *logged) {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, second := ask(h, t.Context()), ask(h, short)
		if a, b := <-first, <-second; a != "hook_timeout 2s" || b != "hook_timeout 1s" {
			t.Errorf("%s, %s", a, b)
		}
	})
}

// TestLogIsBounded has a server give wrong answers for a minute.
func TestLogIsBounded(t *testing.T) {
	inBubble(t, answers(200, `{"user":7}`), nil, func(t *testing.T, h *hook.Hook, log *logged) {
		for range 600 {
			h.Connect(t.Context(), client)
			time.Sleep(100 * time.Millisecond)
		}
		text := log.String()
		if strings.Count(text, "\n") != 6 || strings.Count(text, "lines_left_out=99") != 5 || !strings.Contains(text, `"user\" is not a string`) {
			t.Errorf("logs\n%s", text)
		}
	})
}

// TestConnectionsAreKept makes calls one after the other: over one connection, whatever
// the status, and over another one after a long pause.
func TestConnectionsAreKept(t *testing.T) {
	var n atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		answers([]int{200, 403, 500, 404}[n.Add(1)%4], allow)(w, r)
	}
	for pause, want := range map[time.Duration]int32{0: 1, 3 * time.Second: 1, 5 * time.Second: 12} {
		got := inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, _ *logged) {
			for range 12 {
				h.Connect(t.Context(), client)
				time.Sleep(pause)
			}
		})
		if got != want {
			t.Errorf("with pauses of %v, %d connections, want %d", pause, got, want)
		}
	}
}

// TestIdleConnectionClosed has a server close a connection on which a further request
// arrives, as servers do that just then give up waiting. The request is sent again.
func TestIdleConnectionClosed(t *testing.T) {
	var requests atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1)%2 == 0 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, allow)
	}
	dials := inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, _ *logged) {
		for i := range 3 {
			if outcome := h.Connect(t.Context(), client); reasonOf(outcome) != "allowed" {
				t.Errorf("call %d: %+v", i, outcome.Refusal)
			}
			synctest.Wait() // the connection is idle
		}
	})
	if n := requests.Load(); n != 5 || dials != 3 {
		t.Errorf("the server got %d requests over %d connections", n, dials)
	}
}

// TestRepeatsOnce has a request close each connection on which it arrives. With many
// idle connections it is still sent twice at most.
func TestRepeatsOnce(t *testing.T) {
	var poisoned atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "poison") {
			poisoned.Add(1)
			panic(http.ErrAbortHandler)
		}
		time.Sleep(time.Second) // all 8 arrive
		_, _ = io.WriteString(w, allow)
	}
	dials := inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, _ *logged) {
		done := make(chan string, 8)
		for range cap(done) {
			go func() { done <- reasonOf(h.Connect(t.Context(), client)) }()
		}
		for range cap(done) {
			if reason := <-done; reason != "allowed" {
				t.Error(reason)
			}
		}
		synctest.Wait() // the connections are idle
		poison := client
		poison.Token = "poison"
		if outcome := h.Connect(t.Context(), poison); reasonOf(outcome) != "hook_failed" {
			t.Errorf("%+v", outcome)
		}
	})
	if n := poisoned.Load(); n != 2 || dials != 8 {
		t.Errorf("over %d connections, the request was sent %d times, want 2", dials, n)
	}
}
