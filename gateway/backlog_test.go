package gateway

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
)

// testEvent returns an event held once, by the test.
func testEvent(offset uint64, data string) *event {
	return newEvent(command.EventPrefix("test"), offset, []byte(data), new(account), 0, 0, 1)
}

// backlogOracle runs a backlog beside the bytes that it should hold.
type backlogOracle struct {
	t     *testing.T
	b     backlog
	total int64
	units []backlogUnit // what waits
	sent  int           // of the first unit
}

type backlogUnit struct {
	kind  entryKind
	bytes []byte
	event *event // held once by the test, until drained
}

func newBacklogOracle(t *testing.T) *backlogOracle {
	o := &backlogOracle{t: t}
	o.b.total = &o.total
	return o
}

func (o *backlogOracle) pushEvent(e *event, sent int) {
	if sent > 0 {
		o.sent = sent
	}
	o.b.pushEvent(e, formatPlain, sent, 0)
	o.units = append(o.units, backlogUnit{entryEvent, e.frame, e})
	o.check()
}

func (o *backlogOracle) pushOwn(kind entryKind, p []byte) {
	o.b.pushOwn(kind, p, 0)
	o.units = append(o.units, backlogUnit{kind, bytes.Clone(p), nil})
	o.check()
}

// take removes n bytes and compares the pings that left.
func (o *backlogOracle) take(n int) {
	got := o.b.took(n)
	want := 0
	for n > 0 {
		left := len(o.units[0].bytes) - o.sent
		if n < left {
			o.sent += n
			break
		}
		n -= left
		if o.units[0].kind == entryPing {
			want++
		}
		o.sent, o.units = 0, o.units[1:]
	}
	if got != want {
		o.t.Fatalf("%d pings left, want %d", got, want)
	}
	o.check()
}

func (o *backlogOracle) cut() {
	o.b.cut()
	if o.sent > 0 {
		o.units = o.units[:1]
	} else {
		o.units = nil
	}
	o.check()
}

// waiting is every byte that waits.
func (o *backlogOracle) waiting() []byte {
	var all []byte
	for _, u := range o.units {
		all = append(all, u.bytes...)
	}
	return all[o.sent:]
}

// check compares all the backlog says about itself.
func (o *backlogOracle) check() {
	o.t.Helper()
	want := o.waiting()
	events, own := 0, 0
	for _, u := range o.units {
		if u.kind == entryEvent {
			events++
		} else {
			own += len(u.bytes)
		}
	}
	b := &o.b
	if b.bytes != len(want) || o.total != int64(len(want)) || b.events != events || b.own != own {
		o.t.Fatalf("the backlog counts %d bytes, %d in the shard's total, %d events, %d of its own; want %d, %d, %d, %d",
			b.bytes, o.total, b.events, b.own, len(want), len(want), events, own)
	}
	vectors := b.vectors(nil)
	if len(vectors) != min(len(o.units), flushVectors) {
		o.t.Fatalf("%d vectors for %d entries", len(vectors), len(o.units))
	}
	if got := bytes.Join(vectors, nil); !bytes.HasPrefix(want, got) {
		o.t.Fatalf("the vectors hold %q, want the start of %q", got, want)
	}
}

func TestBacklogAgainstBytes(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 2))
		o := newBacklogOracle(t)
		var events []*event
		for i := range 300 {
			switch random.IntN(8) {
			case 0, 1, 2:
				e := testEvent(uint64(i), fmt.Sprint(i))
				events = append(events, e)
				sent := 0
				if len(o.units) == 0 {
					sent = random.IntN(len(e.frame))
				}
				o.pushEvent(e, sent)
			case 3:
				o.pushOwn(entryOwn, []byte("a reply"))
			case 4:
				o.pushOwn(entryPing, pingFrame)
			case 5, 6:
				if n := len(o.waiting()); n > 0 {
					o.take(random.IntN(min(n, 200)) + 1)
				}
			case 7:
				if random.IntN(20) == 0 {
					o.cut()
				}
			}
		}
		o.b.release()
		if o.total != 0 || o.b.entries.len() != 0 || o.b.own != 0 || o.b.events != 0 || o.b.sent != 0 {
			t.Fatalf("seed %d: a backlog that was released holds %+v, the shard's total is %d", seed, o.b, o.total)
		}
		for _, e := range events {
			if n := e.holders.Load(); n != 1 {
				t.Fatalf("seed %d: an event has %d holders beside the test", seed, n-1)
			}
		}
	}
}

