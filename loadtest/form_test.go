package loadtest

import (
	"fmt"
	"math"
	"testing"
)

// Each channel of each loop has its share of the clients that offer compression,
// and so has the whole.
func TestOffersAreSpread(t *testing.T) {
	for _, share := range []float64{0, 0.001, 0.1, 0.29, 0.3, 0.5, 0.7, 0.999, 1} {
		for _, c := range []struct{ clients, channels, processes, loops int }{
			{1000, 1, 1, 1}, {1000, 1, 1, 2}, {1000, 7, 1, 3}, {1000, 13, 2, 2}, {1000, 500, 1, 2}, {1000, 1000, 2, 4}, {500, 1000, 1, 1}, {10, 1, 1, 1},
		} {
			t.Run(fmt.Sprintf("%v of %v", share, c), func(t *testing.T) {
				p := &plan{Deflate: share, Processes: c.processes, Loops: c.loops}
				kinds := leastCommonMultiple(c.channels, c.processes*c.loops)
				ofKind, clientsOf, all := make([]int, kinds), make([]int, kinds), 0
				for i := range c.clients {
					clientsOf[i%kinds]++
					if p.offers(i, c.channels) {
						ofKind[i%kinds]++
						all++
					}
				}
				for kind, got := range ofKind {
					if want := share * float64(clientsOf[kind]); math.Abs(float64(got)-want) >= 1+1e-6 {
						t.Errorf("%d of %d clients of a channel and loop offer, want %v", got, clientsOf[kind], want)
					}
				}
				tolerance := 3.0
				if kinds == 1 || share == 0 || share == 1 {
					tolerance = 0.9999
				}
				if want := share * float64(c.clients); math.Abs(float64(all)-want) > tolerance {
					t.Errorf("%d of %d clients offer, want %v", all, c.clients, want)
				}
			})
		}
	}
}

func TestLeastCommonMultiple(t *testing.T) {
	for _, c := range [][3]int{{1, 1, 1}, {4, 6, 12}, {7, 3, 21}, {1000, 8, 1000}, {MaxChannels, MaxLoops * MaxProcesses, MaxChannels}} {
		if got := leastCommonMultiple(c[0], c[1]); got != c[2] {
			t.Errorf("of %d and %d: got %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
