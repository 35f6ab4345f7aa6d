package mem

// Ring is a first-in first-out queue that reuses its memory. The zero value is empty.
type Ring[T any] struct {
	places []T // a power of two of them
	head   int
	length int
}

// ringKeep is how many places an empty ring keeps at most. That is enough for the
// bursts of a busy channel to allocate nothing. A larger ring gives back its memory.
const ringKeep = 64

// Len returns how many entries there are.
func (r *Ring[T]) Len() int { return r.length }

// Cap returns for how many entries there is memory.
func (r *Ring[T]) Cap() int { return len(r.places) }

// Push appends an entry.
func (r *Ring[T]) Push(v T) {
	if r.length == len(r.places) {
		r.grow()
	}
	r.places[(r.head+r.length)&(len(r.places)-1)] = v
	r.length++
}

// At returns the entry with i before it.
func (r *Ring[T]) At(i int) *T {
	return &r.places[(r.head+i)&(len(r.places)-1)]
}

// Pop removes the first entry and returns it. There must be one.
func (r *Ring[T]) Pop() T {
	var zero T
	place := r.At(0)
	v := *place
	*place = zero
	r.head = (r.head + 1) & (len(r.places) - 1)
	r.length--
	if r.length == 0 && len(r.places) > ringKeep {
		*r = Ring[T]{}
	}
	return v
}

func (r *Ring[T]) grow() { r.move(max(2*len(r.places), 4)) }

// Shrink gives half of the memory back if no more than a quarter is used.
func (r *Ring[T]) Shrink() {
	if n := len(r.places); n > ringKeep && r.length <= n/4 {
		r.move(n / 2)
	}
}

// move moves the entries to that many places, which must be enough for them.
func (r *Ring[T]) move(n int) {
	places := make([]T, n)
	first := r.places[r.head:min(r.head+r.length, len(r.places))]
	copy(places[copy(places, first):], r.places[:r.length-len(first)])
	r.places, r.head = places, 0
}

// Filter removes the entries for which keep does not hold.
func (r *Ring[T]) Filter(keep func(*T) bool) {
	kept := 0
	for i := range r.length {
		place := r.At(i)
		if !keep(place) {
			continue
		}
		if i != kept {
			*r.At(kept) = *place
		}
		kept++
	}
	var zero T
	for i := kept; i < r.length; i++ {
		*r.At(i) = zero
	}
	r.length = kept
}
