package limits

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// address is the one that a letter stands for; "-" is none.
func address(letter byte) netip.Addr {
	if letter == '-' {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, letter})
}

// TestLine adds entries, each named by the letter of its address, and a number behind it that
// is its cost if that is not 1. It compares what is left out, and the order of the turns.
func TestLine(t *testing.T) {
	for _, test := range []struct {
		name            string
		entries         int
		most            int64
		add, out, turns string
	}{
		{"one alone has it all", 4, 100, "a a a a a", "a#5", "a#1 a#2 a#3 a#4"},
		{"addresses have turns", 9, 100, "a a a b c b", "", "a#1 b#1 c#1 a#2 b#2 a#3"},
		{"the largest makes room", 4, 100, "a a a a b c b", "a#4 a#3 b#2", "a#1 b#1 c#1 a#2"},
		{"equal shares stay", 4, 100, "a a b b a b c", "a#3 b#3 a#2", "a#1 b#1 c#1 b#2"},
		{"as many addresses as places", 3, 100, "a b c d", "d#1", "a#1 b#1 c#1"},
		{"no place", 0, 100, "a", "a#1", ""},
		{"costs", 9, 10, "a4 a4 b4 c2", "a#2", "a#1 b#1 c#1"},
		{"costs of one", 9, 10, "a4 a4 a4", "a#3", "a#1 a#2"},
		{"too dear for its share", 9, 10, "a4 b4 c4", "c#1", "a#1 b#1"},
		{"too dear at all", 9, 10, "a11", "a#1", ""},
		{"clients without an address are one", 3, 100, "- - - a", "-#3", "-#1 a#1 -#2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			line := NewLine[string](test.entries, test.most)
			var out, turns []string
			numbers := map[byte]int{}
			for _, word := range strings.Fields(test.add) {
				cost := int64(1)
				if len(word) > 1 {
					_, _ = fmt.Sscan(word[1:], &cost)
				}
				numbers[word[0]]++
				name := fmt.Sprintf("%c#%d", word[0], numbers[word[0]])
				added, others := line.Add(address(word[0]), cost, name)
				for _, w := range others {
					out = append(out, w.Value)
				}
				if added == nil {
					out = append(out, name)
				}
			}
			for w := line.Next(); w != nil; w = line.Next() {
				turns = append(turns, w.Value)
			}
			if got := strings.Join(out, " "); got != test.out {
				t.Errorf("%q are left out, want %q", got, test.out)
			}
			if got := strings.Join(turns, " "); got != test.turns {
				t.Errorf("the turns are %q, want %q", got, test.turns)
			}
			if line.Len() != 0 || line.cost != 0 || len(line.groups) != 0 || len(line.largest) != 0 || line.turns.Len() != 0 {
				t.Errorf("of an empty line there is left %+v", line)
			}
		})
	}
}

// TestLineNetworks has the addresses of one network share, as they share limits elsewhere.
func TestLineNetworks(t *testing.T) {
	line := NewLine[int](9, 9)
	for i, text := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1"} {
		line.Add(netip.MustParseAddr(text), 1, i)
	}
	var turns []int
	for w := line.Next(); w != nil; w = line.Next() {
		turns = append(turns, w.Value)
	}
	if !slices.Equal(turns, []int{0, 2, 3, 1, 4}) {
		t.Errorf("the turns are %v", turns)
	}
}

// TestLineAgainstModel adds and removes at random, and compares with a list that is looked
// through.
func TestLineAgainstModel(t *testing.T) {
	const entries, most = 12, 40
	random := rand.New(rand.NewPCG(1, 2))
	line := NewLine[int](entries, most)
	var in []*Waiting[int]
	froms := map[*Waiting[int]]byte{}
	of := func(from byte) (cost int64) {
		for _, w := range in {
			if froms[w] == from {
				cost += w.cost
			}
		}
		return cost
	}
	drop := func(w *Waiting[int]) {
		in = slices.DeleteFunc(in, func(other *Waiting[int]) bool { return other == w })
	}
	for step := range 20_000 {
		switch from, cost := byte('a'+random.IntN(5)), 1+random.Int64N(8); random.IntN(5) {
		case 0:
			if next := line.Next(); next != nil {
				for _, w := range in {
					if w == next {
						break
					}
					if froms[w] == froms[next] {
						t.Fatalf("step %d: %d goes before %d of its address", step, next.Value, w.Value)
					}
				}
				drop(next)
			} else if len(in) > 0 {
				t.Fatalf("step %d: the line is empty", step)
			}
		case 1:
			if len(in) == 0 {
				continue
			}
			w := in[random.IntN(len(in))]
			drop(w)
			if !line.Remove(w) || line.Remove(w) {
				t.Fatalf("step %d: removing %d once and twice", step, w.Value)
			}
		default:
			added, out := line.Add(address(from), cost, step)
			for _, w := range out {
				if of(froms[w]) <= of(from)+cost {
					t.Fatalf("step %d: %c makes room for %c, which has no less", step, froms[w], from)
				}
				drop(w)
			}
			if added != nil {
				in = append(in, added)
				froms[added] = from
			} else if of(from)+cost < most/5 && len(in) < entries {
				t.Fatalf("step %d: %c with %d is refused", step, from, of(from))
			}
		}
		var cost int64
		for _, w := range in {
			cost += w.cost
		}
		if line.Len() != len(in) || line.cost != cost || len(in) > entries || cost > most {
			t.Fatalf("step %d: %d entries of %d, costs %d of %d", step, line.Len(), len(in), line.cost, cost)
		}
	}
}
