package backlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
	"fleetcast/gateway/stream/streamtest"
)

// backlogOracle runs a backlog as a session does, and reads what leaves it as a
// client does.
type backlogOracle struct {
	t       *testing.T
	backlog *Backlog
	ledger  Ledger
	memory  Memory
	config  settings.Config
	closed  bool   // with a close, behind which nothing is promised
	wire    []byte // that has left
	streams []*oracleStream
	own     []oracleOwn
	events  []*stream.Event // held by the test
	scratch []byte
}

type oracleStream struct {
	*streamtest.Source
	published map[uint64]int // the length of the wire when the event was, by offset
	left      []rejoining
	next      uint64 // offset that the subscriber expects
	followed  int    // rejoinings that verify has come by
	rejoined  int    // rejoinings
}

// rejoining is a subscription that ended when so much of the wire had left, and
// began anew behind an offset.
type rejoining struct {
	wire   int
	offset uint64
}

// oracleOwn is a frame of the session's own.
type oracleOwn struct {
	payload string
	pushed  int // length of the wire then
	// Of one that tells how far the subscriber of a stream is: the number of rejoinings then.
	rejoined int
}

func newBacklogOracle(t *testing.T, set func(*settings.Config)) *backlogOracle {
	o := &backlogOracle{t: t, config: settings.DefaultConfig(1_000)}
	set(&o.config)
	o.memory.Compressed = new(atomic.Int64)
	counters := stats.NewShard()
	o.ledger.Memory, o.ledger.Counters, o.ledger.Formats = &o.memory, &counters, streamtest.Formats
	o.backlog = New(&o.ledger, stream.FormatPlain, 0)
	return o
}

// policy is what the configuration says for a stream.
func (o *backlogOracle) policy(st *oracleStream) rules.SlowPolicy {
	return rules.NewTable(o.config.ChannelRules(), rules.Values{Slow: o.config.SlowPolicy}).For(st.Name).Slow
}

func (o *backlogOracle) stream(name string) *oracleStream {
	st := &oracleStream{Source: streamtest.New(name), published: make(map[uint64]int), next: 1}
	o.streams = append(o.streams, st)
	return st
}

// publish queues a group of events, of which a part may have left if nothing
// waits.
func (o *backlogOracle) publish(st *oracleStream, keys ...string) { o.publishSent(0, st, keys...) }

func (o *backlogOracle) publishSent(share float64, st *oracleStream, keys ...string) {
	var group []*stream.Event
	for _, key := range keys {
		e := st.Source.Next(key, `"`+key+`"`)
		group = append(group, e)
		st.published[e.Offset] = len(o.wire)
	}
	o.events = append(o.events, group...)
	var all []byte
	for _, e := range group {
		all = append(all, e.Frame...)
	}
	sent := int(share * float64(len(all)))
	o.wire = append(o.wire, all[:sent]...)
	o.backlog.Queue(group, stream.FormatPlain, o.policy(st), sent, &o.config)
	o.check()
}

// testPatience is SlowAfter where events age, in beats.
const testPatience = 10

// ages lets time pass and looks at the backlog as its shard does.
func (o *backlogOracle) ages(beats Beat) {
	b, now := o.backlog, &o.ledger
	o.ledger.Attended += time.Duration(beats) * settings.BeatLength
	if tooLate, _ := b.DropStale(now.Now(), testPatience); tooLate && !o.closed {
		o.closed = true
		b.DropEvents()
		b.PushOwn(OwnReply, websocket.AppendClose(nil, 1013, "slow consumer"), 0)
	}
	for i := range b.events.Len() {
		w := b.events.At(i)
		if w.event != nil && !o.closed && w.age(now.Now()) > testPatience && w.policy() != rules.SlowConflate && !w.due() {
			o.t.Fatalf("offset %d of %q has waited for %d beats", w.event.Offset, w.event.Stream.Name, w.age(now.Now()))
		}
	}
	o.check()
}

// rejoin ends a subscription and begins it anew.
func (o *backlogOracle) rejoin(st *oracleStream) {
	o.backlog.Forget(st.Stream)
	st.left = append(st.left, rejoining{len(o.wire), st.Offset})
	st.rejoined++
	o.check()
}

