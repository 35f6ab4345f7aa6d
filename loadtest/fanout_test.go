package loadtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/command"
	"fleetcast/loadtest"
)

// run makes a small run against s; change adapts it.
func run(t *testing.T, s *faultyServer, change func(*loadtest.Fanout)) *loadtest.Result {
	t.Helper()
	startFaulty(t, s)
	fanout := loadtest.Fanout{
		Common:  common(s),
		Traffic: loadtest.Traffic{Events: 203, Window: 8, Payload: 100},
		Clients: 10,
	}
	if change != nil {
		change(&fanout)
	}
	return scenario(t, loadtest.RunFanout, fanout)
}

// neverStalled is for a server that is faithful, and slow on a busy machine.
func neverStalled(f *loadtest.Fanout) { f.Stall = hung }

// common is how s is reached.
func common(s *faultyServer) loadtest.Common {
	c := loadtest.Common{
		URL: s.url(), Publish: s.publish.Addr().String(), PID: loadtest.NoProcess,
		Settle: time.Millisecond, Stall: 2 * time.Second, NoYield: true,
	}
	if s.raw {
		c.Profile = "raw"
	}
	return c
}

// counts is what verification is about.
type counts struct {
	clients                                                 int
	delivered, lost, duplicated, reordered, corrupted, gaps int64
	unexpected, disconnected                                int64
	gapWrong, gapSplit                                      int64
}

func countsOf(r *loadtest.Result) counts {
	return counts{r.Clients, r.Delivered, r.Lost, r.Duplicated, r.Reordered, r.Corrupted, r.Gaps,
		r.Detail.Unexpected, r.Detail.Disconnected, r.Detail.GapWrong, r.Detail.GapSplit}
}

func check(t *testing.T, r *loadtest.Result, want counts) {
	t.Helper()
	if got := countsOf(r); got != want {
		t.Errorf("got  %+v\nwant %+v\nnotes %q", got, want, r.Detail.Notes)
	}
	wrong := r.Detail.Rejected + r.Detail.NotTaken + want.lost + want.duplicated + want.reordered + want.corrupted + want.unexpected + want.disconnected + want.gapWrong + want.gapSplit
	if fault := r.Fault(); (fault != nil) != (wrong > 0) {
		t.Errorf("fault is %v with counts %+v", fault, want)
	}
	if wrong > 0 && len(r.Detail.Notes) == 0 {
		t.Error("no fault is described")
	}
}

func TestFaithfulServer(t *testing.T) {
	cases := map[string]struct {
		raw    bool
		change func(*loadtest.Fanout)
		want   counts
	}{
		"window 1":        {false, func(f *loadtest.Fanout) { f.Window = 1 }, counts{clients: 10, delivered: 2030}},
		"window 8":        {false, nil, counts{clients: 10, delivered: 2030}},
		"several loops":   {false, func(f *loadtest.Fanout) { f.Loops = 3 }, counts{clients: 10, delivered: 2030}},
		"more loops":      {false, func(f *loadtest.Fanout) { f.Loops, f.Clients = 3, 2 }, counts{clients: 2, delivered: 406}},
		"channels":        {false, func(f *loadtest.Fanout) { f.Channels, f.Loops = 3, 2 }, counts{clients: 10, delivered: 68*4 + 68*3 + 67*3}},
		"rate":            {false, func(f *loadtest.Fanout) { f.Rate, f.Duration = 1000, 200*time.Millisecond }, counts{clients: 10, delivered: 2000}},
		"one dial":        {false, func(f *loadtest.Fanout) { f.Connecting = 1 }, counts{clients: 10, delivered: 2030}},
		"large payload":   {false, func(f *loadtest.Fanout) { f.Payload, f.Events = loadtest.MaxPayload, 20 }, counts{clients: 10, delivered: 200}},
		"raw":             {true, nil, counts{clients: 10, delivered: 2030}},
		"raw rate":        {true, func(f *loadtest.Fanout) { f.Rate, f.Duration = 1000, 200*time.Millisecond }, counts{clients: 10, delivered: 2000}},
		"raw, two loops":  {true, func(f *loadtest.Fanout) { f.Loops = 2 }, counts{clients: 10, delivered: 2030}},
		"raw, one client": {true, func(f *loadtest.Fanout) { f.Clients = 1 }, counts{clients: 1, delivered: 203}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &faultyServer{raw: c.raw, fault: faithful}, func(f *loadtest.Fanout) {
				neverStalled(f)
				if c.change != nil {
					c.change(f)
				}
			})
			check(t, r, c.want)
			if l := r.Latency; l.P50 <= 0 || l.P50 > l.P90 || l.P99 > l.P999 || l.P999 > l.Max {
				t.Errorf("latencies %v", l)
			}
			if r.Detail.FirstLatency.Max > r.Detail.LastLatency.Max {
				t.Errorf("first %v, last %v", r.Detail.FirstLatency, r.Detail.LastLatency)
			}
		})
	}
}

