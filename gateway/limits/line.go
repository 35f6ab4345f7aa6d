package limits

import (
	"container/heap"
	"container/list"
	"net/netip"
)

// Line has what waits for its turn: in order for each address, and the addresses in turn. If
// it is full, what came last from the address that has most in it makes room for an address
// that has less. So no address keeps others from having their turn, and one alone may use all
// of it. What counts as one address is that of [Network]; all without an address are one.
//
// Adding and removing take time that grows with the logarithm of the number of addresses. A
// Line is not for several goroutines at once.
type Line[T any] struct {
	entries int   // that there may be
	most    int64 // that their costs may be together
	length  int
	cost    int64
	groups  map[netip.Addr]*lineGroup[T]
	turns   list.List   // of the groups, the next one first
	largest lineHeap[T] // by cost
}

// Waiting is an entry of a Line.
type Waiting[T any] struct {
	Value T
	cost  int64
	group *lineGroup[T] // nil if it is in no line any more
	at    *list.Element
}

// lineGroup is what waits for one address.
type lineGroup[T any] struct {
	from    netip.Addr
	waiting list.List // of *Waiting[T]
	cost    int64
	turn    *list.Element
	number  int // in the heap
}

// NewLine makes a line that has room for so many entries, whose costs together are at most
// that.
func NewLine[T any](entries int, most int64) *Line[T] {
	return &Line[T]{entries: entries, most: most, groups: make(map[netip.Addr]*lineGroup[T])}
}

// Len is the number of entries.
func (l *Line[T]) Len() int { return l.length }

// Add adds an entry of an address, and returns those that had to make room for it. The first
// result is nil if there is no room.
func (l *Line[T]) Add(from netip.Addr, cost int64, value T) (added *Waiting[T], out []*Waiting[T]) {
	if from.IsValid() {
		from = Network(from.Unmap())
	}
	own := cost
	if g := l.groups[from]; g != nil {
		own += g.cost
	}
	for l.length >= l.entries || l.cost+cost > l.most {
		if len(l.largest) == 0 || l.largest[0].cost <= own {
			return nil, out
		}
		last := l.largest[0].waiting.Back().Value.(*Waiting[T])
		l.Remove(last)
		out = append(out, last)
	}
	g := l.groups[from]
	if g == nil {
		g = &lineGroup[T]{from: from}
		l.groups[from] = g
		g.turn = l.turns.PushBack(g)
		heap.Push(&l.largest, g)
	}
	added = &Waiting[T]{Value: value, cost: cost, group: g}
	added.at = g.waiting.PushBack(added)
	g.cost += cost
	l.cost += cost
	l.length++
	heap.Fix(&l.largest, g.number)
	return added, out
}

// Next removes and returns the entry whose turn it is. It is nil if there is none.
func (l *Line[T]) Next() *Waiting[T] {
	front := l.turns.Front()
	if front == nil {
		return nil
	}
	l.turns.MoveToBack(front)
	next := front.Value.(*lineGroup[T]).waiting.Front().Value.(*Waiting[T])
	l.Remove(next)
	return next
}

// Remove removes an entry. The result is false if it had been removed before.
func (l *Line[T]) Remove(w *Waiting[T]) bool {
	g := w.group
	if g == nil {
		return false
	}
	w.group = nil
	g.waiting.Remove(w.at)
	g.cost -= w.cost
	l.cost -= w.cost
	l.length--
	if g.waiting.Len() > 0 {
		heap.Fix(&l.largest, g.number)
		return true
	}
	heap.Remove(&l.largest, g.number)
	l.turns.Remove(g.turn)
	delete(l.groups, g.from)
	return true
}

// lineHeap has the group with the largest cost first. It implements heap.Interface.
type lineHeap[T any] []*lineGroup[T]

func (h lineHeap[T]) Len() int           { return len(h) }
func (h lineHeap[T]) Less(i, j int) bool { return h[i].cost > h[j].cost }
func (h lineHeap[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].number, h[j].number = i, j
}

// Push implements heap.Interface.
func (h *lineHeap[T]) Push(g any) {
	group := g.(*lineGroup[T])
	group.number = len(*h)
	*h = append(*h, group)
}

// Pop implements heap.Interface.
func (h *lineHeap[T]) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return g
}
