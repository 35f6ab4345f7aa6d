package gateway

import (
	"slices"
	"time"
)

const (
	// flushVectors is how many frames one send takes from a backlog.
	flushVectors = 64
	// flushPerTurn bounds in bytes what one session sends per turn, so that a
	// large backlog does not hold up the others.
	flushPerTurn = 256 << 10
	// repliesHeld is how much in replies may wait for a client before its
	// commands are no longer read, in bytes.
	repliesHeld = 64 << 10
)

// entryKind tells what happens when a backlog's entry has left.
type entryKind uint8

const (
	entryEvent entryKind = iota // a reference to a shared event
	entryOwn                    // bytes of this session alone: replies, control frames
	entryPing                   // as entryOwn; the pong is due from then on
)

// entry is one frame (or several whole ones, for entryOwn) that waits.
type entry struct {
	kind   entryKind
	format format // of an event's frame
	queued millis // when it began to wait; in what would be padding
	event  *event
	own    []byte
}

func (e *entry) frame() []byte {
	if e.kind == entryEvent {
		return e.event.frameIn(e.format)
	}
	return e.own
}

func (e *entry) release() {
	if e.kind == entryEvent {
		e.event.release()
	}
}

// backlog is what a session's socket has not taken yet, in order: references
// to shared events and bytes of its own. A session that keeps up has none.
type backlog struct {
	entries  ring[entry]
	sent     int           // bytes of the first entry that have left
	bytes    int           // that wait, in all
	events   int           // that wait
	own      int           // bytes of the session's own that wait
	progress time.Duration // when bytes last left; the loop's time
	total    *int64        // bytes that wait in all backlogs of the shard
	place    uint32        // of the session in the shard's list of those that lag
}

func (b *backlog) pushEvent(e *event, f format, sent int, now time.Duration) {
	e.hold()
	b.push(entry{kind: entryEvent, format: f, queued: millisOf(now), event: e}, sent)
	b.events++
}

func (b *backlog) pushOwn(kind entryKind, p []byte, now time.Duration) {
	b.push(entry{kind: kind, queued: millisOf(now), own: slices.Clone(p)}, 0)
	b.own += len(p)
}

// push appends an entry of which sent bytes have left already; only the first
// may have a part sent.
func (b *backlog) push(e entry, sent int) {
	if sent > 0 {
		b.sent = sent
	}
	b.entries.push(e)
	b.add(len(e.frame()) - sent)
}

func (b *backlog) add(n int) {
	b.bytes += n
	*b.total += int64(n)
}

// vectors fills dst with what waits, in order.
func (b *backlog) vectors(dst [][]byte) [][]byte {
	for i := range min(b.entries.len(), flushVectors) {
		frame := b.entries.at(i).frame()
		if i == 0 {
			frame = frame[b.sent:]
		}
		dst = append(dst, frame)
	}
	return dst
}

// took removes n bytes from the front and returns the number of pings that
// left with them.
func (b *backlog) took(n int) (pings int) {
	b.add(-n)
	for n > 0 {
		first := b.entries.at(0)
		left := len(first.frame()) - b.sent
		if n < left {
			b.sent += n
			return pings
		}
		n -= left
		if first.kind == entryPing {
			pings++
		}
		b.drop()
	}
	return pings
}

// drop removes the first entry.
func (b *backlog) drop() {
	e := b.entries.pop()
	b.sent = 0
	if e.kind == entryEvent {
		b.events--
	} else {
		b.own -= len(e.own)
	}
	e.release()
}

// cut removes everything except an entry that is half out, whose end the
// client needs to read what follows.
func (b *backlog) cut() {
	var half entry
	sent := b.sent
	if sent > 0 {
		half = b.entries.pop()
	}
	b.release()
	if sent > 0 {
		b.push(half, sent)
		if half.kind == entryEvent {
			b.events++
		} else {
			b.own += len(half.own)
		}
	}
}

// oldest is for how long the first entry has waited; 0 if there is none.
func (b *backlog) oldest(now time.Duration) time.Duration {
	if b.entries.len() == 0 {
		return 0
	}
	return b.entries.at(0).queued.since(now)
}

// release drops everything.
func (b *backlog) release() {
	for b.entries.len() > 0 {
		e := b.entries.pop()
		e.release()
	}
	b.add(-b.bytes)
	b.sent, b.events, b.own = 0, 0, 0
}
