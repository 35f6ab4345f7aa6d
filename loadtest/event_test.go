package loadtest

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestData(t *testing.T) {
	for _, size := range []int{MinPayload, 128, 1000, MaxPayload} {
		for _, seq := range []int64{0, 9, 4093, MaxEvents - 1, math.MaxInt64} {
			for _, due := range []int64{0, time.Now().UnixNano(), math.MaxInt64} {
				data := appendData(nil, seq, due, size)
				if len(data) != size || !json.Valid(data) {
					t.Fatalf("%d bytes, want %d: %s", len(data), size, data)
				}
				gotSeq, gotDue, ok := parseData(data)
				if !ok || gotSeq != seq || gotDue != due {
					t.Fatalf("%s is read as %d, %d, %v", data, gotSeq, gotDue, ok)
				}
			}
		}
	}
	if a, b := appendData(nil, 10, 1, 128), appendData(nil, 11, 1, 128); bytes.Equal(a[20:], b[20:]) {
		t.Error("two events have the same padding")
	}
}

func FuzzParseData(f *testing.F) {
	f.Add([]byte(`{"s":1,"t":2,"p":"abc"}`))
	f.Add([]byte(`{"s":99999999999999999999,"t":2,"p":"abc"}`))
	f.Add([]byte(`{"s":9223372036854775808,"t":-2,"p":"`))
	f.Add(appendData(nil, 7, 8, MinPayload))
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, due, ok := parseData(data)
		if ok && (seq < 0 || due < 0) {
			t.Fatalf("%q is read as %d, %d", data, seq, due)
		}
		if ok && len(appendData(nil, seq, due, MinPayload)) != MinPayload {
			t.Fatalf("%q cannot be written again", data)
		}
	})
}

func FuzzProfiles(f *testing.F) {
	f.Add([]byte(`{"type":"event","channel":"a","offset":1,"data":{}}`))
	f.Add([]byte(`{"type":"gap","channel":"a","from":9007199254740991,"to":0}`))
	f.Add([]byte(`{"type":"subscribed","channel":"a","epoch":"e","offset":1}`))
	f.Add([]byte(`P{}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, p := range []profile{&fleetcastProfile{}, &rawProfile{}} {
			m := p.read(payload)
			if len(m.data) > len(payload) {
				t.Fatalf("%q holds data of %d bytes", payload, len(m.data))
			}
			if m.kind == incomingGap {
				var q sequence
				if told, _ := q.tell(span{max(m.gap.from, 0), min(m.gap.to, 100)}); told > 100 {
					t.Fatalf("%q tells of %d events", payload, told)
				}
			}
		}
	})
}

// Parts of a distribution merged have the percentiles of the whole.
func TestMergedHistograms(t *testing.T) {
	whole, merged := newHistogram(), newHistogram()
	parts := []histogram{newHistogram(), newHistogram(), newHistogram()}
	for i := range int64(10000) {
		latency := i * i * 7
		whole.record(latency)
		parts[i%3].record(latency)
	}
	for _, part := range parts {
		merged.merge(part)
	}
	if !merged.counts.Equals(whole.counts) || merged.percentiles() != whole.percentiles() {
		t.Errorf("merged %v, whole %v", merged.percentiles(), whole.percentiles())
	}
	if p := whole.percentiles(); math.Abs(p.P50-7*25) > 0.5 || math.Abs(p.P99-7*98.01) > 2 {
		t.Errorf("percentiles %v", p)
	}
	long := newHistogram()
	long.record(math.MaxInt64)
	if got := long.percentiles().Max; got < 600e3 {
		t.Errorf("a latency beyond the range counts as %v ms", got)
	}
}

func TestProcess(t *testing.T) {
	const ms = time.Millisecond
	thread := func(name string, used time.Duration) map[string]time.Duration {
		return map[string]time.Duration{name: used}
	}
	cases := map[string]struct {
		from, to cpuSample
		want     time.Duration
	}{
		"fine":           {cpuSample{10 * ms, thread("1", 11*ms)}, cpuSample{20 * ms, thread("1", 18*ms)}, 7 * ms},
		"new thread":     {cpuSample{10 * ms, nil}, cpuSample{20 * ms, thread("1", 8*ms)}, 8 * ms},
		"thread ended":   {cpuSample{10 * ms, thread("1", 11*ms)}, cpuSample{20 * ms, thread("2", 3*ms)}, 10 * ms},
		"no fine figure": {cpuSample{10 * ms, nil}, cpuSample{20 * ms, nil}, 10 * ms},
	}
	for name, c := range cases {
		if got := c.to.since(c.from); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
