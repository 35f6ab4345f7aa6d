package loadtest

import (
	"runtime/debug"
	"slices"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// bench is a worker with live clients whose frames come from memory.
type bench struct {
	worker *worker
	cohort *cohort
	frames [][]byte // of each event
}

// newBench makes clients that wait for events, all of which are published.
func newBench(tb testing.TB, clients, events int) *bench {
	tb.Helper()
	clock := newClock()
	p := &plan{
		Profile: DefaultProfile, Base: clock.base,
		Processes: 1, Loops: 1, Connecting: 1,
		Flows:  []flowPlan{{Channels: channelNames(1), Payload: DefaultPayload, Events: events}},
		Groups: []groupPlan{{Clients: clients, Awaited: true}},
	}
	board, file, err := newBoard(p.shape())
	if err != nil {
		tb.Fatal(err)
	}
	file.Close()
	s, err := newSwarm(p, board, func([]completion) {})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.discard(); board.close() })
	b := &bench{worker: s.workers[0], cohort: s.workers[0].cohorts[0]}
	for i := range b.cohort.clients {
		c := &b.cohort.clients[i]
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { unix.Close(pair[1]) })
		if err := b.worker.loop.Register(&c.Conn, pair[0], c); err != nil {
			tb.Fatal(err)
		}
		c.startAt(0, true)
		c.becomeLive()
	}
	b.worker.prepare()
	flow := b.cohort.flow
	prefix := command.EventPrefix(flow.plan.Channels[0])
	for range events {
		due := s.clock.now()
		seq := flow.schedule.publish(due)
		data := appendData(nil, seq, s.clock.toUnix(due), DefaultPayload)
		payload := command.AppendEvent(nil, prefix, uint64(seq+1), data)
		b.frames = append(b.frames, websocket.AppendFrame(nil, ws.OpText, payload))
	}
	return b
}

// deliver hands event seq to client i.
func (b *bench) deliver(i, seq int) { b.cohort.clients[i].Received(b.frames[seq]) }

func TestDeliveryAllocatesNothing(t *testing.T) {
	if raceDetected() {
		t.Skip("pools forget at random under the race detector")
	}
	const warm, runs = maxReferences, 200
	b := newBench(t, 3, warm+runs+2)
	seq := 0
	each := func() {
		b.deliver(0, seq) // verified in full
		b.deliver(1, seq) // by the reference
		// In two pieces: by the reader, and then in full.
		cut := len(b.frames[seq]) / 2
		b.cohort.clients[2].Received(b.frames[seq][:cut])
		b.cohort.clients[2].Received(b.frames[seq][cut:])
		seq++
	}
	for range warm {
		each()
	}
	if allocated := testing.AllocsPerRun(runs, each); allocated != 0 {
		t.Errorf("three deliveries allocate %v times", allocated)
	}
	if got, want := b.cohort.tally.Delivered, int64(3*seq); got != want {
		t.Errorf("delivered %d, want %d: %q", got, want, b.cohort.tally.Notes)
	}
}

// Whatever the pieces in which frames arrive, the outcome is the same.
func TestDeliveryInPieces(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 100, 1000} {
		b := newBench(t, 2, 20)
		var stream []byte
		for _, frame := range b.frames {
			stream = append(stream, websocket.AppendFrame(frame[:len(frame):len(frame)], ws.OpPing, []byte("x"))...)
		}
		for i := range b.cohort.clients {
			for from := 0; from < len(stream); from += size {
				piece := append([]byte(nil), stream[from:min(from+size, len(stream))]...)
				b.cohort.clients[i].Received(piece)
			}
		}
		if got := b.cohort.tally.Delivered; got != 40 {
			t.Errorf("pieces of %d bytes: delivered %d, want 40: %q", size, got, b.cohort.tally.Notes)
		}
	}
}

// FuzzClient feeds a live client anything.
func FuzzClient(f *testing.F) {
	f.Add([]byte("\x81\x02{}\x89\x00"), 3)
	f.Add(websocket.AppendFrame(nil, ws.OpText, []byte(`{"type":"gap","channel":"x","from":1,"to":9007199254740991}`)), 1)
	f.Add(websocket.AppendClose(nil, ws.StatusGoingAway, "bye"), 5)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		b := newBench(t, 1, 4)
		c := &b.cohort.clients[0]
		for size = max(size, 1); len(stream) > 0 && c.Open(); {
			n := min(size, len(stream))
			c.Received(stream[:n:n])
			stream = stream[n:]
		}
		b.cohort.finish()
		got := &b.cohort.tally
		if got.Delivered+got.Lost+got.Told+got.Corrupted != 4 {
			t.Fatalf("4 events are %+v", got)
		}
	})
}

// raceDetected tells whether the test was built with -race.
func raceDetected() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
