package loadtest

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// maxLatency is the longest time that a histogram can show. Longer times count as
	// this one.
	maxLatency = int64(10 * time.Minute)
	// latencyGrain is the finest difference that is kept, in nanoseconds.
	latencyGrain = 1000
	// latencyDigits is the precision of larger values, in decimal digits.
	latencyDigits = 3
)

// histogram counts latencies. It belongs to one goroutine at a time.
type histogram struct{ counts *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(latencyGrain, maxLatency, latencyDigits)}
}

// record counts one latency in nanoseconds.
func (h histogram) record(nanoseconds int64) {
	// It fails only on values out of range, which are brought into it.
	_ = h.counts.RecordValue(min(max(nanoseconds, 0), maxLatency))
}

// merge adds the counts of other, which is of the same shape.
func (h histogram) merge(other histogram) {
	if other.counts != nil && other.counts.TotalCount() > 0 {
		h.counts.Merge(other.counts)
	}
}

// times are the latencies that are counted for a group of clients.
type times struct {
	Latency   histogram // from an event's due time to its arrival
	Handshake histogram // from dialling to the subscription
	Pong      histogram // from a ping's due time to its pong
	Recovery  histogram // from dialling until a client has all that it had missed
}

func newTimes() times { return times{newHistogram(), newHistogram(), newHistogram(), newHistogram()} }

func (t *times) merge(other *times) {
	t.Latency.merge(other.Latency)
	t.Handshake.merge(other.Handshake)
	t.Pong.merge(other.Pong)
	t.Recovery.merge(other.Recovery)
}

// reset forgets all counts.
func (t *times) reset() {
	t.Latency.counts.Reset()
	t.Handshake.counts.Reset()
	t.Pong.counts.Reset()
	t.Recovery.counts.Reset()
}

// GobEncode implements gob.GobEncoder: histograms travel between the processes
// of a run, and what arrives is the same as what was sent.
func (h histogram) GobEncode() ([]byte, error) {
	if h.counts == nil || h.counts.TotalCount() == 0 {
		return []byte{}, nil
	}
	return h.counts.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// GobDecode implements gob.GobDecoder.
func (h *histogram) GobDecode(encoded []byte) error {
	*h = newHistogram()
	if len(encoded) == 0 {
		return nil
	}
	counts, err := hdrhistogram.Decode(encoded)
	if err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	h.counts.Merge(counts)
	return nil
}

// Percentiles are latencies in milliseconds; all 0 if there were none.
type Percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (h histogram) percentiles() Percentiles {
	if h.counts == nil || h.counts.TotalCount() == 0 {
		return Percentiles{}
	}
	at := func(percent float64) float64 {
		return milliseconds(h.counts.ValueAtQuantile(percent))
	}
	return Percentiles{at(50), at(90), at(99), at(99.9), milliseconds(h.counts.Max())}
}

func milliseconds(nanoseconds int64) float64 { return float64(nanoseconds) / 1e6 }
