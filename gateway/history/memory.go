package history

import (
	"sync"
	"sync/atomic"
)

// Blocks come in these sizes. A small log has small ones, so that it is filled well, and a
// large log large ones, so that it has few.
const (
	blockClasses = 4
	classBits    = 2
)

var (
	blockSizes = [blockClasses]int{MinLog, 512, 4 << 10, 32 << 10}
	slabSizes  = [blockClasses]int{64 << 10, 64 << 10, 256 << 10, 1 << 20}
)

// MinLog is how many bytes a log has at least that has an event.
const MinLog = 128

// block names a block: its class in the low bits, its number in the others.
type block uint32

func (b block) class() int  { return int(b & (1<<classBits - 1)) }
func (b block) number() int { return int(b >> classBits) }
func (b block) size() int   { return blockSizes[b.class()] }

// Memory is where logs keep their events. It never refuses: whoever appends keeps the sum
// within what it wants, by Used.
type Memory struct {
	used    atomic.Int64
	classes [blockClasses]blockClass
}

// blockClass has the blocks of one size.
type blockClass struct {
	mu    sync.Mutex
	slabs atomic.Pointer[[]*slab] // by number; nil if there is none of that number
	roomy []*slab                 // that have free blocks; the last one is used first
	empty int                     // of those, how many have nothing but free blocks
	gone  []int                   // numbers of slabs that are not there
}

// slab is memory for many blocks of one size.
type slab struct {
	memory []byte
	free   []uint16 // places of free blocks
	number int
	at     int // in roomy; -1 if it is full
}

// Used is how many bytes the blocks have that logs hold.
func (m *Memory) Used() int64 { return m.used.Load() }

// bytes are those of a block, which the caller must hold.
func (m *Memory) bytes(b block) []byte {
	class := b.class()
	size := blockSizes[class]
	perSlab := slabSizes[class] / size
	at := b.number() % perSlab * size
	return (*m.classes[class].slabs.Load())[b.number()/perSlab].memory[at : at+size : at+size]
}

// take takes a block of a class. What it has in it is old.
func (m *Memory) take(class int) block {
	c := &m.classes[class]
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.roomy) == 0 {
		c.addSlab(class)
	}
	s := c.roomy[len(c.roomy)-1]
	perSlab := slabSizes[class] / blockSizes[class]
	if len(s.free) == perSlab {
		c.empty--
	}
	place := s.free[len(s.free)-1]
	if s.free = s.free[:len(s.free)-1]; len(s.free) == 0 {
		c.unlist(s)
	}
	m.used.Add(int64(blockSizes[class]))
	return block((s.number*perSlab+int(place))<<classBits | class)
}

// emptyPart is the part of the slabs with free blocks, as a divisor, that are kept although
// nobody uses them: how much many logs hold together rises and falls.
const emptyPart = 8

// give gives a block back.
func (m *Memory) give(b block) {
	class := b.class()
	c := &m.classes[class]
	perSlab := slabSizes[class] / blockSizes[class]
	c.mu.Lock()
	defer c.mu.Unlock()
	s := (*c.slabs.Load())[b.number()/perSlab]
	s.free = append(s.free, uint16(b.number()%perSlab))
	if s.at < 0 {
		c.list(s)
	}
	if len(s.free) == perSlab {
		if c.empty > len(c.roomy)/emptyPart {
			c.dropSlab(s)
		} else {
			c.empty++
		}
	}
	m.used.Add(-int64(blockSizes[class]))
}

func (c *blockClass) list(s *slab) {
	s.at = len(c.roomy)
	c.roomy = append(c.roomy, s)
}

func (c *blockClass) unlist(s *slab) {
	last := c.roomy[len(c.roomy)-1]
	c.roomy[s.at], last.at = last, s.at
	c.roomy[len(c.roomy)-1] = nil
	c.roomy = c.roomy[:len(c.roomy)-1]
	s.at = -1
}

// addSlab adds one whose blocks are all free.
func (c *blockClass) addSlab(class int) {
	var all []*slab
	if known := c.slabs.Load(); known != nil {
		all = *known
	}
	number := len(all)
	if n := len(c.gone); n > 0 {
		number, c.gone = c.gone[n-1], c.gone[:n-1]
	} else {
		all = append(all, nil) // others may read the old list
	}
	perSlab := slabSizes[class] / blockSizes[class]
	s := &slab{memory: make([]byte, slabSizes[class]), free: make([]uint16, perSlab), number: number}
	for i := range s.free {
		s.free[i] = uint16(perSlab - 1 - i)
	}
	all[number] = s
	c.slabs.Store(&all)
	c.list(s)
	c.empty++
}

// dropSlab gives up a slab that has free blocks only.
func (c *blockClass) dropSlab(s *slab) {
	c.unlist(s)
	(*c.slabs.Load())[s.number] = nil
	c.gone = append(c.gone, s.number)
}
