package history

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestLogRuns has runs of a log's events fit into so many bytes, and copies them, as it is with
// a slice.
func TestLogRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	m, l, model := new(Memory), new(Log), [][]byte{nil} // event i has offset i
	for range 500 {
		data := randomData(random)
		l.Append(m, uint64(len(model)), 0, data)
		model = append(model, data)
	}
	l.Shrink(m, l.Bytes()/2)
	for range 2000 {
		first := l.First() + random.Uint64N(l.Last()+1-l.First())
		last := first + random.Uint64N(min(20, l.Last()+1-first))
		bytes := random.IntN(3000)
		to, size := first, len(model[first])
		for to < last && size+len(model[to+1]) <= bytes {
			to++
			size += len(model[to])
		}
		if gotTo, gotSize := l.FitFirst(m, first, last, bytes); gotTo != to || gotSize != size {
			t.Fatalf("FitFirst of %d to %d, %d bytes: up to %d, %d bytes; want %d, %d", first, last, bytes, gotTo, gotSize, to, size)
		}
		from, size := last, len(model[last])
		for from > first && size+len(model[from-1]) <= bytes {
			from--
			size += len(model[from])
		}
		if gotFrom, gotSize := l.FitLast(m, first, last, bytes); gotFrom != from || gotSize != size {
			t.Fatalf("FitLast of %d to %d, %d bytes: from %d on, %d bytes; want %d, %d", first, last, bytes, gotFrom, gotSize, from, size)
		}
		copyRun(t, m, l, model, first, last)
	}
}

func copyRun(t *testing.T, m *Memory, l *Log, model [][]byte, first, last uint64) {
	t.Helper()
	want, next := []byte("before"), first
	for offset := first; offset <= last; offset++ {
		want = append(want, model[offset]...)
	}
	got := l.Copy(m, first, last, []byte("before"), func(offset uint64, data []byte) {
		if offset != next || !bytes.Equal(data, model[offset]) {
			t.Fatalf("event %d has %d bytes; want event %d, %d bytes", offset, len(data), next, len(model[next]))
		}
		next++
	})
	if !bytes.Equal(got, want) || next != last+1 {
		t.Fatalf("the copy of %d to %d has %d bytes, want %d", first, last, len(got), len(want))
	}
}
