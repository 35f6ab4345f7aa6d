package mem

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		keep, n := 1+random.IntN(20), random.IntN(100)
		b := NewBest(keep, func(a, b int) int { return a - b })
		var all []int
		for range n {
			v := random.IntN(1000)
			all = append(all, v)
			b.Offer(v)
			if random.IntN(30) == 0 {
				b.Sorted()
			}
		}
		slices.Sort(all)
		if want := all[:min(keep, n)]; !slices.Equal(b.Sorted(), want) {
			t.Fatalf("of %v are kept %v, want %v", all, b.Sorted(), want)
		}
		if cap(b.values) != 2*keep {
			t.Fatalf("%d values need room for %d", keep, cap(b.values))
		}
	}
}
