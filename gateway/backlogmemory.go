package gateway

import (
	"cmp"
	"math/bits"
	"slices"
	"sync/atomic"

	"fleetcast/codec/websocket"
)

// backlogMemory is what the backlogs of the process hold alive, in bytes: the
// events that wait in any of them, each counted once, their queues, and the
// sessions' own frames. Past its limit the largest backlogs are cut. All methods
// may be called from any goroutine.
type backlogMemory struct {
	limit     atomic.Int64
	held      atomic.Int64
	relieving atomic.Bool // the limit was passed, and not enough has been cut since
}

func (m *backlogMemory) add(n int64) { m.held.Add(n) }

// enough is down to what backlogs are cut, so that not every event cuts one.
func (m *backlogMemory) enough() int64 {
	limit := m.limit.Load()
	return limit - limit/16
}

// over tells whether backlogs are to be cut.
func (m *backlogMemory) over() bool {
	held := m.held.Load()
	switch {
	case held > m.limit.Load():
		m.relieving.Store(true)
	case held <= m.enough():
		if m.relieving.Load() {
			m.relieving.Store(false)
		}
		return false
	}
	return m.relieving.Load()
}

// await counts the event as waiting in one more backlog.
func (e *event) await(m *backlogMemory) {
	if e.backlogs.Add(1) == 1 {
		m.add(e.weight())
	}
}

// unawait is the end of await.
func (e *event) unawait(m *backlogMemory) {
	if e.backlogs.Add(-1) == 0 {
		m.add(-e.weight())
	}
}

// weight is what an event keeps in memory; its compressed frames, which are
// smaller, are not counted.
func (e *event) weight() int64 { return int64(eventOverhead + cap(e.buffer.B)) }

// sizeClass is the logarithm of a backlog's size: four classes for each power of
// two, and 0 for an empty one.
func sizeClass(bytes int) uint8 {
	if bytes < 4 {
		return uint8(max(bytes, 0))
	}
	n := bits.Len(uint(bytes))
	return uint8(n<<2 | bytes>>(n-3)&3)
}

// sizes counts a shard's backlogs by class. Only the shard writes; any goroutine
// may read.
type sizes [256]atomic.Int32

// largest is the class of the largest backlog, 0 without any.
func (s *sizes) largest() uint8 {
	for class := len(s) - 1; class > 0; class-- {
		if s[class].Load() > 0 {
			return uint8(class)
		}
	}
	return 0
}

// classify keeps the shard's count of backlogs by size.
func (b *backlog) classify() {
	class := sizeClass(b.bytes)
	if class == b.class {
		return
	}
	if b.class > 0 {
		b.shard.sizes[b.class].Add(-1)
	}
	if class > 0 {
		b.shard.sizes[class].Add(1)
	}
	b.class = class
}

// cutsPerTurn bounds how many clients a turn disconnects for want of memory, so
// that the others are served meanwhile.
const cutsPerTurn = 64

// relieve cuts the largest backlogs of the process as long as they hold too much,
// and tells whether this shard has more of them. Each shard cuts its own; those
// that have some of the largest class are woken.
func (s *shard) relieve() (busy bool) {
	memory := &s.gateway.backlogs
	if !memory.over() {
		return false
	}
	largest := uint8(0)
	for _, other := range s.gateway.shards {
		largest = max(largest, other.sizes.largest())
	}
	for _, other := range s.gateway.shards {
		if other != s && other.sizes[largest].Load() > 0 {
			other.loop.Wake()
		}
	}
	if largest == 0 || s.sizes[largest].Load() == 0 {
		return false
	}
	var found []*session
	for _, c := range s.lagging {
		if c.backlog.class == largest {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *session) int { return cmp.Compare(b.backlog.bytes, a.backlog.bytes) })
	for _, c := range found[:min(len(found), cutsPerTurn)] {
		if memory.held.Load() <= memory.enough() {
			break
		}
		c.cutForMemory()
	}
	return memory.over()
}

// cutForMemory disconnects a client whose backlog is among the largest.
func (c *session) cutForMemory() {
	if c.state == sessionOpen {
		c.finish(backlogsFull, websocket.StatusTryAgainLater, "slow consumer: too much waits for all clients together")
		return
	}
	// It was to get what waits before its end; or the frame that is half out is
	// large by itself.
	c.conn.Reset()
	c.conn.Close(errBacklogsFull)
}
