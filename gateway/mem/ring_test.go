package mem

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRingAgainstSlice(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var r Ring[int]
		var want []int
		pushes := random.IntN(10) + 1 // of 11 steps: some rings stay short, some grow
		for i := range 1_000 {
			if random.IntN(11) < pushes {
				r.Push(i)
				want = append(want, i)
			} else if len(want) > 0 {
				if got := r.Pop(); got != want[0] {
					t.Fatalf("seed %d: pop returned %d, want %d", seed, got, want[0])
				}
				want = want[1:]
			}
			got := make([]int, 0, r.Len())
			for j := range r.Len() {
				got = append(got, *r.At(j))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: the ring has %v, want %v", seed, got, want)
			}
		}
	}
}

func TestRingLetsGo(t *testing.T) {
	var r Ring[*int]
	for range 3 {
		r.Push(new(int))
	}
	for r.Len() > 0 {
		r.Pop()
	}
	for _, p := range r.places {
		if p != nil {
			t.Fatal("an entry that was popped is still referred to")
		}
	}
	for range ringKeep + 1 {
		r.Push(new(int))
	}
	for r.Len() > 0 {
		r.Pop()
	}
	if r.places != nil {
		t.Errorf("an empty ring keeps %d places after a burst, want none", len(r.places))
	}
}

func TestRingReusesItsPlaces(t *testing.T) {
	var r Ring[int]
	r.Push(0)
	if n := testing.AllocsPerRun(1_000, func() {
		for i := range 3 {
			r.Push(i)
		}
		for range 3 {
			r.Pop()
		}
	}); n != 0 {
		t.Errorf("pushing and popping allocates %v times", n)
	}
}
