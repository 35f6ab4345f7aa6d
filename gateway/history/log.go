package history

import (
	"encoding/binary"
	"sort"

	"fleetcast/gateway/mem"
)

// A record is an event: the length of its data and when it was published, each in four
// bytes, then the data, which may go on in the next blocks.
const recordHead = 8

// restUnused in the place of a length tells that the next event begins in the next block.
const restUnused = 1<<32 - 1

// held is a block that a log holds, and the first event that begins there: low bits of its
// offset, when it was published, and where it begins. These do not stand in the block, because
// memory that was written a hundred events ago is in no cache any more.
type held struct {
	block  block
	offset uint32
	tick   uint32
	at     uint16
	begins bool // an event begins there; if none does, the offset is that of the next one
}

// Log has the last events of a stream. The zero value has none. Its memory is always the
// same one.
type Log struct {
	blocks mem.Ring[held] // from the oldest on
	first  uint64         // offset of the oldest event; 0: there is none
	last   uint64         // offset of the newest event
	tail   uint32         // how many bytes of the last block are used
	bytes  uint32         // of the blocks
	tick   uint32         // of the newest event
	spare  block          // for the next event that needs one, if hasSpare
	// hasSpare tells that the log holds a block that nothing of it is in. A log that is full
	// gives one back as often as it takes one, and does not go to the shared memory for that.
	hasSpare bool
}

// Last is the offset of the newest event that was appended. Whether it is still there tells
// Len.
func (l *Log) Last() uint64 { return l.last }

// Bytes is how many bytes of the memory it holds.
func (l *Log) Bytes() int { return int(l.bytes) }

// First is the offset of the oldest event that is there, Last + 1 if there is none.
func (l *Log) First() uint64 {
	if l.first == 0 {
		return l.last + 1
	}
	return l.first
}

// Len is how many events are there.
func (l *Log) Len() int { return int(l.last + 1 - l.First()) }

// offsetOf is the offset of the first event that begins in block i, or in a later one if none
// does.
func (l *Log) offsetOf(i int) uint64 {
	return l.last + 1 - uint64(uint32(l.last+1)-l.blocks.At(i).offset)
}

// Append appends an event. Its offset is at least 1, and one more than that of the last one
// unless there is none. A tick is the time in a unit of the caller's choice; one that is before
// that of the last event counts as that.
func (l *Log) Append(m *Memory, offset uint64, tick uint32, data []byte) {
	if l.first == 0 {
		l.first = offset
	} else if tick = max(tick, l.tick); offset != l.last+1 {
		panic("history: an event is not behind the last one")
	}
	l.last, l.tick = offset, tick
	if !l.fits(m, recordHead+len(data)) {
		l.grow(m, recordHead+len(data))
	}
	h := l.current()
	if !h.begins {
		h.offset, h.tick, h.at, h.begins = uint32(offset), tick, uint16(l.tail), true
	}
	b := m.bytes(h.block)
	binary.LittleEndian.PutUint32(b[l.tail:], uint32(len(data)))
	binary.LittleEndian.PutUint32(b[l.tail+4:], tick)
	l.tail += recordHead
	for {
		n := copy(b[l.tail:], data)
		l.tail += uint32(n)
		if data = data[n:]; len(data) == 0 {
			return
		}
		l.grow(m, len(data))
		h := l.current()
		h.offset, h.tick = uint32(offset+1), tick
		b = m.bytes(h.block)
	}
}

// fits tells whether an event of so many bytes begins in the last block. One that fits into a
// smallest block is not split over two of them, because small logs have no others.
func (l *Log) fits(m *Memory, size int) bool {
	if l.blocks.Len() == 0 {
		return false
	}
	b := l.current().block
	switch rest := b.size() - int(l.tail); {
	case rest < recordHead:
		return false
	case b.class() == 0 && rest < size && size <= b.size():
		binary.LittleEndian.PutUint32(m.bytes(b)[l.tail:], restUnused)
		return false
	}
	return true
}

func (l *Log) current() *held { return l.blocks.At(l.blocks.Len() - 1) }

// grow adds a block, before so many bytes are written into it.
func (l *Log) grow(m *Memory, left int) {
	class := classFor(int(l.bytes) + left)
	l.tail = 0
	if l.hasSpare && l.spare.class() == class {
		l.hasSpare = false
		l.blocks.Push(held{block: l.spare})
		return
	}
	b := m.take(class)
	l.blocks.Push(held{block: b})
	l.bytes += uint32(b.size())
}

// classFor is the class of a further block of a log that will have so many bytes. A log has
// up to 8 blocks of the smallest size, and 64 to 128 of the others before it gets larger ones,
// so that what its first and its last block have free is little.
func classFor(bytes int) int {
	switch {
	case bytes <= 8*128:
		return 0
	case bytes <= 64<<10:
		return 1
	case bytes <= 512<<10:
		return 2
	}
	return 3
}

// DropBefore gives back the blocks that have nothing of the events from an offset on. Events
// before it may stay.
func (l *Log) DropBefore(m *Memory, offset uint64) {
	if offset > l.last {
		l.drop(m, l.blocks.Len())
		return
	}
	n := 0
	for n+1 < l.blocks.Len() && l.offsetOf(n+1) <= offset {
		n++
	}
	l.drop(m, n)
}

