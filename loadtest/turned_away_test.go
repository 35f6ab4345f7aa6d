package loadtest

import (
	"testing"
	"time"

	"fleetcast/codec/websocket"
)

func TestParseTurnedAway(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	const none = -1
	cases := map[string]struct {
		head string
		want time.Duration
	}{
		"seconds":         {"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n", 7 * time.Second},
		"any case":        {"HTTP/1.1 429 Slow\r\nretry-after:  2 \r\nConnection: close\r\n\r\n", 2 * time.Second},
		"at once":         {"HTTP/1.1 503 x\r\nRetry-After: 0\r\n\r\n", 0},
		"date":            {"HTTP/1.1 503 x\r\nRetry-After: Wed, 04 Mar 2026 05:06:17 GMT\r\n\r\n", 10 * time.Second},
		"date gone by":    {"HTTP/1.1 503 x\r\nRetry-After: Wed, 04 Mar 2026 05:00:00 GMT\r\n\r\n", 0},
		"far date":        {"HTTP/1.1 503 x\r\nRetry-After: Wed, 04 Mar 2093 05:00:00 GMT\r\n\r\n", maxRetryAfter},
		"long":            {"HTTP/1.1 503 x\r\nRetry-After: 4294967295\r\n\r\n", maxRetryAfter},
		"too long":        {"HTTP/1.1 503 x\r\nRetry-After: 99999999999999999999\r\n\r\n", none},
		"negative":        {"HTTP/1.1 503 x\r\nRetry-After: -1\r\n\r\n", none},
		"soon":            {"HTTP/1.1 503 x\r\nRetry-After: soon\r\n\r\n", none},
		"missing":         {"HTTP/1.1 503 x\r\n\r\n", none},
		"another status":  {"HTTP/1.1 500 x\r\nRetry-After: 1\r\n\r\n", none},
		"accepted":        {"HTTP/1.1 101 x\r\nRetry-After: 1\r\n\r\n", none},
		"no HTTP":         {"503\r\nRetry-After: 1\r\n\r\n", none},
		"malformed field": {"HTTP/1.1 503 x\r\nRetry After\r\n\r\n", none},
		"nothing":         {"", none},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := time.Duration(none)
			if away := parseTurnedAway([]byte(c.head), now); away != nil {
				got = away.after
			}
			if got != c.want {
				t.Errorf("%q: %v, want %v", c.head, got, c.want)
			}
		})
	}
}

// FuzzTurnedAway: whatever a server answers, a client stays away for a bounded
// time.
func FuzzTurnedAway(f *testing.F) {
	f.Add([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 429 x\r\nRetry-After: Wed, 04 Mar 2026 05:06:17 GMT\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		away := parseTurnedAway(b[:websocket.HeadLength(b)], time.Now())
		if away != nil && (away.after < 0 || away.after > maxRetryAfter) {
			t.Errorf("%q: %v", b, away.after)
		}
	})
}

// A fleet is in service again when all have got an event, and not before.
func TestUntilServed(t *testing.T) {
	b := newBench(t, 2, 1)
	done := make(chan struct{})
	late := &b.cohort.clients[1]
	late.enter(clientSubscribing)
	b.cohort.comeBack(0, true)
	b.cohort.await(done)
	late.becomeLive()
	for i, want := range []bool{false, true} {
		b.deliver(i, 0)
		settled := false
		select {
		case <-done:
			settled = true
		default:
		}
		if settled != want {
			t.Errorf("settled is %v after %d of 2 have got an event", settled, i+1)
		}
	}
}
