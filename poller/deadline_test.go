package poller

import (
	"testing"
	"time"
)

func TestDeadlines(t *testing.T) {
	type step struct {
		now  time.Duration
		add  string   // empty: nothing
		due  []string // taken after adding
		left int
	}
	tests := []struct {
		name  string
		after time.Duration
		steps []step
	}{
		{"empty", 10, []step{{now: 0}, {now: 100}}},
		{"just before and at its time", 10, []step{
			{now: 5, add: "a", left: 1},
			{now: 14, left: 1},
			{now: 15, due: []string{"a"}},
			{now: 100},
		}},
		{"in the order added", 10, []step{
			{now: 0, add: "a", left: 1},
			{now: 0, add: "b", left: 2},
			{now: 3, add: "c", left: 3},
			{now: 12, due: []string{"a", "b"}, left: 1},
			{now: 12, add: "d", left: 2},
			{now: 13, due: []string{"c"}, left: 1},
			{now: 22, due: []string{"d"}},
		}},
		{"at once", 0, []step{{now: 7, add: "a", due: []string{"a"}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := NewDeadlines[string](test.after)
			for i, s := range test.steps {
				if s.add != "" {
					d.Add(s.add, s.now)
				}
				for _, want := range s.due {
					if got, _, ok := d.Due(s.now); !ok || got != want {
						t.Fatalf("step %d: Due: %q, %t; want %q", i, got, ok, want)
					}
				}
				if got, _, ok := d.Due(s.now); ok {
					t.Fatalf("step %d: Due: %q, want nothing", i, got)
				}
				if d.Len() != s.left {
					t.Fatalf("step %d: Len: %d, want %d", i, d.Len(), s.left)
				}
			}
		})
	}
}

// What became stale is told by the time at which it was added.
func TestDeadlinesTellWhenAdded(t *testing.T) {
	d := NewDeadlines[int](10)
	latest := map[int]time.Duration{}
	for now := range time.Duration(5) {
		d.Add(1, now) // renewed each time: only the last entry counts
		latest[1] = now
	}
	var fresh int
	for {
		what, added, ok := d.Due(20)
		if !ok {
			break
		}
		if latest[what] == added {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d entries are not stale, want 1", fresh)
	}
}

func TestDeadlinesGiveRoomBack(t *testing.T) {
	d := NewDeadlines[int](10)
	const waiting = 100
	for now := range time.Duration(10_000) {
		for range waiting / 10 {
			d.Add(0, now)
		}
		for ok := true; ok; {
			_, _, ok = d.Due(now)
		}
	}
	if n := cap(d.queue); n > 4*waiting {
		t.Errorf("room for %d entries is held, of which %d wait", n, d.Len())
	}
}

// FuzzDeadlines compares the queue with a plain list. Each byte of the script
// is an operation: its low bit adds or takes, the rest is how far time moves.
func FuzzDeadlines(f *testing.F) {
	f.Add(byte(5), []byte{1, 1, 1, 0x10, 0, 0, 0, 0})
	f.Add(byte(0), []byte{1, 0, 1, 0, 0})
	f.Add(byte(200), []byte("a longer script with adds and takes in some order \xff\xff\xff\xff\xfe\xfe\xfe"))
	f.Fuzz(func(t *testing.T, after byte, script []byte) {
		type entry struct {
			what  int
			added time.Duration
		}
		d := NewDeadlines[int](time.Duration(after))
		var list []entry
		now := time.Duration(0)
		for i, op := range script {
			now += time.Duration(op >> 1)
			if op&1 == 1 {
				d.Add(i, now)
				list = append(list, entry{i, now})
			} else {
				what, added, ok := d.Due(now)
				due := len(list) > 0 && now-list[0].added >= time.Duration(after)
				if ok != due || ok && (entry{what, added}) != list[0] {
					t.Fatalf("operation %d: Due: %d, %v, %t; list %v at %v", i, what, added, ok, list, now)
				}
				if due {
					list = list[1:]
				}
			}
			if d.Len() != len(list) {
				t.Fatalf("operation %d: Len: %d, want %d", i, d.Len(), len(list))
			}
		}
	})
}
