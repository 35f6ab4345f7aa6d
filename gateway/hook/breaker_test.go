package hook_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway/hook"
)

// TestBreaker has a server fail and recover, and follows the breaker second by second.
func TestBreaker(t *testing.T) {
	var status, calls atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answers(int(status.Load()), allow)(w, r)
	}
	inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, log *logged) {
		ask := func(n int, want string) {
			t.Helper()
			for range n {
				if got := reasonOf(h.Connect(t.Context(), client)); got != want {
					t.Fatalf("%s, want %s", got, want)
				}
			}
		}
		expect := func(askedSoFar int32, open int64, opened uint64) {
			t.Helper()
			if s := h.Stats(); calls.Load() != askedSoFar || s.Open != open || s.Opened != opened {
				t.Fatalf("asked %d times, counted %+v", calls.Load(), s)
			}
		}
		status.Store(200)
		ask(10, "allowed")
		status.Store(500)
		ask(9, "hook_failed")
		expect(19, 0, 0)
		ask(1, "hook_failed") // the half of 20
		expect(20, 1, 1)
		ask(100, "hook_open")
		expect(20, 1, 1)

		time.Sleep(2 * time.Second)
		ask(5, "hook_open") // its rest is 2 s, and it is not over before
		time.Sleep(time.Millisecond)
		ask(1, "hook_failed") // the first probe
		ask(5, "hook_open")
		expect(21, 1, 1)

		status.Store(200)
		time.Sleep(2*time.Second + time.Millisecond)
		ask(2, "allowed")
		expect(23, 1, 1)
		ask(1, "allowed")
		expect(24, 0, 1)
		ask(100, "allowed")

		if s := h.Stats(); s.Requests["hook_open"] != 110 || s.Requests["hook_failed"] != 11 || s.Requests["allowed"] != 113 {
			t.Errorf("counted %+v", s)
		}
		text := log.String()
		if strings.Count(text, "fails and is not asked for now") != 1 || strings.Count(text, "answers again") != 1 || strings.Count(text, "\n") != 3 {
			t.Errorf("logs\n%s", text)
		}
	})
}

// TestBreakerProbes has a server that hangs be probed by many callers at once: by 3 of
// them, while all others are refused at once.
func TestBreakerProbes(t *testing.T) {
	var hang atomic.Bool
	var calls atomic.Int32
	hang.Store(true)
	handler := func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if hang.Load() {
			sleepy(time.Hour, allow)(w, r)
			return
		}
		sleepy(time.Second, allow)(w, r)
	}
	inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, _ *logged) {
		crowd := func() map[string]int {
			outcomes := make(chan string, 200)
			for range cap(outcomes) {
				go func() { outcomes <- reasonOf(h.Connect(t.Context(), client)) }()
			}
			counts := map[string]int{}
			for range cap(outcomes) {
				counts[<-outcomes]++
			}
			return counts
		}
		// 64 fail at once. Until 10 of them are counted, some of those that wait get their turn.
		got := crowd()
		first := int(calls.Load())
		if first < 64 || first > 74 || got["hook_timeout"] != first || got["hook_open"]+got["hook_busy"] != 200-first {
			t.Errorf("a crowd before a server that hangs: %v, %d calls", got, first)
		}
		time.Sleep(3 * time.Second)
		if got := crowd(); got["hook_timeout"] != 3 || got["hook_open"] != 197 || int(calls.Load()) != first+3 {
			t.Errorf("the probes: %v, %d calls after %d", got, calls.Load(), first)
		}
		hang.Store(false)
		time.Sleep(3 * time.Second)
		if got := crowd(); got["allowed"] != 3 || got["hook_open"] != 197 || h.Stats().Open != 0 {
			t.Errorf("the probes that are answered: %v, %+v", got, h.Stats())
		}
	})
}

// TestBreakerProbesGo has the clients go with which a server is probed. Others probe it then.
func TestBreakerProbesGo(t *testing.T) {
	var status atomic.Int32
	status.Store(500)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if status.Load() == 0 {
			sleepy(time.Hour, allow)(w, r)
			return
		}
		answers(int(status.Load()), allow)(w, r)
	}
	inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, _ *logged) {
		for range 10 {
			h.Connect(t.Context(), client)
		}
		status.Store(0)
		time.Sleep(3 * time.Second)
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if got := reasonOf(h.Connect(ctx, client)); got != "hook_timeout" {
				t.Fatalf("a probe that goes: %s", got)
			}
			cancel()
		}
		status.Store(200)
		for range 3 {
			if got := reasonOf(h.Connect(t.Context(), client)); got != "allowed" {
				t.Fatalf("the next probe: %s", got)
			}
		}
		if s := h.Stats(); s.Open != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

// TestBreakerBlames sees which outcomes open the breaker, alone or beside good ones.
func TestBreakerBlames(t *testing.T) {
	for _, test := range []struct {
		name   string
		status []int // of the answers, in turn; 0 is that the caller goes
		opens  bool
	}{
		{"good ones", []int{200}, false},
		{"refusals", []int{403}, false}, // that one client's cookie may lead to
		{"answers that are none", []int{204}, false},
		{"wrong path", []int{404}, false},
		{"callers that go", []int{0}, false},
		{"failures", []int{500}, true},
		{"too many requests", []int{429}, true},
		{"a bad gateway before it", []int{502, 503, 504}, true},
		{"failures of one in three", []int{500, 200, 200}, false},
		{"failures of one in two", []int{200, 500}, true},
		{"failures between callers that go", []int{0, 0, 0, 500}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var n atomic.Int32
			handler := func(w http.ResponseWriter, r *http.Request) {
				status := test.status[int(n.Add(1)-1)%len(test.status)]
				if status == 0 {
					sleepy(time.Hour, "")(w, r)
					return
				}
				answers(status, map[bool]string{true: "", false: allow}[status == 204])(w, r)
			}
			inBubble(t, handler, nil, func(t *testing.T, h *hook.Hook, _ *logged) {
				for range 60 {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
					h.Connect(ctx, client)
					cancel()
				}
				if s := h.Stats(); (s.Opened > 0) != test.opens {
					t.Errorf("counted %+v", s)
				}
			})
		})
	}
}

// TestBreakerForgets has failures so seldom that the window never has enough of them.
func TestBreakerForgets(t *testing.T) {
	inBubble(t, answers(500, ""), nil, func(t *testing.T, h *hook.Hook, _ *logged) {
		for range 50 {
			if got := reasonOf(h.Connect(t.Context(), client)); got != "hook_failed" {
				t.Fatal(got)
			}
			time.Sleep(1500 * time.Millisecond)
		}
	})
	off := func(o *hook.Options) { o.Breaker = hook.Breaker{} }
	inBubble(t, answers(500, ""), off, func(t *testing.T, h *hook.Hook, _ *logged) {
		for range 50 {
			if got := reasonOf(h.Connect(t.Context(), client)); got != "hook_failed" {
				t.Fatalf("without a breaker: %s", got)
			}
		}
	})
}
