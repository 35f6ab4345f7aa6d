package shard

import "fleetcast/codec/websocket"

// A turn looks at most at so many clients that lag, and disconnects at most so many of
// them (because memory is short, or because they are slow), and for no longer than one
// slice. The other clients are served in between.
const (
	looksPerTurn = 4096
	cutsPerTurn  = 16
)

// relieve disconnects the clients with the largest backlogs of the process as long as
// all backlogs hold too much, and returns whether this shard has more of them. Each
// shard disconnects its own clients. Shards that have backlogs of the largest class are
// woken. Within a class sizes are similar, and the order is that of the list.
func (s *Shard) relieve() (busy bool) {
	memory := &s.shared.Backlogs
	if !memory.Over() {
		return false
	}
	largest := s.shared.largestBacklog()
	for _, other := range s.shared.Shards {
		if other != s && other.ledger.Sizes[largest].Load() > 0 {
			other.Loop.Wake()
		}
	}
	if largest == 0 || s.ledger.Sizes[largest].Load() == 0 {
		return false
	}
	end := s.Loop.Refresh() + s.slice
	cuts := 0
	for range min(len(s.lagging), looksPerTurn) {
		s.looked = (s.looked + 1) % len(s.lagging)
		c := s.lagging[s.looked]
		if c.backlog.Class != largest {
			continue
		}
		c.cutForMemory()
		if cuts++; cuts == cutsPerTurn || memory.Total() <= memory.Enough() || s.Loop.Refresh() >= end {
			break
		}
	}
	return memory.Over()
}

// largestBacklog is the class of the largest backlog of all shards, 0 without
// any.
func (a *Shared) largestBacklog() (largest uint8) {
	for _, s := range a.Shards {
		largest = max(largest, s.ledger.Sizes.Largest())
	}
	return largest
}

// cutForMemory disconnects a client whose backlog is among the largest.
func (c *session) cutForMemory() {
	if c.state == sessionOpen {
		c.finish(BacklogsFull, websocket.StatusTryAgainLater, "slow consumer: too much waits for all clients together")
		return
	}
	// The client is closing and was to get what waits before its end, or a large frame
	// is half sent.
	c.sampleEnd(BacklogsFull)
	c.reason = BacklogsFull
	c.backlog.Release()
	c.conn.Reset()
	c.conn.Close(errBacklogsFull)
}
