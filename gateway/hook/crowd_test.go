package hook_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway/hook"
)

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %v", what, patience)
		}
	}
}

// TestCrowd asks about 2,000 clients at once, of a server that answers none before all
// have been sorted: 64 to be answered, 1,024 to wait, the others to be refused.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const crowd = 2000
	var inFlight, most atomic.Int64
	release := make(chan struct{})
	h, log := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		for {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		<-release
		answers(200, `{"user":"alice"}`)(w, r)
	})
	outcomes := make(chan string, crowd)
	for range crowd {
		go func() { outcomes <- reasonOf(h.Connect(t.Context(), client)) }()
	}
	const refused = crowd - 64 - 1024
	until(t, "all are sorted", func() bool { return len(outcomes) == refused && inFlight.Load() == 64 })
	if s := h.Stats(); s.InFlight != 64 || s.Waiting != 1024 || s.Requests["hook_busy"] != refused {
		t.Errorf("counted %+v", s)
	}
	close(release)
	counts := map[string]int{}
	for range crowd {
		counts[<-outcomes]++
	}
	if counts["hook_busy"] != refused || counts["allowed"] != crowd-refused || len(counts) != 2 {
		t.Errorf("outcomes %v", counts)
	}
	until(t, "all places are free", func() bool { s := h.Stats(); return s.InFlight == 0 && s.Waiting == 0 })
	if n := most.Load(); n != 64 {
		t.Errorf("%d calls at once, want 64", n)
	}
	if s := h.Stats(); s.Requests["allowed"] != 1088 || s.Seconds.Count != 1088 || s.Open != 0 {
		t.Errorf("counted %+v", s)
	}
	if lines := strings.Count(log.String(), "\n"); lines < 1 || lines > 6 { // one in 10 s
		t.Errorf("logs %d lines:\n%s", lines, log)
	}
}

// TestCallersGo ends the contexts of callers that are answered and that wait. All
// their places are free again, and the breaker blames nobody.
func TestCallersGo(t *testing.T) {
	t.Parallel()
	var hold atomic.Bool
	hold.Store(true)
	h, log := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if hold.Load() {
			<-r.Context().Done() // the connection is closed
			return
		}
		_, _ = io.WriteString(w, `{"user":"alice"}`)
	})
	ctx, cancel := context.WithCancel(t.Context())
	const callers = 64 + 500
	outcomes := make(chan string, callers)
	for range callers {
		go func() { outcomes <- reasonOf(h.Connect(ctx, client)) }()
	}
	until(t, "all are there", func() bool { s := h.Stats(); return s.InFlight == 64 && s.Waiting == 500 })
	cancel()
	for range callers {
		if reason := <-outcomes; reason != "hook_cancelled" {
			t.Errorf("the outcome is %s", reason)
		}
	}
	if reason := reasonOf(h.Connect(ctx, client)); reason != "hook_cancelled" {
		t.Errorf("a caller that has gone before it asks: %s", reason)
	}
	until(t, "all places are free", func() bool { s := h.Stats(); return s.InFlight == 0 && s.Waiting == 0 })
	hold.Store(false)
	for range 64 {
		if outcome := h.Connect(t.Context(), client); reasonOf(outcome) != "allowed" {
			t.Fatalf("afterwards: %+v", outcome.Refusal)
		}
	}
	if s := h.Stats(); s.Requests["hook_cancelled"] != callers+1 || s.Open != 0 || s.Opened != 0 {
		t.Errorf("counted %+v", s)
	}
	if log.String() != "" {
		t.Errorf("logs %s", log)
	}
}

// TestNothingIsLeft closes hooks whose calls have ended in all kinds of ways, one of
// them while it is asked. No goroutine stays behind. It runs without other tests beside it.
func TestNothingIsLeft(t *testing.T) {
	before := stacks()
	release, asked := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/allow":
			answers(200, `{"user":"alice"}`)(w, r)
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/late":
			_, _ = io.Copy(io.Discard, r.Body)
			close(asked)
			<-release
			_, _ = io.WriteString(w, `{"user":"alice"}`)
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
	}))
	var late *hook.Hook
	outcome := make(chan string)
	for _, test := range []struct {
		path    string
		timeout time.Duration
		want    string
	}{{"/allow", patience, "allowed"}, {"/abort", patience, "hook_failed"}, {"/hang", time.Millisecond, "hook_timeout"}, {"/late", patience, "allowed"}} {
		o, _ := options(server.URL + test.path)
		o.Timeout = test.timeout
		h, err := hook.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if test.path == "/late" {
			late = h
			go func() { outcome <- reasonOf(h.Connect(context.Background(), client)) }()
			<-asked
		} else if got := reasonOf(h.Connect(t.Context(), client)); got != test.want {
			t.Errorf("%s: %s, want %s", test.path, got, test.want)
		}
		h.Close()
	}
	if s := late.Stats(); s.InFlight != 1 {
		t.Errorf("counted %+v", s)
	}
	close(release)
	if got := <-outcome; got != "allowed" {
		t.Errorf("a call beyond Close: %s", got)
	}
	server.CloseClientConnections() // without this, those that the hook has left open would end too
	server.Close()
	until(t, "no goroutine is left\n"+stacks(), func() bool { return strings.Count(stacks(), "\ngoroutine ") <= strings.Count(before, "\ngoroutine ") })
}

// stacks are those of all goroutines.
func stacks() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}