// Shrink gives back the oldest blocks until it holds at most so many bytes, or none.
func (l *Log) Shrink(m *Memory, bytes int) {
	l.dropSpare(m)
	n, left := 0, l.Bytes()
	for ; left > bytes && n < l.blocks.Len(); n++ {
		left -= l.blocks.At(n).block.size()
	}
	// What goes on from a block that is gone is of no use.
	for n > 0 && n < l.blocks.Len() && !l.blocks.At(n).begins {
		n++
	}
	l.drop(m, n)
}

// drop gives back the first n blocks.
func (l *Log) drop(m *Memory, n int) {
	if n == 0 {
		return
	}
	for range n {
		b := l.blocks.Pop().block
		if !l.hasSpare && l.blocks.Len() >= spareFrom && b.class() == l.current().block.class() {
			l.spare, l.hasSpare = b, true
			continue
		}
		l.give(m, b)
	}
	if l.blocks.Len() == 0 {
		l.dropSpare(m)
		l.blocks, l.first, l.tail = mem.Ring[held]{}, 0, 0
		return
	}
	l.blocks.Shrink()
	l.first = l.offsetOf(0)
}

// spareFrom is how many blocks a log has that keeps a spare one.
const spareFrom = 16

func (l *Log) give(m *Memory, b block) {
	l.bytes -= uint32(b.size())
	m.give(b)
}

func (l *Log) dropSpare(m *Memory) {
	if l.hasSpare {
		l.hasSpare = false
		l.give(m, l.spare)
	}
}

// Since is the offset of the first event that is there from an offset on and was published at
// a tick or later. It is Last + 1 if there is none. Ticks do not fall.
func (l *Log) Since(m *Memory, offset uint64, tick uint32) uint64 {
	offset = max(offset, l.First())
	if offset > l.last || l.blocks.At(0).tick >= tick {
		return min(offset, l.last+1)
	}
	// Behind the block whose first event is too old come those that may be new enough.
	n := sort.Search(l.blocks.Len(), func(i int) bool { return l.blocks.At(i).tick >= tick }) - 1
	if n+1 < l.blocks.Len() && l.offsetOf(n+1) <= offset {
		return offset
	}
	w := l.from(m, max(offset, l.firstIn(n)))
	for w.next() {
		if w.tick >= tick {
			return w.offset
		}
	}
	return l.last + 1
}

// firstIn is the offset of the first event of which something is in block i.
func (l *Log) firstIn(i int) uint64 {
	if !l.blocks.At(i).begins {
		return l.offsetOf(i) - 1
	}
	return l.offsetOf(i)
}

// Read calls visit for the events from an offset on, in order, until it returns false. The
// offset must not be before First. The data is valid during the call only. scratch is used
// for data that is not in one piece, and is returned for the next time.
func (l *Log) Read(m *Memory, offset uint64, scratch []byte, visit func(offset uint64, tick uint32, data []byte) bool) []byte {
	if offset > l.last || l.blocks.Len() == 0 {
		return scratch
	}
	w := l.from(m, offset)
	w.scratch = scratch
	for w.next() && visit(w.offset, w.tick, w.data()) {
	}
	return w.scratch
}

// blockOf is the last block in which an event begins whose offset is not larger.
func (l *Log) blockOf(offset uint64) int {
	return sort.Search(l.blocks.Len(), func(i int) bool { return l.offsetOf(i) > offset }) - 1
}

// walk goes over the events of a log.
type walk struct {
	log     *Log
	memory  *Memory
	block   int // of the event, or of the next one
	at      int
	offset  uint64
	tick    uint32
	length  int
	scratch []byte
}

// from is a walk whose first event has that offset, which is there.
func (l *Log) from(m *Memory, offset uint64) walk {
	n := l.blockOf(offset)
	w := walk{log: l, memory: m, block: n, at: int(l.blocks.At(n).at), offset: l.offsetOf(n) - 1}
	for w.offset+1 < offset {
		w.next()
	}
	return w
}

// next goes to the next event. It is false behind the last one.
func (w *walk) next() bool {
	w.skip(w.length)
	if w.offset == w.log.last {
		w.length = 0
		return false
	}
	b := w.bytes(w.block)
	if len(b)-w.at < recordHead || binary.LittleEndian.Uint32(b[w.at:]) == restUnused {
		w.block++
		b, w.at = w.bytes(w.block), 0
	}
	w.offset++
	w.length, w.tick = int(binary.LittleEndian.Uint32(b[w.at:])), binary.LittleEndian.Uint32(b[w.at+4:])
	w.at += recordHead
	return true
}

// bytes are those of block i.
func (w *walk) bytes(i int) []byte { return w.memory.bytes(w.log.blocks.At(i).block) }

// skip goes n bytes of data further.
func (w *walk) skip(n int) {
	for {
		size := w.log.blocks.At(w.block).block.size()
		if n <= size-w.at {
			w.at += n
			return
		}
		n -= size - w.at
		w.block, w.at = w.block+1, 0
	}
}

// data is that of the event.
func (w *walk) data() []byte {
	b := w.bytes(w.block)
	if w.length <= len(b)-w.at {
		return b[w.at : w.at+w.length]
	}
	w.scratch = w.appendData(w.scratch[:0])
	return w.scratch
}

// appendData appends the data of the event.
func (w *walk) appendData(dst []byte) []byte {
	at := w.at
	for i, left := w.block, w.length; left > 0; i++ {
		b := w.bytes(i)[at:]
		b = b[:min(len(b), left)]
		dst = append(dst, b...)
		left -= len(b)
		at = 0
	}
	return dst
}
