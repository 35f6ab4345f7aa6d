package mem

import "slices"

// Best keeps those of the values offered to it that come first in an order. It
// holds twice as many as it keeps at most, and allocates nothing after NewBest.
type Best[T any] struct {
	keep    int
	compare func(a, b T) int
	values  []T
	full    bool // the first keep values are sorted, and no later one beats them
}

// NewBest keeps as many values as keep says. Those that compare orders first are the
// best.
func NewBest[T any](keep int, compare func(a, b T) int) *Best[T] {
	return &Best[T]{keep: keep, compare: compare, values: make([]T, 0, 2*keep)}
}

// Wants tells whether v would be kept for the time being.
func (b *Best[T]) Wants(v T) bool {
	return !b.full || b.compare(v, b.values[b.keep-1]) < 0
}

// Offer keeps v if it is wanted, and tells whether it was.
func (b *Best[T]) Offer(v T) bool {
	if !b.Wants(v) {
		return false
	}
	if len(b.values) == cap(b.values) {
		b.Sorted()
	}
	b.values = append(b.values, v)
	return true
}

// Sorted returns the values that are kept, in order. The slice is valid until the next
// offer.
func (b *Best[T]) Sorted() []T {
	slices.SortFunc(b.values, b.compare)
	if len(b.values) > b.keep {
		clear(b.values[b.keep:])
		b.values = b.values[:b.keep]
	}
	b.full = len(b.values) == b.keep
	return b.values
}