// every makes a fault of the events whose offset is a multiple of 50: offsets
// 50, 100, 150 and 200 of 203, so 4 for each of 10 subscribers.
func every(f fault) fault {
	return func(s *subscriber, offset uint64, payload []byte) [][]byte {
		if offset%50 == 0 {
			return f(s, offset, payload)
		}
		return faithful(s, offset, payload)
	}
}

func TestFaults(t *testing.T) {
	const all = 2030
	cases := map[string]struct {
		fault fault
		want  counts
	}{
		"drops": {every(func(*subscriber, uint64, []byte) [][]byte { return nil }),
			counts{delivered: all - 40, lost: 40}},
		"drops for one": {func(s *subscriber, offset uint64, p []byte) [][]byte {
			if s.number == 3 && offset == 100 {
				return nil
			}
			return [][]byte{p}
		}, counts{delivered: all - 1, lost: 1}},
		"drops the last": {func(s *subscriber, offset uint64, p []byte) [][]byte {
			if offset == 203 {
				return nil
			}
			return [][]byte{p}
		}, counts{delivered: all - 10, lost: 10}},
		"doubles": {every(func(_ *subscriber, _ uint64, p []byte) [][]byte { return [][]byte{p, p} }),
			counts{delivered: all, duplicated: 40}},
		"doubles the last": {func(_ *subscriber, offset uint64, p []byte) [][]byte {
			if offset == 203 {
				return [][]byte{p, p}
			}
			return [][]byte{p}
		}, counts{delivered: all, duplicated: 10}},
		"swaps": {swap, counts{delivered: all, reordered: 40}},
		"corrupts the padding": {every(func(_ *subscriber, _ uint64, p []byte) [][]byte {
			bad := bytes.Clone(p)
			bad[len(bad)-8] ^= 1
			return [][]byte{bad}
		}), counts{delivered: all - 40, corrupted: 40}},
		"corrupts the sequence number": {every(func(_ *subscriber, _ uint64, p []byte) [][]byte {
			return [][]byte{bytes.Replace(p, []byte(`{"s":`), []byte(`{"s":1`), 1)}
		}), counts{delivered: all - 40, corrupted: 40}},
		"corrupts for one": {every(func(s *subscriber, _ uint64, p []byte) [][]byte {
			bad := bytes.Clone(p)
			if s.number == 7 {
				bad[len(bad)-8] ^= 1
			}
			return [][]byte{bad}
		}), counts{delivered: all - 4, corrupted: 4}},
		"cuts off": {every(func(_ *subscriber, _ uint64, p []byte) [][]byte { return [][]byte{p[:len(p)-20]} }),
			counts{delivered: all - 40, corrupted: 40}},
		"invents": {every(func(_ *subscriber, _ uint64, p []byte) [][]byte {
			// The same event as it would be in an earlier run: another due time.
			return [][]byte{p, bytes.Replace(p, []byte(`,"t":"1`), []byte(`,"t":"2`), 1)}
		}), counts{delivered: all, unexpected: 40}},
		"delivers to strangers": {every(func(s *subscriber, offset uint64, p []byte) [][]byte {
			return [][]byte{p, bytes.Replace(p, []byte(s.channel), []byte("other"), 1)}
		}), counts{delivered: all, unexpected: 40}},
		"tells of gaps": {every(func(s *subscriber, offset uint64, p []byte) [][]byte {
			return [][]byte{command.AppendGap(nil, s.channel, offset+40, offset+40)}
		}), counts{delivered: all - 40, gaps: 40}},
		"spells each differently": {func(s *subscriber, _ uint64, p []byte) [][]byte {
			return [][]byte{bytes.Replace(p, []byte("{"), fmt.Appendf(nil, `{"to":%d,`, s.number), 1)}
		}, counts{delivered: all}},
	}
	for _, form := range []string{"plain", "compressed", "mixed", "with context"} {
		f := fleets[form]
		for name, c := range cases {
			t.Run(form+"/"+name, func(t *testing.T) {
				t.Parallel()
				c.want.clients = 10
				var r *loadtest.Result
				// What a starved machine takes longer for is given up too early: then again.
				for stall := time.Second; r == nil || countsOf(r) != c.want && stall < hung; stall *= 5 {
					r = run(t, &faultyServer{fault: c.fault, compression: f.compression}, func(fanout *loadtest.Fanout) {
						fanout.Deflate, fanout.Common.Stall = f.share, stall
					})
				}
				check(t, r, c.want)
				f.check(t, r)
			})
		}
	}
}