// follow takes the rejoinings of before a place in the wire into account.
func (st *oracleStream) follow(place int, last map[string]oraclePlace) {
	for len(st.left) > 0 && st.left[0].wire <= place {
		st.next, st.left = st.left[0].offset+1, st.left[1:]
		st.followed++
		delete(last, st.Name)
	}
}

// tells pushes a reply that tells up to where the subscriber has the stream's events by then.
func (o *backlogOracle) tells(st *oracleStream) {
	offset, waits := o.backlog.Before(st.Stream)
	if !waits {
		offset = st.Offset
	}
	o.reply(OwnReply, fmt.Sprintf(`{"type":"reached","channel":%q,"offset":%d}`, st.Name, offset))
	o.own[len(o.own)-1].rejoined = st.rejoined
}

// oraclePlace is that of the last gap of a channel, if no event followed it.
type oraclePlace struct{ gapStart, gapTo int }

func (o *backlogOracle) byName(name string) *oracleStream {
	for _, st := range o.streams {
		if st.Name == name {
			return st
		}
	}
	o.t.Fatalf("there is no channel %q", name)
	return nil
}

func (o *backlogOracle) reply(kind OwnKind, payload string) {
	op := ws.OpText
	if kind == OwnPing {
		op = ws.OpPing
	}
	o.backlog.PushOwn(kind, websocket.AppendFrame(nil, op, []byte(payload)), 0)
	o.own = append(o.own, oracleOwn{payload: payload, pushed: len(o.wire)})
	o.check()
}

// send has up to n bytes leave.
func (o *backlogOracle) send(n int) {
	b := o.backlog
	for n > 0 && !b.Idle() {
		vectors := b.Vectors(nil, &o.scratch)
		if len(vectors) == 0 || len(vectors) > FlushVectors {
			o.t.Fatalf("%d vectors of a backlog that is not idle", len(vectors))
		}
		all := bytes.Join(vectors, nil)
		m := min(n, len(all))
		o.wire = append(o.wire, all[:m]...)
		b.Took(m, vectors)
		n -= m
		o.check()
	}
}

// check compares what the backlog says about itself with what is there.
func (o *backlogOracle) check() {
	o.t.Helper()
	b, s := o.backlog, &o.ledger
	ofEvents, own, live := 0, len(b.last), 0
	var droppable, settled amount
	for i := range b.events.Len() {
		if w := b.events.At(i); w.event != nil {
			ofEvents += len(o.backlog.frame(w))
			live++
			switch {
			case w.settled():
				settled.add(len(o.backlog.frame(w)))
			case w.policy() != rules.SlowDisconnect:
				droppable.add(len(o.backlog.frame(w)))
			}
			if i < b.droppable.from && w.mayDrop() {
				o.t.Fatalf("place %d of the queue may be dropped, and %d is where the search begins", i, b.droppable.from)
			}
		} else if i == 0 {
			o.t.Fatal("the queue begins with a removed event")
		}
	}
	for i := range b.own.Len() {
		own += len(b.own.At(i).bytes)
	}
	if b.half.of.event != nil {
		ofEvents += len(b.half.rest)
	} else {
		own += len(b.half.rest)
	}
	if b.Bytes != ofEvents+own || b.OwnBytes != own || b.live != live || s.Counters.BacklogBytes != int64(b.Bytes) {
		o.t.Fatalf("the backlog counts %d bytes, %d of its own, %d events, and the shard %d bytes; there are %d, %d, %d",
			b.Bytes, b.OwnBytes, b.live, s.Counters.BacklogBytes, ofEvents+own, own, live)
	}
	if b.droppable.amount != droppable || b.settled != settled {
		o.t.Fatalf("the backlog counts %+v that may be dropped and %+v that are settled; there are %+v and %+v", b.droppable.amount, b.settled, droppable, settled)
	}
	for i := range b.gaps {
		if b.find(0, func(w *waiting) bool { return w.event.Stream == b.gaps[i].stream && w.event.Offset >= b.gaps[i].from }) >= 0 {
			o.t.Fatalf("%q has an event that waits behind a gap and apart from it", b.gaps[i].stream.Name)
		}
	}
	if largest := s.Sizes.Largest(); largest != sizeClass(b.Bytes+b.memory) {
		o.t.Fatalf("the shard's largest class is %d, that of %d bytes is %d", largest, b.Bytes+b.memory, sizeClass(b.Bytes+b.memory))
	}
}

