package backlog

import (
	"math/bits"
	"sync/atomic"
)

// Memory counts the bytes that the backlogs of the process keep alive: the events that
// wait in any of them, each counted once, the backlogs themselves with their queues of
// references, and the sessions' own frames. All compressed frames count too, because
// they live as long as their event. Past its limit the clients with the largest
// backlogs are disconnected. Any goroutine may call its methods.
type Memory struct {
	Limit      atomic.Int64
	held       atomic.Int64  // but for compressed frames
	Compressed *atomic.Int64 // frames
	relieving  atomic.Bool   // the limit was passed, and not enough has been cut since
}

// Total is what is held, in bytes.
func (m *Memory) Total() int64 { return m.held.Load() + m.Compressed.Load() }

func (m *Memory) add(n int64) { m.held.Add(n) }

// Enough is the size at which cutting stops. It is below the limit, so that not every
// event cuts a backlog.
func (m *Memory) Enough() int64 {
	limit := m.Limit.Load()
	return limit - limit/16
}

// Over tells whether backlogs must be cut.
func (m *Memory) Over() bool {
	held := m.Total()
	switch {
	case held > m.Limit.Load():
		m.relieving.Store(true)
	case held <= m.Enough():
		if m.relieving.Load() {
			m.relieving.Store(false)
		}
		return false
	}
	return m.relieving.Load()
}

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

// Largest is the class of the largest backlog, 0 without any.
func (s *sizes) Largest() uint8 {
	for class := len(s) - 1; class > 0; class-- {
		if s[class].Load() > 0 {
			return uint8(class)
		}
	}
	return 0
}

// classify updates the shard's count of backlogs by size. The size is what waits, and
// what the backlog itself takes.
func (b *Backlog) classify() {
	class := sizeClass(b.Bytes + b.memory)
	if class == b.Class {
		return
	}
	if b.Class > 0 {
		b.ledger.Sizes[b.Class].Add(-1)
	}
	if class > 0 {
		b.ledger.Sizes[class].Add(1)
	}
	b.Class = class
}
