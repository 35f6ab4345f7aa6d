package history

import (
	"encoding/binary"
	"sort"
)

// A block begins with a head: the offset of the first event that begins in the block, when
// that was published, and where it begins. If none begins there, the place is 0 and the
// offset that of the next event.
const (
	blockHead = 16
	headTick  = 8
	headAt    = 12
)

// A record is an event: the length of its data and when it was published, each in four
// bytes, then the data, which may go on in the next blocks.
const recordHead = 8

// Log has the last events of a stream. The zero value has none. Its memory is always the
// same one.
type Log struct {
	blocks []block // from the oldest on
	first  uint64  // offset of the oldest event; 0: there is none
	second uint64  // the offset in the head of the second block, so that most appends read no old one; 0: there is none
	last   uint64  // offset of the newest event
	tail   uint32  // how many bytes of the last block are used
	bytes  uint32  // of the blocks
	tick   uint32  // of the newest event
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
	left := recordHead + len(data)
	if len(l.blocks) == 0 || l.current().size()-int(l.tail) < recordHead {
		l.grow(m, offset, tick, left)
	}
	b := m.bytes(l.current())
	if binary.LittleEndian.Uint16(b[headAt:]) == 0 { // the first one that begins there
		setHead(b, offset, tick, int(l.tail))
	}
	binary.LittleEndian.PutUint32(b[l.tail:], uint32(len(data)))
	binary.LittleEndian.PutUint32(b[l.tail+4:], tick)
	l.tail += recordHead
	for {
		n := copy(b[l.tail:], data)
		l.tail += uint32(n)
		if data = data[n:]; len(data) == 0 {
			return
		}
		l.grow(m, offset+1, tick, len(data))
		b = m.bytes(l.current())
	}
}

func (l *Log) current() block { return l.blocks[len(l.blocks)-1] }