// held is the memory that the backlog should count.
func (o *backlogOracle) held() (n int64) {
	b := o.backlog
	n = int64(unsafe.Sizeof(*b)) + int64(b.OwnBytes+16*b.events.Cap()+24*cap(b.gaps))
	seen := make(map[*stream.Event]bool)
	for i := range b.events.Len() {
		if e := b.events.At(i).event; e != nil && !seen[e] {
			seen[e] = true
			n += e.Weight()
		}
	}
	if e := b.half.of.event; e != nil {
		n += e.Weight()
	}
	return n
}

// received is one frame as the client sees it.
type received struct {
	start, end int // in the wire
	op         ws.OpCode
	payload    []byte
}

// frames parses the wire.
func (o *backlogOracle) frames() (frames []received) {
	for at := 0; at < len(o.wire); {
		r := bytes.NewReader(o.wire[at:])
		h, err := ws.ReadHeader(r)
		if err != nil {
			o.t.Fatalf("byte %d of what left is no frame: %v", at, err)
		}
		start := len(o.wire) - r.Len()
		end := start + int(h.Length)
		if end > len(o.wire) {
			break
		}
		frames = append(frames, received{at, end, h.OpCode, o.wire[start:end]})
		at = end
	}
	return frames
}

// verify reads the wire as a client that was told everything: each channel's
// events in order, each either delivered or in a gap; no second gap where the
// first could have told it; the session's own frames ahead of events.
func (o *backlogOracle) verify() {
	o.t.Helper()
	cut := o.closed
	last := make(map[string]oraclePlace)
	own := o.own
	for _, f := range o.frames() {
		var m struct {
			Type, Channel    string
			Offset, From, To uint64
		}
		if f.op == ws.OpClose && cut {
			break
		}
		if f.op != ws.OpText || json.Unmarshal(f.payload, &m) != nil || m.Type == "reached" {
			if len(own) == 0 || own[0].payload != string(f.payload) {
				o.t.Fatalf("received %q, want the first of %v", f.payload, own)
			}
			if m.Type == "reached" {
				st := o.byName(m.Channel)
				if st.follow(f.start, last); st.next != m.Offset+1 && st.followed == own[0].rejoined {
					o.t.Fatalf("received %s when offset %d was due", f.payload, st.next)
				}
			}
			own = own[1:]
			continue
		}
		if len(own) > 0 && f.start >= own[0].pushed {
			o.t.Fatalf("%s goes ahead of %q, which came when %d bytes had left, and it begins at %d", f.payload, own[0].payload, own[0].pushed, f.start)
		}
		st := o.byName(m.Channel)
		st.follow(f.start, last)
		switch {
		case m.Type == "event" && m.Offset == st.next:
			st.next++
			delete(last, m.Channel)
		case m.Type == "gap" && m.From == st.next && m.To >= m.From:
			// A second gap is right only if its first event came later than the first
			// gap went out, and then had to make room for other channels.
			if p, ok := last[m.Channel]; ok && st.published[m.From] <= p.gapStart {
				o.t.Fatalf("%s follows a gap up to %d that could have told it", f.payload, p.gapTo)
			}
			st.next = m.To + 1
			last[m.Channel] = oraclePlace{f.start, int(m.To)}
		default:
			o.t.Fatalf("received %s when offset %d was due", f.payload, st.next)
		}
	}
	if len(own) > 0 && !cut {
		o.t.Fatalf("%d frames of the session's own have not left", len(own))
	}
	for _, st := range o.streams {
		st.follow(len(o.wire), last)
		if st.next != st.Offset+1 && !cut {
			o.t.Fatalf("%q: received, or was told of, all up to %d of %d", st.Name, st.next-1, st.Offset)
		}
	}
}