func TestBacklogCut(t *testing.T) {
	for _, test := range []struct {
		name string
		push func(o *backlogOracle)
		sent int
		keep int // entries
	}{
		{"nothing is out", func(o *backlogOracle) { o.pushEvent(testEvent(1, "1"), 0) }, 0, 0},
		{"an event is half out", func(o *backlogOracle) { o.pushEvent(testEvent(1, "1"), 0) }, 5, 1},
		{"an event was half out from the start", func(o *backlogOracle) { o.pushEvent(testEvent(1, "1"), 3) }, 0, 1},
		{"a reply is half out", func(o *backlogOracle) { o.pushOwn(entryOwn, []byte("reply")) }, 2, 1},
		{"a ping is half out", func(o *backlogOracle) { o.pushOwn(entryPing, pingFrame) }, 1, 1},
		{"the first has left", func(o *backlogOracle) { o.pushOwn(entryPing, pingFrame) }, len(pingFrame), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newBacklogOracle(t)
			test.push(o)
			for i := range 100 {
				o.pushEvent(testEvent(uint64(i), `"later"`), 0)
			}
			o.take(test.sent)
			o.cut()
			if o.b.entries.len() != test.keep {
				t.Errorf("%d entries are left, want %d", o.b.entries.len(), test.keep)
			}
		})
	}
}

// TestQueueLimits checks which of a group's events a backlog takes, and that a
// client beyond the limits is disconnected.
func TestQueueLimits(t *testing.T) {
	small := len(testEvent(1, "1").frame)
	for _, test := range []struct {
		name            string
		bytes, messages int
		events          int
		sent            int
		delivered       uint64 // events that have left or wait
		overrun         bool
	}{
		{"empty takes one of any size", 1, 1, 1, 0, 1, false},
		{"second is over the bytes", 1, 100, 2, 0, 1, true},
		{"up to the bytes", 3 * small, 100, 3, 0, 3, false},
		{"one byte over", 3*small - 1, 100, 3, 0, 2, true},
		{"what has left does not count", 3*small - 1, 100, 3, 1, 3, false},
		{"up to the messages", 1 << 20, 4, 4, 0, 4, false},
		{"one message over", 1 << 20, 4, 5, 0, 4, true},
		{"whole events that have left", 2 * small, 2, 4, 2 * small, 4, false},
		{"and one in half", 2 * small, 2, 4, 2*small + 1, 3 + 1, false},
		{"one in half and one too many", 2 * small, 2, 5, 2*small + 1, 4, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestShard(t, func(c *Config) { c.BacklogBytes, c.BacklogMessages = test.bytes, test.messages })
			c := newTestSession(t, s)
			c.lag()
			var events []*event
			for i := range test.events {
				events = append(events, testEvent(uint64(i+1), "1"))
			}
			c.queue(events, formatPlain, test.sent)
			if s.counters.deliveries != test.delivered {
				t.Errorf("%d events count as delivered, want %d", s.counters.deliveries, test.delivered)
			}
			if overrun := c.reason == slowConsumer; overrun != test.overrun {
				t.Errorf("disconnected: %v, want %v", overrun, test.overrun)
			}
			if !test.overrun && c.backlog.bytes != test.events*small-test.sent {
				t.Errorf("%d bytes wait, want %d", c.backlog.bytes, test.events*small-test.sent)
			}
		})
	}
}

// TestHalfReplySurvivesCut fills a socket with replies until one is half out.
// The client that is then disconnected must get its end, or it could not read
// the close frame behind it.
func TestHalfReplySurvivesCut(t *testing.T) {
	s := newTestShard(t)
	c := newTestSession(t, s)
	reply := websocket.AppendFrame(nil, ws.OpText, bytes.Repeat([]byte("r"), 1<<20))
	for c.backlog == nil {
		c.write(entryOwn, reply)
	}
	half := int(s.counters.bytesOut) % len(reply)
	c.overrun()
	if half == 0 {
		t.Fatal("the kernel took a whole number of replies")
	}
	if c.backlog.entries.len() != 2 || c.backlog.sent != half {
		t.Errorf("%d entries wait, %d bytes of the first have left; want 2, %d", c.backlog.entries.len(), c.backlog.sent, half)
	}
}