// grow adds a block, before so many bytes are written into it. offset is of the event that
// will begin there first.
func (l *Log) grow(m *Memory, offset uint64, tick uint32, left int) {
	b := m.take(classFor(int(l.bytes) + left))
	setHead(m.bytes(b), offset, tick, 0)
	l.blocks = append(l.blocks, b)
	if len(l.blocks) == 2 {
		l.second = offset
	}
	l.bytes += uint32(b.size())
	l.tail = blockHead
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

func setHead(b []byte, offset uint64, tick uint32, at int) {
	binary.LittleEndian.PutUint64(b, offset)
	binary.LittleEndian.PutUint32(b[headTick:], tick)
	binary.LittleEndian.PutUint16(b[headAt:], uint16(at))
}

func (l *Log) offsetOf(m *Memory, i int) uint64 {
	return binary.LittleEndian.Uint64(m.bytes(l.blocks[i]))
}

func (l *Log) tickOf(m *Memory, i int) uint32 {
	return binary.LittleEndian.Uint32(m.bytes(l.blocks[i])[headTick:])
}

// DropBefore gives back the blocks that have nothing of the events from an offset on. Events
// before it may stay.
func (l *Log) DropBefore(m *Memory, offset uint64) {
	if offset <= l.last && (l.second == 0 || offset < l.second) {
		return
	}
	n := 0
	for n+1 < len(l.blocks) && l.offsetOf(m, n+1) <= offset {
		n++
	}
	if offset > l.last {
		n = len(l.blocks)
	}
	l.drop(m, n)
}

// Shrink gives back the oldest blocks until it holds at most so many bytes, or none.
func (l *Log) Shrink(m *Memory, bytes int) {
	n, held := 0, int(l.bytes)
	for ; held > bytes && n < len(l.blocks); n++ {
		held -= l.blocks[n].size()
	}
	// What goes on from a block that is gone is of no use.
	for n > 0 && n < len(l.blocks) && binary.LittleEndian.Uint16(m.bytes(l.blocks[n])[headAt:]) == 0 {
		n++
	}
	l.drop(m, n)
}

// drop gives back the first n blocks.
func (l *Log) drop(m *Memory, n int) {
	if n == 0 {
		return
	}
	for _, b := range l.blocks[:n] {
		l.bytes -= uint32(b.size())
		m.give(b)
	}
	l.blocks = append(l.blocks[:0], l.blocks[n:]...)
	l.first, l.second = 0, 0
	switch len(l.blocks) {
	case 0:
		l.blocks, l.tail = nil, 0
		return
	case 1:
	default:
		l.second = l.offsetOf(m, 1)
	}
	l.first = l.offsetOf(m, 0)
}

// Since is the offset of the first event that is there from an offset on and was published at
// a tick or later. It is Last + 1 if there is none. Ticks do not fall.
func (l *Log) Since(m *Memory, offset uint64, tick uint32) uint64 {
	offset = max(offset, l.First())
	if offset > l.last || len(l.blocks) == 0 || l.tickOf(m, 0) >= tick {
		return min(offset, l.last+1)
	}
	// Behind the block whose first event is too old come those that may be new enough.
	n := sort.Search(len(l.blocks), func(i int) bool { return l.tickOf(m, i) >= tick }) - 1
	w := l.from(m, max(offset, l.firstIn(m, n)))
	for w.next() {
		if w.tick >= tick {
			return w.offset
		}
	}
	return l.last + 1
}

// firstIn is the offset of the first event of which something is in block i.
func (l *Log) firstIn(m *Memory, i int) uint64 {
	if binary.LittleEndian.Uint16(m.bytes(l.blocks[i])[headAt:]) == 0 {
		return l.offsetOf(m, i) - 1
	}
	return l.offsetOf(m, i)
}

// Read calls visit for the events from an offset on, in order, until it returns false. The
// offset must not be before First. The data is valid during the call only. scratch is used
// for data that is not in one piece, and is returned for the next time.
func (l *Log) Read(m *Memory, offset uint64, scratch []byte, visit func(offset uint64, tick uint32, data []byte) bool) []byte {
	if offset > l.last || len(l.blocks) == 0 {
		return scratch
	}
	w := l.from(m, offset)
	w.scratch = scratch
	for w.next() && visit(w.offset, w.tick, w.data()) {
	}
	return w.scratch
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
	// The last block in which an event begins whose offset is not larger.
	n := sort.Search(len(l.blocks), func(i int) bool { return l.offsetOf(m, i) > offset }) - 1
	b := m.bytes(l.blocks[n])
	w := walk{log: l, memory: m, block: n, at: int(binary.LittleEndian.Uint16(b[headAt:])), offset: binary.LittleEndian.Uint64(b) - 1}
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
	b := w.memory.bytes(w.log.blocks[w.block])
	if len(b)-w.at < recordHead {
		w.block++
		b, w.at = w.memory.bytes(w.log.blocks[w.block]), blockHead
	}
	w.offset++
	w.length, w.tick = int(binary.LittleEndian.Uint32(b[w.at:])), binary.LittleEndian.Uint32(b[w.at+4:])
	w.at += recordHead
	return true
}

// skip goes n bytes of data further.
func (w *walk) skip(n int) {
	for {
		size := w.log.blocks[w.block].size()
		if n <= size-w.at {
			w.at += n
			return
		}
		n -= size - w.at
		w.block, w.at = w.block+1, blockHead
	}
}

// data is that of the event.
func (w *walk) data() []byte {
	b := w.memory.bytes(w.log.blocks[w.block])
	if w.length <= len(b)-w.at {
		return b[w.at : w.at+w.length]
	}
	w.scratch = append(w.scratch[:0], b[w.at:]...)
	for i := w.block + 1; len(w.scratch) < w.length; i++ {
		b := w.memory.bytes(w.log.blocks[i])[blockHead:]
		w.scratch = append(w.scratch, b[:min(len(b), w.length-len(w.scratch))]...)
	}
	return w.scratch
}