// TestBacklogTellsEverything queues, sends and drops at random.
func TestBacklogTellsEverything(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		policies := []rules.SlowPolicy{rules.SlowDropOldest, rules.SlowConflate, rules.SlowDropOldest, rules.SlowDisconnect}
		o := newBacklogOracle(t, func(c *settings.Config) {
			c.BacklogMessages, c.BacklogBytes = 1+random.IntN(20), 100+random.IntN(2000)
			c.SlowAfter = testPatience * settings.BeatLength
			for i, p := range policies {
				c.SlowRules = append(c.SlowRules, settings.SlowRule{Pattern: fmt.Sprint("s", i), Policy: p})
			}
		})
		for i := range policies {
			o.stream(fmt.Sprint("s", i))
		}
		seldom := 1 + random.IntN(100) // events of the one that may not be dropped
		b := o.backlog
		for i := 0; i < 400 && !o.closed; i++ {
			switch random.IntN(8) {
			case 0, 1, 2, 3:
				keys := make([]string, 1+random.IntN(4))
				for k := range keys {
					keys[k] = []string{"", "a", "b"}[random.IntN(3)]
				}
				st := o.streams[random.IntN(len(o.streams)-1)]
				if random.IntN(seldom) == 0 {
					st = o.streams[len(o.streams)-1]
				}
				share := 0.0
				if b.Idle() {
					share = random.Float64()
				}
				o.publishSent(share, st, keys...)
				// One that is due stays besides, and the newest one always.
				if d, c := b.droppable, &o.config; d.events > c.BacklogMessages+1 || d.bytes > c.BacklogBytes+200 {
					t.Fatalf("%d events wait that may be dropped, with %d bytes", d.events, d.bytes)
				}
				if s, c := b.settled, &o.config; s.events > c.BacklogMessages || s.bytes > c.BacklogBytes {
					t.Fatalf("%d events are settled, with %d bytes", s.events, s.bytes)
				}
			case 4:
				o.reply(OwnKind(random.IntN(2)), fmt.Sprint("reply ", i))
				o.tells(o.streams[random.IntN(len(o.streams))])
			case 5, 6:
				o.send(random.IntN(300))
			case 7:
				if random.IntN(4) == 0 {
					o.ages(Beat(random.IntN(8)))
				}
				if random.IntN(10) == 0 {
					o.rejoin(o.streams[random.IntN(len(o.streams))])
				}
			}
			if held := o.memory.held.Load(); held != o.held() {
				t.Fatalf("seed %d: %d bytes are counted as held, want %d", seed, held, o.held())
			}
		}
		o.send(1 << 30)
		o.verify()
		if b.Release(); o.memory.held.Load() != 0 || o.ledger.Counters.BacklogBytes != 0 || o.ledger.Sizes.Largest() != 0 {
			t.Fatalf("seed %d: a backlog that was released holds %+v", seed, b)
		}
		for _, e := range o.events {
			if n := e.Holders(); n != 1 {
				t.Fatalf("seed %d: an event has %d holders beside the test", seed, n-1)
			}
		}
	}
}

// drain sends all and returns what the client received, in brief.
func (o *backlogOracle) drain() (got []string) {
	o.send(1 << 30)
	for _, f := range o.frames() {
		var m struct {
			Type, Channel, Data string
			Offset, From, To    uint64
		}
		switch {
		case f.op != ws.OpText || json.Unmarshal(f.payload, &m) != nil:
			got = append(got, string(f.payload))
		case m.Type == "gap":
			got = append(got, fmt.Sprintf("%s gap %d-%d", m.Channel, m.From, m.To))
		default:
			got = append(got, fmt.Sprintf("%s %d", m.Channel, m.Offset))
		}
	}
	return got
}

