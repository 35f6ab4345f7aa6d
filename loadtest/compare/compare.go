// Package compare measures a gateway beside the floor, a bare broadcast server
// that does the least that any server must: what is left between the two is
// what the gateway's features cost.
//
// Both run on the same processor, one after the other, pair by pair (A B A B),
// so that what else the machine does falls on both; the harness runs on another
// processor, as a process of its own. The figure of a pair is a ratio, and the
// figure of a comparison the median of those, with its spread. The floor is sent events
// of the size that the gateway's frames have, so that both write the same bytes.
//
// Everything runs in the goroutine that calls [Run].
package compare

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
)

// MinPairs is the least number of pairs whose median means anything.
const MinPairs = 5

// Config describes a comparison.
type Config struct {
	Gateway string // path of the gateway's binary
	Floor   string // path of the floor's binary, or of its C++ source (.cpp), which g++ then builds
	Harness string // path of the fleetload binary

	Pairs   int // of runs; MinPairs or more for a figure to rely on
	Clients int // subscribers
	Events  int // one at a time; ten times as many with a window
	Payload int // bytes of an event's data at the gateway

	ServerCPU  int // processor that the servers are pinned to
	HarnessCPU int // processor that the harness is pinned to

	Progress io.Writer // gets a line per run
}

// setting is one row group of the comparison.
type setting struct {
	name      string
	window    int
	events    int
	floorMode []string // arguments of the floor behind its port
}

func (c *Config) settings() []setting {
	return []setting{
		{"1 event in flight, floor", 1, c.Events, nil},
		{"32 events in flight, floor coalesce", 32, 10 * c.Events, []string{"coalesce"}},
	}
}

// Run makes the comparison. A run that loses an event, or that cannot be made,
// ends it with an error.
func Run(ctx context.Context, config Config) (*Report, error) {
	dir, err := os.MkdirTemp("", "fleetload-compare-")
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer os.RemoveAll(dir)
	floor, err := buildFloor(ctx, config.Floor, dir)
	if err != nil {
		return nil, err
	}
	config.Floor = floor
	report := &Report{Pairs: config.Pairs, Clients: config.Clients}
	for _, s := range config.settings() {
		var pairs []pair
		for i := range config.Pairs {
			p, err := config.runPair(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("%s, pair %d: %w", s.name, i+1, err)
			}
			pairs = append(pairs, p)
			fmt.Fprintf(config.Progress, "%s, pair %d of %d: %.3f and %.3f µs a delivery\n", s.name, i+1, config.Pairs,
				p.gateway.Server.CPUPerDelivery, p.floor.Server.CPUPerDelivery)
		}
		report.add(s.name, pairs)
	}
	return report, nil
}

// pair is the gateway's run and the floor's run after it.
type pair struct{ gateway, floor measured }

// measured is what is read of the harness's JSON result.
type measured struct {
	Latency struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency_ms"`
	Server struct {
		CPUPerDelivery   float64 `json:"cpu_us_per_delivery"`
		CPUPerConnection float64 `json:"cpu_us_per_connection"`
	} `json:"server"`
	Detail struct {
		FramePayloadBytes float64 `json:"frame_payload_bytes"`
	} `json:"detail"`
}

func (c *Config) runPair(ctx context.Context, s setting) (p pair, err error) {
	if p.gateway, err = c.runGateway(ctx, s); err != nil {
		return p, fmt.Errorf("gateway: %w", err)
	}
	// A raw event is one byte, its mark, and the data.
	payload := int(math.Round(p.gateway.Detail.FramePayloadBytes)) - 1
	if p.floor, err = c.runFloor(ctx, s, payload); err != nil {
		return p, fmt.Errorf("floor: %w", err)
	}
	return p, nil
}
