package loadtest

import (
	"math/rand/v2"
	"testing"
)

// naive is what a sequence stands for.
type naive struct {
	next    int64
	gapped  bool // nothing has come since a gap
	missing map[int64]bool
}

func (n *naive) take(index int64) (arrival, span) {
	if index >= n.next {
		skipped := span{n.next, index}
		for i := n.next; i < index; i++ {
			n.missing[i] = true
		}
		n.next, n.gapped = index+1, false
		return arrivalFresh, skipped
	}
	if n.missing[index] {
		delete(n.missing, index)
		return arrivalLate, span{}
	}
	return arrivalRepeated, span{}
}

// within counts what is missing in s, and returns the first that is missing from its start on.
func (n *naive) within(s span) (count, first int64) {
	first = max(n.next, s.from)
	for i := range n.missing {
		if i >= s.from && i < s.to {
			count++
		}
		if i >= s.from {
			first = min(first, i)
		}
	}
	return count, first
}

func (n *naive) tell(gap span) (told int64, fault gapFault) {
	switch {
	case gap.size() == 0 || gap.from < n.next:
		fault = gapWrong
	case n.gapped:
		fault = gapSplit
	}
	for i := gap.from; i < gap.to; i++ {
		if i >= n.next || n.missing[i] {
			told++
		}
		delete(n.missing, i)
	}
	if gap.size() > 0 && gap.to > n.next {
		for i := n.next; i < gap.from; i++ {
			n.missing[i] = true
		}
		n.next, n.gapped = gap.to, true
	}
	return told, fault
}

func TestSequenceAgainstNaive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var q sequence
		n := naive{missing: make(map[int64]bool)}
		for range 100 {
			index := max(q.next+int64(random.IntN(12))-8, 0)
			if random.IntN(8) == 0 {
				gap := span{index, index + int64(random.IntN(6))}
				told, _, fault := q.tell(gap)
				if want, wantFault := n.tell(gap); told != want || fault != wantFault {
					t.Fatalf("round %d: tell %v gives %d %v, want %d %v", round, gap, told, fault, want, wantFault)
				}
			} else {
				a, skipped := q.take(index)
				wantA, wantSkipped := n.take(index)
				if a != wantA || skipped.size() != wantSkipped.size() || skipped.size() > 0 && skipped != wantSkipped {
					t.Fatalf("round %d: take %d gives %v %v, want %v %v", round, index, a, skipped, wantA, wantSkipped)
				}
			}
			if q.next != n.next || q.lost()+q.ahead(q.next+3) != int64(len(n.missing))+3 {
				t.Fatalf("round %d: next %d lost %d, want %d %d", round, q.next, q.lost()+q.ahead(q.next+3), n.next, len(n.missing)+3)
			}
			from := random.Int64N(n.next + 1)
			within := span{from, from + random.Int64N(8)}
			if count, first := n.within(within); q.lostIn(within) != count || q.firstLostFrom(from) != first {
				t.Fatalf("round %d: lost in %v %d, the first %d; want %d, %d", round, within, q.lostIn(within), q.firstLostFrom(from), count, first)
			}
		}
	}
}

// Whoever resumes gets what is published from there on, be it once more, and what
// was missing before that stays missing.
func TestSequenceResumes(t *testing.T) {
	cases := map[string]struct {
		at, found, lost int64 // of 10
	}{
		"where it was":    {8, 0, 4},
		"further on":      {9, 0, 3},
		"behind its hole": {7, 0, 5},
		"in its hole":     {5, 1, 6},
		"before its hole": {3, 2, 7},
		"at the start":    {0, 2, 10},
		"before that":     {-3, 2, 10},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var q sequence
			for _, index := range []int64{0, 1, 2, 3, 6, 7} {
				q.take(index)
			}
			if found := q.resumeAt(c.at); found != c.found {
				t.Errorf("found %d, want %d", found, c.found)
			}
			if lost := q.lost() + q.ahead(10); lost != c.lost {
				t.Errorf("lost %d, want %d", lost, c.lost)
			}
			if a, skipped := q.take(max(c.at, 0)); a != arrivalFresh || skipped.size() > 0 {
				t.Errorf("it gets its first event %v, behind %v", a, skipped)
			}
		})
	}
}

func TestSequenceBound(t *testing.T) {
	var q sequence
	const holes = maxHoles + 500
	for i := range int64(holes) {
		q.take(2*i + 1) // 0, 2, 4 ... never come
	}
	if got := len(q.holes.spans); got != maxHoles {
		t.Errorf("%d runs are kept, want %d", got, maxHoles)
	}
	if got := q.lost() + q.ahead(2*holes); got != holes {
		t.Errorf("lost %d, want %d", got, holes)
	}
	if a, _ := q.take(0); a != arrivalRepeated {
		t.Errorf("an event given up long ago is %v", a)
	}
}

func TestLayout(t *testing.T) {
	for _, channels := range []int64{1, 2, 3, 7} {
		l := layout{channels}
		counts := make([]int64, channels)
		for seq := range int64(50) {
			for channel := range channels {
				if got := l.count(int32(channel), seq); got != counts[channel] {
					t.Fatalf("channel %d of %d has %d of %d events, want %d", channel, channels, got, seq, counts[channel])
				}
			}
			channel, index := l.place(seq)
			if index != counts[channel] || l.seq(channel, index) != seq {
				t.Fatalf("event %d is %d of channel %d", seq, index, channel)
			}
			counts[channel]++
		}
	}
}