func TestSlowPolicies(t *testing.T) {
	const drop, conflate, disconnect = rules.SlowDropOldest, rules.SlowConflate, rules.SlowDisconnect
	for _, test := range []struct {
		name     string
		policy   rules.SlowPolicy // of a and b; c has disconnect
		messages int
		do       func(o *backlogOracle, a, b, c *oracleStream)
		want     []string
	}{
		{"drop_oldest keeps the newest", drop, 2, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "", "", "", "")
		}, []string{"a gap 1-3", "a 4", "a 5"}},
		{"conflate lets a key that always changes have its turn", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "x", "hot")
			for range 3 {
				o.ages(settleAfter/2 + 1)
				o.publish(a, "hot") // 3 for 2, 4 behind 3, 5 for 4
				o.publish(b, "")
			}
			o.publish(a, "hot")
		}, []string{"a 1", "a gap 2-2", "a 3", "b gap 1-1", "b 2", "b 3", "a gap 4-5", "a 6"}},
		{"and goes on", drop, 2, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "", "")
			o.publish(a, "")
			o.send(1) // half of the gap is out, which must be of 1 and 2
			o.publish(a, "")
			o.publish(a, "")
		}, []string{"a gap 1-2", "a 3", "a gap 4-5", "a 6"}},
		{"conflate, while a gap is told", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.send(1)
			o.publish(a, "", "", "")
		}, []string{"a gap 1-1", "a 2", "a gap 3-4", "a 5"}},
		{"an event in half is not dropped", drop, 2, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "")
			o.send(1)
			o.publish(a, "", "", "")
		}, []string{"a 1", "a gap 2-2", "a 3", "a 4"}},
		{"channels have gaps of their own", drop, 2, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.publish(b, "", "")
			o.publish(a, "")
		}, []string{"b gap 1-1", "b 2", "a gap 1-2", "a 3"}},
		{"a gap without an event behind it comes last", drop, 2, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.publish(b, "", "")
		}, []string{"b 1", "b 2", "a gap 1-2"}},
		{"conflate keeps one for each channel", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.publish(b, "")
			o.publish(a, "")
			o.publish(b, "", "")
		}, []string{"a gap 1-2", "a 3", "b gap 1-2", "b 3"}},
		{"and for each key", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "x", "y", "", "x", "z", "x", "")
		}, []string{"a gap 1-1", "a 2", "a gap 3-4", "a 5", "a 6", "a 7"}},
		{"within a channel", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "x")
			o.publish(b, "x")
		}, []string{"a 1", "b 1"}},
		{"not one that is half out", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "x")
			o.send(1)
			o.publish(a, "x", "x")
		}, []string{"a 1", "a gap 2-2", "a 3"}},
		{"beyond the limit conflate drops the oldest", conflate, 3, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "1", "2", "3", "4", "3", "5")
		}, []string{"a gap 1-3", "a 4", "a 5", "a 6"}},
		{"what may not be dropped stays, and does not count", drop, 3, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(c, "", "", "", "")
			o.publish(a, "", "", "")
			o.publish(b, "")
		}, []string{"c 1", "c 2", "c 3", "c 4", "a gap 1-1", "a 2", "a 3", "b 1"}},
		{"a gap ends with the next event", drop, 1, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(c, "", "")
			o.publish(a, "", "")
			o.publish(b, "")
			o.send(70) // one of c's, and a part of the second
			o.publish(a, "")
		}, []string{"c 1", "c 2", "a gap 1-2", "a 3", "b gap 1-1"}},
		{"nothing is dropped that waits no longer than it may", drop, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.publish(c, "")
			o.ages(testPatience)
		}, []string{"a 1", "a 2", "c 1"}},
		{"later, the oldest are", drop, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.ages(testPatience / 2)
			o.publish(b, "")
			o.publish(a, "")
			o.ages(testPatience/2 + 1)
		}, []string{"b 1", "a gap 1-2", "a 3"}},
		{"to the last", drop, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.ages(testPatience + 1)
		}, []string{"a gap 1-2"}},
		{"but for what is half out", drop, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.send(1)
			o.ages(testPatience + 1)
		}, []string{"a 1", "a gap 2-2"}},
		{"what is conflated has no age", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "x", "y", "x")
			o.ages(100 * testPatience)
		}, []string{"a gap 1-1", "a 2", "a 3"}},
		{"what may not be dropped ends the client", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "x", "y")
			o.publish(c, "")
			o.ages(testPatience + 1)
		}, []string{"\x03\xf5slow consumer"}},
		{"behind the frame that is half out", disconnect, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "")
			o.send(1)
			o.ages(testPatience + 1)
		}, []string{"a 1", "\x03\xf5slow consumer"}},
		{"replies do not wait for events", conflate, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "")
			o.publish(b, "", "")
			o.send(1)
			o.reply(OwnReply, "reply")
			o.reply(OwnPing, "ping")
		}, []string{"a 1", "reply", "ping", "b gap 1-1", "b 2"}},
		{"what waits for a channel goes with the subscription", drop, 3, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "", "", "")
			o.publish(c, "")
			o.backlog.Forget(a.Stream)
			o.publish(b, "", "")
		}, []string{"c 1", "b 1", "b 2"}},
		{"and its gap", drop, 1, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.publish(b, "")
			o.backlog.Forget(a.Stream)
			o.publish(a, "")
		}, []string{"a 3", "b gap 1-1"}},
		{"the end comes last", drop, 1, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.backlog.PushLast(websocket.AppendFrame(nil, ws.OpText, []byte("end")))
			o.reply(OwnReply, "reply")
		}, []string{"reply", "a gap 1-1", "a 2", "end"}},
		{"or at once", drop, 1, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.publish(b, "")
			o.reply(OwnReply, "reply")
			o.backlog.DropEvents()
			o.reply(OwnReply, "end")
		}, []string{"reply", "end"}},
		{"no number of events ends a client", disconnect, 1, func(o *backlogOracle, a, b, c *oracleStream) {
			o.publish(a, "", "")
			o.publish(c, "", "")
		}, []string{"a 1", "a 2", "c 1", "c 2"}},
		{"the newest one stays, whatever its size", drop, 100, func(o *backlogOracle, a, b, c *oracleStream) {
			o.config.BacklogBytes = 1
			o.publish(a, "", "")
		}, []string{"a gap 1-1", "a 2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newBacklogOracle(t, func(c *settings.Config) {
				c.BacklogMessages, c.SlowAfter = test.messages, testPatience*settings.BeatLength
				c.SlowPolicy = test.policy
				c.SlowRules = []settings.SlowRule{{Pattern: "c*", Policy: rules.SlowDisconnect}, {Pattern: "*c", Policy: rules.SlowConflate}}
			})
			test.do(o, o.stream("a"), o.stream("b"), o.stream("c"))
			if got := o.drain(); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("received %q\nwant     %q", got, test.want)
			}
		})
	}
}

