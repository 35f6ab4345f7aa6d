package loadtest_test

import (
	"testing"

	"fleetcast/codec/command"
)

// gap is what tells s of the events from and to, counted as faults count them.
func gap(s *subscriber, from, to uint64) []byte {
	return command.AppendGap(nil, s.channel, offsetBefore+from, offsetBefore+to)
}

// around makes a fault of every fiftieth event and its neighbours: at is told how
// many events behind that one an event is, -25 to 24.
func around(at func(s *subscriber, distance int, offset uint64, p []byte) [][]byte) fault {
	return func(s *subscriber, offset uint64, p []byte) [][]byte {
		if offset < 25 {
			return [][]byte{p}
		}
		return at(s, int(offset+25)%50-25, offset, p)
	}
}

// A gap is right if it stands in the place of its events: each is delivered or
// told of, none is both, and what one gap can tell is not told by two.
func TestGaps(t *testing.T) {
	t.Parallel()
	const all = 2030 // of which 4 times 10 are the fiftieth ones
	cases := map[string]struct {
		fault fault
		want  counts
	}{
		"several events": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			switch distance {
			case -2, -1, 0:
				return nil
			case 1:
				return [][]byte{gap(s, offset-3, offset-1), p}
			}
			return [][]byte{p}
		}), counts{delivered: all - 120, gaps: 120}},
		"at the very end": {func(s *subscriber, offset uint64, p []byte) [][]byte {
			if offset == 203 {
				return [][]byte{gap(s, offset, offset)}
			}
			return [][]byte{p}
		}, counts{delivered: all - 10, gaps: 10}},
		"one event between two": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			if distance == 0 || distance == 2 {
				return [][]byte{gap(s, offset, offset)}
			}
			return [][]byte{p}
		}), counts{delivered: all - 80, gaps: 80}},
		"split": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			if distance == 0 || distance == 1 {
				return [][]byte{gap(s, offset, offset)}
			}
			return [][]byte{p}
		}), counts{delivered: all - 80, gaps: 80, gapSplit: 40}},
		"over a delivered event": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			if distance == 0 {
				return [][]byte{p, gap(s, offset, offset)}
			}
			return [][]byte{p}
		}), counts{delivered: all, gapWrong: 40}},
		"reaching back": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			if distance == 0 {
				return [][]byte{gap(s, offset-1, offset)}
			}
			return [][]byte{p}
		}), counts{delivered: all - 40, gaps: 40, gapWrong: 40}},
		"before a delivered event": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			if distance == 0 {
				return [][]byte{gap(s, offset, offset), p}
			}
			return [][]byte{p}
		}), counts{delivered: all - 40, gaps: 40, duplicated: 40}},
		"told twice": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			if distance == 0 {
				return [][]byte{gap(s, offset, offset), gap(s, offset, offset)}
			}
			return [][]byte{p}
		}), counts{delivered: all - 40, gaps: 40, gapWrong: 40}},
		"behind a later event": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			switch distance {
			case 0:
				return nil
			case 1:
				return [][]byte{p, gap(s, offset-1, offset-1)}
			}
			return [][]byte{p}
		}), counts{delivered: all - 40, gaps: 40, gapWrong: 40}},
		"too short": {around(func(s *subscriber, distance int, offset uint64, p []byte) [][]byte {
			switch distance {
			case -1:
				return nil
			case 0:
				return [][]byte{gap(s, offset, offset)}
			}
			return [][]byte{p}
		}), counts{delivered: all - 80, gaps: 40, lost: 40}},
		"of what is not published": {func(s *subscriber, offset uint64, p []byte) [][]byte {
			if offset == 203 {
				return [][]byte{gap(s, offset, offset+1)}
			}
			return [][]byte{p}
		}, counts{delivered: all - 10, gaps: 10, gapWrong: 10}},
		"of another time": {func(s *subscriber, offset uint64, p []byte) [][]byte {
			if offset == 1 {
				return [][]byte{command.AppendGap(nil, s.channel, 1, offsetBefore), p}
			}
			return [][]byte{p}
		}, counts{delivered: all, gapWrong: 10}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.clients = 10
			r := run(t, &faultyServer{fault: c.fault}, nil)
			check(t, r, c.want)
			if told := r.Detail.GapMessages > 0; !told {
				t.Error("no message tells of a gap")
			}
		})
	}
}
