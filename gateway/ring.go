package gateway

// ring is a first-in first-out queue whose memory is used over and over. The
// zero value is empty.
type ring[T any] struct {
	places []T // a power of two of them
	head   int
	length int
}

// ringKeep is the most places that an empty ring keeps: enough for the bursts of
// a busy channel to allocate nothing. A larger one gives its memory back.
const ringKeep = 64

func (r *ring[T]) len() int { return r.length }

func (r *ring[T]) push(v T) {
	if r.length == len(r.places) {
		r.grow()
	}
	r.places[(r.head+r.length)&(len(r.places)-1)] = v
	r.length++
}

// at returns the entry with i before it.
func (r *ring[T]) at(i int) *T {
	return &r.places[(r.head+i)&(len(r.places)-1)]
}

func (r *ring[T]) pop() T {
	var zero T
	place := r.at(0)
	v := *place
	*place = zero
	r.head = (r.head + 1) & (len(r.places) - 1)
	r.length--
	if r.length == 0 && len(r.places) > ringKeep {
		*r = ring[T]{}
	}
	return v
}

func (r *ring[T]) grow() { r.move(max(2*len(r.places), 4)) }

// shrink gives half of the memory back if no more than a quarter is used.
func (r *ring[T]) shrink() {
	if n := len(r.places); n > ringKeep && r.length <= n/4 {
		r.move(n / 2)
	}
}

// move moves the entries to that many places, which must be enough for them.
func (r *ring[T]) move(n int) {
	places := make([]T, n)
	first := r.places[r.head:min(r.head+r.length, len(r.places))]
	copy(places[copy(places, first):], r.places[:r.length-len(first)])
	r.places, r.head = places, 0
}

// filter removes the entries for which keep does not hold.
func (r *ring[T]) filter(keep func(*T) bool) {
	kept := 0
	for i := range r.length {
		place := r.at(i)
		if !keep(place) {
			continue
		}
		if i != kept {
			*r.at(kept) = *place
		}
		kept++
	}
	var zero T
	for i := kept; i < r.length; i++ {
		*r.at(i) = zero
	}
	r.length = kept
}
