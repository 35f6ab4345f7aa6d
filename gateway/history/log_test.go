package history

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// modelEvent is an event of the model: a slice with all of them.
type modelEvent struct {
	tick uint32
	data []byte
}

// TestLogAgainstASlice has logs in one memory do what a slice does.
func TestLogAgainstASlice(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			m, logs, models := new(Memory), make([]Log, 4), make([][]modelEvent, 4) // event i of a model has offset i + 1
			var tick uint32
			for range 3000 {
				i := random.IntN(len(logs))
				l, model := &logs[i], models[i]
				tick += uint32(random.IntN(3))
				switch random.IntN(20) {
				case 0:
					l.DropBefore(m, l.Last()-min(l.Last(), uint64(random.IntN(200))))
				case 1:
					l.Shrink(m, random.IntN(20_000))
				case 2:
					if random.IntN(10) == 0 {
						l.DropBefore(m, l.Last()+1)
					}
				case 3, 4:
					compare(t, m, l, model, random)
				default:
					data := randomData(random)
					models[i] = append(model, modelEvent{tick, data})
					l.Append(m, uint64(len(models[i])), tick, data)
				}
				var held int64
				for i := range logs {
					held += int64(logs[i].Bytes())
				}
				if m.Used() != held {
					t.Fatalf("%d bytes are used, the logs hold %d", m.Used(), held)
				}
			}
			for i := range logs {
				logs[i].DropBefore(m, logs[i].Last()+1)
			}
			if m.Used() != 0 {
				t.Errorf("empty logs use %d bytes", m.Used())
			}
			for class := range m.classes {
				if n := len(m.classes[class].roomy); n > 1 {
					t.Errorf("%d slabs of class %d are kept", n, class)
				}
			}
		})
	}
}

func randomData(random *rand.Rand) []byte {
	size := random.IntN(200)
	if random.IntN(30) == 0 {
		size = random.IntN(100_000)
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// compare reads a log from a random place.
func compare(t *testing.T, m *Memory, l *Log, model []modelEvent, random *rand.Rand) {
	t.Helper()
	first := l.First()
	if l.Last() != uint64(len(model)) || first > l.Last()+1 {
		t.Fatalf("from %d to %d, want up to %d", first, l.Last(), len(model))
	}
	from := first + uint64(random.IntN(int(l.Last()+2-first)))
	next, stop := from, random.IntN(300)
	l.Read(m, from, nil, func(offset uint64, tick uint32, data []byte) bool {
		want := model[offset-1]
		if offset != next || tick != want.tick || !bytes.Equal(data, want.data) {
			t.Fatalf("event %d of %d bytes at %d, want event %d of %d bytes at %d", offset, len(data), tick, next, len(want.data), want.tick)
		}
		next++
		stop--
		return stop != 0
	})
	if stop > 0 && next != l.Last()+1 {
		t.Fatalf("the log ends at %d, want %d", next-1, l.Last())
	}
	if len(model) == 0 {
		return
	}
	tick := model[random.IntN(len(model))].tick + uint32(random.IntN(2))
	since := from
	for since <= l.Last() && model[since-1].tick < tick {
		since++
	}
	if got := l.Since(m, from, tick); got != since {
		t.Fatalf("since %d at %d is %d, want %d", from, tick, got, since)
	}
}

// TestMemoryOfLogs states what a retained event takes.
func TestMemoryOfLogs(t *testing.T) {
	for _, test := range []struct{ events, size, most int }{{1, 100, 28}, {100, 100, 20}, {100, 1000, 70}, {10_000, 100, 12}} {
		m, data := new(Memory), make([]byte, test.size)
		logs := 100_000 / test.events
		for range logs {
			var l Log
			for i := range 3 * test.events {
				l.Append(m, uint64(i+1), uint32(i), data)
				if kept := l.Last(); kept > uint64(test.events) {
					l.DropBefore(m, kept+1-uint64(test.events))
				}
			}
		}
		each := float64(m.Used()) / float64(logs*test.events)
		t.Logf("%d events of %d bytes take %.1f bytes each", test.events, test.size, each)
		if each > float64(test.size+test.most) {
			t.Errorf("at most should be %d", test.size+test.most)
		}
	}
}

// BenchmarkAppend appends events of 100 bytes to 1,000 logs that keep 100.
func BenchmarkAppend(b *testing.B) {
	m, logs, data := new(Memory), make([]Log, 1000), make([]byte, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l := &logs[i%len(logs)]
		l.Append(m, l.Last()+1, uint32(i), data)
		if l.Last() > 100 {
			l.DropBefore(m, l.Last()-99)
		}
	}
}

// BenchmarkRead reads 100 events of 100 bytes.
func BenchmarkRead(b *testing.B) {
	m, data := new(Memory), make([]byte, 100)
	var l Log
	for i := range 100 {
		l.Append(m, uint64(i+1), uint32(i), data)
	}
	var scratch, out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = out[:0]
		scratch = l.Read(m, 1, scratch, func(_ uint64, _ uint32, data []byte) bool {
			out = append(out, data...)
			return true
		})
	}
}
