package gateway

import (
	"time"

	"fleetcast/gateway/limits"
	"fleetcast/gateway/shard"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// The hooks below are what tests of the running whole need beyond its public
// surface. Any goroutine may call them.

// onShards has every shard call f and waits.
func (g *Gateway) onShards(f func(*shard.Shard)) {
	for _, s := range g.clients.Shards {
		done := make(chan struct{})
		s.Post(func() { f(s); close(done) })
		<-done
	}
}

// CutFanOuts cuts every fan-out after the least number of sends.
func (g *Gateway) CutFanOuts() { g.onShards(func(s *shard.Shard) { s.SliceFor(0) }) }

// PaceDrain makes each client lengthen a drain by that, up to DrainWindow.
func (g *Gateway) PaceDrain(pace time.Duration) { g.drainPace = pace }

// CompressBeside leaves frames of more than n bytes to goroutines. No client may
// be there yet.
func (g *Gateway) CompressBeside(n int) {
	g.settings.Load().Compression.InTurn = n
	g.onShards(func(*shard.Shard) {}) // they see it from here on
}

// StallShards makes every shard wait until goOn is called.
func (g *Gateway) StallShards() (goOn func()) {
	stalled := make(chan struct{})
	release := make(chan struct{})
	for _, s := range g.clients.Shards {
		s.Post(func() {
			stalled <- struct{}{}
			<-release
		})
		<-stalled
	}
	return func() { close(release) }
}

// CreditsInUse is how many credits events under way hold, in bytes.
func (g *Gateway) CreditsInUse() int64 { return g.credits.InUse() }

// PublishersPaused counts the publishers that wait for credit. It asks the
// ingest loops alone, so it answers while the shards are stalled.
func (g *Gateway) PublishersPaused() int64 {
	var stats PublishStats
	stats.Errors = make(map[string]uint64)
	for _, in := range g.publish.Loops {
		done := make(chan struct{})
		in.Post(func() { in.AddStats(&stats); close(done) })
		<-done
	}
	return stats.Paused
}

// StreamsWithInterest counts the streams that some shard wants.
func (g *Gateway) StreamsWithInterest() int { return g.streams.Wanted() }

// Feed publishes events to a channel and waits until every shard has served
// them.
func (g *Gateway) Feed(channel, data []byte, events int) {
	wakes := stream.NewWakeSet(len(g.clients.Shards))
	from := g.credits.NewAccount(new(limits.Starved), limits.ByPublisher)
	r := stream.NewRequest(g.streams, &wakes, new(uint64))
	for range events {
		if !from.Take(limits.EventCost(channel, nil, data)) {
			panic("gateway: more events than credits")
		}
		r.Begin(nil, from, poller.Now())
		r.Submit(channel, nil, data)
	}
	wakes.Wake()
	for g.credits.InUse() > 0 {
		time.Sleep(20 * time.Microsecond) // much less than a fan-out takes
	}
}

// EndAPIPublisher has POST /api/publish refused as at the end of the process.
func (g *Gateway) EndAPIPublisher() { g.publish.API.End() }