// swap sends every fiftieth event behind the next one.
func swap(s *subscriber, offset uint64, payload []byte) [][]byte {
	switch {
	case offset%50 == 0:
		s.held = bytes.Clone(payload)
		return nil
	case offset%50 == 1 && s.held != nil:
		return [][]byte{payload, s.held}
	}
	return [][]byte{payload}
}

// What is lost is not waited for once a later event has come, so that faults do
// not fill the window.
func TestFaultsDoNotStall(t *testing.T) {
	cases := map[string]fault{
		"drops": every(func(*subscriber, uint64, []byte) [][]byte { return nil }),
		"tells of gaps": every(func(s *subscriber, offset uint64, _ []byte) [][]byte {
			return [][]byte{command.AppendGap(nil, s.channel, offset+40, offset+40)}
		}),
		"corrupts": every(func(_ *subscriber, _ uint64, p []byte) [][]byte { return [][]byte{p[:len(p)-20]} }),
		"closes one": func(s *subscriber, offset uint64, p []byte) [][]byte {
			if s.number == 3 && offset == 101 {
				s.conn.Close()
			}
			return [][]byte{p}
		},
	}
	const stall = time.Minute
	for name, fault := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			r := run(t, &faultyServer{fault: fault}, func(f *loadtest.Fanout) { f.Window, f.Common.Stall = 2, stall })
			if took := time.Since(start); took > stall/2 || r.Events != 203 {
				t.Errorf("%d events took %v", r.Events, took)
			}
		})
	}
}

// With one event in flight nothing follows a lost one, so only time tells.
func TestLossWithWindowOne(t *testing.T) {
	t.Parallel()
	fault := func(s *subscriber, offset uint64, p []byte) [][]byte {
		if s.number == 3 && offset == 100 {
			return nil
		}
		return [][]byte{p}
	}
	r := run(t, &faultyServer{fault: fault}, func(f *loadtest.Fanout) { f.Window = 1 })
	check(t, r, counts{clients: 10, delivered: 2029, lost: 1})
}

func TestServerThatStops(t *testing.T) {
	t.Parallel()
	fault := func(_ *subscriber, offset uint64, p []byte) [][]byte {
		if offset > 100 {
			return nil
		}
		return [][]byte{p}
	}
	r := run(t, &faultyServer{fault: fault}, nil)
	// Two windows of 8 go out and are given up before the run is.
	check(t, r, counts{clients: 10, delivered: 1000, lost: 160})
	if r.Events != 116 || r.Detail.Ended == "" {
		t.Errorf("%d events, ended %q", r.Events, r.Detail.Ended)
	}
}

func TestServerThatCloses(t *testing.T) {
	t.Parallel()
	closing := func(which func(*subscriber) bool) fault {
		return func(s *subscriber, offset uint64, p []byte) [][]byte {
			if which(s) && offset == 101 {
				s.conn.Close()
				return nil
			}
			return [][]byte{p}
		}
	}
	one := run(t, &faultyServer{fault: closing(func(s *subscriber) bool { return s.number == 3 })}, nil)
	check(t, one, counts{clients: 10, delivered: 2030 - 103, lost: 103, disconnected: 1})

	all := run(t, &faultyServer{fault: closing(func(*subscriber) bool { return true })}, nil)
	if all.Detail.Disconnected != 10 || all.Delivered != 1000 || all.Detail.Ended == "" {
		t.Errorf("%+v", all)
	}
}

func TestEventsRejected(t *testing.T) {
	t.Parallel()
	r := run(t, &faultyServer{fault: faithful, reject: true}, nil)
	if r.Detail.Rejected != 203 || r.Lost != 0 || r.Detail.Taken != 0 || r.Fault() == nil || !strings.Contains(strings.Join(r.Detail.Notes, "\n"), "rate_limited") {
		t.Errorf("%+v", r)
	}
}

func TestNoWayToPublish(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, &faultyServer{fault: faithful})
	s.publish.Close()
	_, err := loadtest.RunFanout(t.Context(), loadtest.Fanout{Common: common(s)})
	if err == nil || !strings.Contains(err.Error(), ": connect: connection refused") {
		t.Errorf("got %v", err)
	}
}

