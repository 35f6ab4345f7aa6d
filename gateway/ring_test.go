package gateway

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRingAgainstSlice(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var r ring[int]
		var want []int
		pushes := random.IntN(10) + 1 // of 11 steps: some rings stay short, some grow
		for i := range 1_000 {
			if random.IntN(11) < pushes {
				r.push(i)
				want = append(want, i)
			} else if len(want) > 0 {
				if got := r.pop(); got != want[0] {
					t.Fatalf("seed %d: pop returned %d, want %d", seed, got, want[0])
				}
				want = want[1:]
			}
			got := make([]int, 0, r.len())
			for j := range r.len() {
				got = append(got, *r.at(j))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: the ring has %v, want %v", seed, got, want)
			}
		}
	}
}

func TestRingLetsGo(t *testing.T) {
	var r ring[*int]
	for range 3 {
		r.push(new(int))
	}
	for r.len() > 0 {
		r.pop()
	}
	for _, p := range r.places {
		if p != nil {
			t.Fatal("an entry that was popped is still referred to")
		}
	}
	for range ringKeep + 1 {
		r.push(new(int))
	}
	for r.len() > 0 {
		r.pop()
	}
	if r.places != nil {
		t.Errorf("an empty ring keeps %d places after a burst, want none", len(r.places))
	}
}

func TestRingReusesItsPlaces(t *testing.T) {
	var r ring[int]
	r.push(0)
	if n := testing.AllocsPerRun(1_000, func() {
		for i := range 3 {
			r.push(i)
		}
		for range 3 {
			r.pop()
		}
	}); n != 0 {
		t.Errorf("pushing and popping allocates %v times", n)
	}
}
