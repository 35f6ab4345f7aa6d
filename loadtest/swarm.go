package loadtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
)

// swarm is the workers of a run and what they share.
type swarm struct {
	config   *Fanout
	target   target
	clock    clock
	layout   layout
	channels []string // names, by number
	schedule *schedule
	workers  []*worker
	arrivals []atomic.Int64 // by worker: deliveries as of its last tick
	live     atomic.Int64   // clients to which events are due
	stopped  atomic.Bool
	running  sync.WaitGroup // the workers' goroutines
}

// newSwarm makes the workers; start sets them going.
func newSwarm(config *Fanout) (*swarm, error) {
	to, err := parseTarget(config.URL)
	if err != nil {
		return nil, err
	}
	s := &swarm{
		config:   config,
		target:   to,
		clock:    newClock(),
		layout:   layout{int64(config.Channels)},
		channels: channelNames(config.Channels),
		schedule: newSchedule(config.Events),
		arrivals: make([]atomic.Int64, config.Loops),
	}
	clients, loops := int64(config.Clients), int64(config.Loops)
	for i := range loops {
		w, err := newWorker(s, int(i), span{clients * i / loops, clients * (i + 1) / loops})
		if err != nil {
			s.discard()
			return nil, err
		}
		s.workers = append(s.workers, w)
	}
	return s, nil
}

// discard gives up workers that were not started.
func (s *swarm) discard() {
	for _, w := range s.workers {
		w.loop.Close()
	}
}

// channelNames makes names that no other run uses, so that what is left of an
// earlier run cannot be mistaken for this one's.
func channelNames(count int) []string {
	run := strconv.FormatUint(uint64(rand.Uint32())|1<<31, 36)
	names := make([]string, count)
	for i := range names {
		names[i] = "load-" + run + "-" + strconv.Itoa(i)
	}
	return names
}

func (s *swarm) start() {
	for _, w := range s.workers {
		s.running.Go(w.loop.Run)
	}
}

// stop ends the workers and waits for them.
func (s *swarm) stop() {
	s.stopped.Store(true)
	for _, w := range s.workers {
		w.call(w.leave)
		w.loop.Stop()
	}
	s.running.Wait()
}

// connect makes the first count clients connect and waits until each of them
// has or has failed.
func (s *swarm) connect(ctx context.Context, count int) error {
	for _, w := range s.workers {
		share := len(w.clients) * count / s.config.Clients
		w.call(func() { w.connect(share) })
	}
	for _, w := range s.workers {
		select {
		case <-w.connects.targetMet:
		case <-ctx.Done():
			return fmt.Errorf("connecting: %w", ctx.Err())
		}
	}
	return nil
}

// delivered is how many events have arrived, as of the workers' last ticks.
func (s *swarm) delivered() (count int64) {
	for i := range s.arrivals {
		count += s.arrivals[i].Load()
	}
	return count
}

// prepare makes the workers ready for events and returns, by channel, how many
// of them have no client for it.
func (s *swarm) prepare() (absent []int32) {
	absent = make([]int32, len(s.channels))
	for _, w := range s.workers {
		w.call(func() {
			for channel, live := range w.prepare() {
				if live == 0 {
					absent[channel]++
				}
			}
		})
	}
	return absent
}

// collect counts what is missing and adds everything up.
func (s *swarm) collect() (total tally, latency histogram) {
	latency = newHistogram()
	for _, w := range s.workers {
		w.call(func() {
			w.collect()
			total.add(&w.tally)
			latency.merge(w.latency)
		})
	}
	return total, latency
}