// A server that stops for half a second makes every event due in that time
// late, not only the one that was under way.
func TestCoordinatedOmission(t *testing.T) {
	t.Parallel()
	var dues []int64
	fault := func(s *subscriber, offset uint64, p []byte) [][]byte {
		if s.number == 0 {
			dues = append(dues, dueOf(t, p))
		}
		if offset == 100 && s.number == 0 {
			time.Sleep(500 * time.Millisecond)
		}
		return [][]byte{p}
	}
	s := &faultyServer{fault: fault}
	r := run(t, s, func(f *loadtest.Fanout) {
		f.Rate, f.Duration, f.Common.Stall = 200, 1500*time.Millisecond, 5*time.Second
	})
	check(t, r, counts{clients: 10, delivered: 3000})
	// 100 of 300 events are due while the server stops: a third of all wait, 500 ms
	// at most, and evenly spread.
	if r.Latency.P99 < 400 || r.Latency.P90 < 250 {
		t.Errorf("latencies %v", r.Latency)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, due := range dues {
		if want := dues[0] + int64(i)*int64(5*time.Millisecond); due != want {
			t.Fatalf("event %d is due at %d, want %d", i, due, want)
		}
	}
}

// dueOf reads the due time of the event in payload.
func dueOf(t *testing.T, payload []byte) int64 {
	var event struct {
		Data struct {
			Due int64 `json:"t,string"`
		} `json:"data"`
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		t.Error(err)
	}
	return event.Data.Due
}

func TestServerCost(t *testing.T) {
	r := run(t, &faultyServer{fault: faithful}, func(f *loadtest.Fanout) { f.PID = os.Getpid(); neverStalled(f) })
	s := r.Server
	if s.CPUPerDelivery == nil || *s.CPUPerDelivery <= 0 || *s.CPUPerConnection <= 0 || *s.ResidentKB < 1000 || s.ResidentKBPerConnection == nil {
		t.Errorf("%+v", s)
	}
	if r.Harness.CPUPerDelivery <= 0 {
		t.Errorf("harness %v", r.Harness)
	}
}

func TestResultJSON(t *testing.T) {
	encoded, err := json.Marshal(run(t, &faultyServer{fault: faithful}, neverStalled))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	within := map[string][]string{
		"":           {"clients", "events", "delivered", "lost", "duplicated", "reordered", "corrupted", "gaps", "seconds", "deliveries_per_second"},
		"latency_ms": {"p50", "p90", "p99", "p999", "max"},
		"server":     {"cpu_us_per_delivery", "cpu_us_per_connection", "rss_kb", "rss_kb_per_connection"},
		"harness":    {"cpu_us_per_delivery"},
	}
	for object, keys := range within {
		in := got
		if object != "" {
			in, _ = got[object].(map[string]any)
		}
		for _, key := range keys {
			if _, ok := in[key]; !ok {
				t.Errorf("%s.%s is missing in %s", object, key, encoded)
			}
		}
	}
	// Type, channel, offset and braces stand around the data.
	if size := got["detail"].(map[string]any)["frame_payload_bytes"].(float64); size < 140 || size > 190 {
		t.Errorf("a frame has %v bytes", size)
	}
}

func TestConfigErrors(t *testing.T) {
	good := loadtest.Fanout{Common: loadtest.Common{URL: "ws://127.0.0.1:1/ws", Publish: "127.0.0.1:2"}}
	cases := map[string]func(*loadtest.Fanout){
		"is 63":         func(f *loadtest.Fanout) { f.Payload = 63 },
		"2 channels":    func(f *loadtest.Fanout) { f.Channels = 2 },
		"no channels":   func(f *loadtest.Fanout) { f.Profile, f.Channels, f.Clients = "raw", 2, 2 },
		"want ws://":    func(f *loadtest.Fanout) { f.URL = "http://127.0.0.1" },
		"no profile":    func(f *loadtest.Fanout) { f.Profile = "other" },
		"publish port":  func(f *loadtest.Fanout) { f.Publish = "nowhere" },
		"clients is -1": func(f *loadtest.Fanout) { f.Clients = -1 },
		"lower rate":    func(f *loadtest.Fanout) { f.Rate, f.Duration = 1e300, time.Hour },
		"process":       func(f *loadtest.Fanout) { f.PID = 1 << 30 },
		"negative":      func(f *loadtest.Fanout) { f.Rate = -1 },
	}
	for want, change := range cases {
		f := good
		change(&f)
		if _, err := loadtest.RunFanout(t.Context(), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCancelledRun(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, &faultyServer{fault: faithful})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := loadtest.RunFanout(ctx, loadtest.Fanout{
		Common: common(s), Clients: 3, Traffic: loadtest.Traffic{Rate: 10}, Duration: time.Minute,
	})
	if err != nil || !strings.HasPrefix(r.Incomplete, "the time was over") || r.Fault() != nil {
		t.Errorf("got %v, %+v", err, r)
	}
}