// TestQueueAfterWrite checks which of a group's events a backlog takes of which
// some bytes have left.
func TestQueueAfterWrite(t *testing.T) {
	small := len(streamtest.New("test").Next("", "1").Frame)
	for _, test := range []struct {
		name   string
		sent   int
		queued int
		half   bool
	}{
		{"nothing has left", 0, 4, false},
		{"one is half out", 1, 3, true},
		{"whole events have left", 2 * small, 2, false},
		{"and one is half out", 2*small + 1, 1, true},
		{"all but a byte", 4*small - 1, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newBacklogOracle(t, func(*settings.Config) {})
			var events []*stream.Event
			for st := streamtest.New("test"); len(events) < 4; {
				events = append(events, st.Next("", "1"))
			}
			o.backlog.Queue(events, stream.FormatPlain, rules.SlowDisconnect, test.sent, &o.config)
			if b := o.backlog; b.live != test.queued || (b.half.of.event != nil) != test.half || b.Bytes != 4*small-test.sent {
				t.Errorf("%d in the queue, %+v half out, %d bytes", b.live, b.half, b.Bytes)
			}
		})
	}
}

// There is an entry for every event that waits.
func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(waiting{}); size != 16 {
		t.Errorf("an entry has %d bytes", size)
	}
	if size := unsafe.Sizeof(Backlog{}); size > 288 { // a size class of the allocator
		t.Errorf("a backlog has %d bytes", size)
	}
}

// TestSizeClass checks that classes order sizes, four for each power of two.
func TestSizeClass(t *testing.T) {
	if sizeClass(0) != 0 {
		t.Error("an empty backlog has a class")
	}
	for n := 1; n < 1<<40; n += 1 + n/50 {
		class, next := sizeClass(n), sizeClass(n+1+n/3)
		if class == 0 || next <= class && n > 16 || sizeClass(n+1) < class {
			t.Fatalf("%d bytes have class %d, a third more %d", n, class, next)
		}
	}
}
