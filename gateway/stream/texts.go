package stream

import "sync"

const (
	textTicks = uint32(IdempotencyWindow / historyTick)
	// textSweep is how many texts are forgotten while a table is locked.
	textSweep = 256
	// fewTexts is for how many texts a table that has any has room.
	fewTexts = 8
)

// textID stands for a text in a channel. Two have the same one by chance once in 2^128 times.
// Nobody can look for such two, because the seeds are secret.
type textID [2]uint64

// firstEvent is the event that was published with a text.
type firstEvent struct {
	id          textID
	epoch       Epoch
	offset      uint64
	subscribers uint32
	at          uint32 // as historyTime
}

// textTable is a part of the texts of one maker: a ring, and an index of it by open addressing.
// It has no pointers to its entries, of which there are many.
type textTable struct {
	mu     sync.Mutex
	events []firstEvent // a power of two; oldest first from head on. An id may be there twice, of which the later counts
	index  []textPlace  // twice as many
	head   int
	length int
}

// textPlace is a place of the index. The part of the text's hash spares most looks into events,
// which are seldom in the processor's cache.
type textPlace struct {
	hash  uint32
	place uint32 // in events, counted from 1; 0: free
}

// hash is what the index knows of a text.
func (id textID) hash() uint32 { return uint32(id[1]) }

// isOver tells whether what was remembered at a time is too old.
func isOver(at, now uint32) bool { return int32(now-at) >= int32(textTicks) }

// find looks up a text.
func (t *textTable) find(id textID, now uint32) (firstEvent, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.length == 0 {
		return firstEvent{}, false
	}
	i := t.index[t.probe(id)].place
	if i == 0 || isOver(t.events[i-1].at, now) {
		return firstEvent{}, false
	}
	return t.events[i-1], true
}

// add remembers a text that find has not found. It forgets two that are too old, so that these
// do not pile up, and the oldest one if there is no room.
func (t *textTable) add(x *idempotency, first firstEvent, room int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetOld(x, first.at, 2)
	switch {
	case t.length < len(t.events):
	case t.length < room:
		t.resize(max(2*t.length, fewTexts))
	default:
		if !isOver(t.events[t.head].at, first.at) {
			x.evicted.Add(1)
		}
		t.forgetOldest(x)
	}
	place := (t.head + t.length) & (len(t.events) - 1)
	t.events[place] = first
	t.index[t.probe(first.id)] = textPlace{first.id.hash(), uint32(place + 1)}
	t.length++
	x.kept.Add(1)
}

// probe is where the index has a text, or else where it may be put.
func (t *textTable) probe(id textID) int {
	mask := len(t.index) - 1
	for i := int(id.hash()) & mask; ; i = (i + 1) & mask {
		if p := t.index[i]; p.place == 0 || p.hash == id.hash() && t.events[p.place-1].id == id {
			return i
		}
	}
}

// forgetOld forgets texts that are too old, but not more than so many. It tells whether there
// may be more.
func (t *textTable) forgetOld(x *idempotency, now uint32, most int) bool {
	for range most {
		if t.length == 0 || !isOver(t.events[t.head].at, now) {
			return false
		}
		t.forgetOldest(x)
	}
	return true
}

func (t *textTable) forgetOldest(x *idempotency) {
	if i := t.probe(t.events[t.head].id); t.index[i].place == uint32(t.head+1) { // else it was published again
		t.unlink(i)
	}
	t.head = (t.head + 1) & (len(t.events) - 1)
	t.length--
	x.kept.Add(-1)
}

// unlink frees a place of the index. Those behind it move up if they could not be found
// otherwise.
func (t *textTable) unlink(free int) {
	mask := len(t.index) - 1
	for i := (free + 1) & mask; t.index[i].place != 0; i = (i + 1) & mask {
		home := int(t.index[i].hash) & mask
		if (i-home)&mask >= (i-free)&mask {
			t.index[free] = t.index[i]
			free = i
		}
	}
	t.index[free] = textPlace{}
}

// resize makes room for n texts, a power of two that has room for those that are there.
func (t *textTable) resize(n int) {
	events := make([]firstEvent, n)
	for i := range t.length {
		events[i] = t.events[(t.head+i)&(len(t.events)-1)]
	}
	t.events, t.index, t.head = events, make([]textPlace, 2*n), 0
	for i := range t.length {
		t.index[t.probe(events[i].id)] = textPlace{events[i].id.hash(), uint32(i + 1)}
	}
}

// sweep forgets some texts that are too old, and tells whether there may be more. If few are
// left, it gives memory back.
func (t *textTable) sweep(x *idempotency, now uint32) (more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.forgetOld(x, now, textSweep):
		return true
	case t.length == 0:
		t.events, t.index, t.head = nil, nil, 0
	case t.length <= len(t.events)/4 && len(t.events) > fewTexts:
		t.resize(len(t.events) / 2)
	}
	return false
}
