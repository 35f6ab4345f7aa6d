package loadtest

import (
	"bytes"
	"runtime/debug"
	"slices"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// bench is a worker with live clients whose frames come from memory.
type bench struct {
	worker *worker
	cohort *cohort
	frames [formCount][][]byte // of each event, as clients of a form without context get them
}

// newBench makes clients that wait for events, all of which are published.
func newBench(tb testing.TB, clients, events int) *bench {
	tb.Helper()
	return newBenchOf(tb, clients, events, DataRandom, DefaultPayload)
}

func newBenchOf(tb testing.TB, clients, events int, of Data, payload int) *bench {
	tb.Helper()
	clock := newClock()
	p := &plan{
		Profile: DefaultProfile, Base: clock.base,
		Processes: 1, Loops: 1, Connecting: 1,
		Flows:  []flowPlan{{Channels: channelNames(1), Payload: payload, Data: of, Events: events}},
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
		c.startAt(&profile.Message{HasOffset: true})
		c.becomeLive()
	}
	b.worker.prepare()
	flow := b.cohort.flow
	prefix := command.AppendEventPrefix(nil, flow.plan.Channels[0])
	deflater := deflate.NewDeflater(deflate.MinLevel, deflate.MaxWindowBits)
	for range events {
		due := s.clock.now()
		seq := flow.schedule.publish(due)
		data := flow.plan.appendData(nil, seq, s.clock.toUnix(due))
		message := command.AppendEvent(nil, prefix, uint64(seq+1), data)
		b.frames[formPlain] = append(b.frames[formPlain], websocket.AppendFrame(nil, ws.OpText, message))
		b.frames[formDeflate] = append(b.frames[formDeflate],
			websocket.AppendCompressedFrame(nil, ws.OpText, deflater.Append(nil, message)))
	}
	return b
}

// deliver hands event seq to client i.
func (b *bench) deliver(i, seq int) {
	c := &b.cohort.clients[i]
	c.Received(b.frames[c.form][seq])
}

func TestDeliveryAllocatesNothing(t *testing.T) {
	if raceDetected() {
		t.Skip("pools forget at random under the race detector")
	}
	const warm, runs = maxReferences, 200
	for form := range comparedForms {
		b := newBench(t, 3, warm+runs+2)
		for i := range b.cohort.clients {
			b.cohort.clients[i].form = form
		}
		seq := 0
		each := func() {
			b.deliver(0, seq) // verified in full
			b.deliver(1, seq) // by the reference
			// In two pieces: by the reader, and then in full.
			frame := b.frames[form][seq]
			cut := len(frame) / 2
			b.cohort.clients[2].Received(frame[:cut])
			b.cohort.clients[2].Received(frame[cut:])
			seq++
		}
		for range warm {
			each()
		}
		if allocated := testing.AllocsPerRun(runs, each); allocated != 0 {
			t.Errorf("form %d: three deliveries allocate %v times", form, allocated)
		}
		if got, want := b.cohort.tally.Delivered, int64(3*seq); got != want {
			t.Errorf("form %d: delivered %d, want %d: %q", form, got, want, b.cohort.tally.Examples.texts())
		}
	}
}

// Whatever the pieces in which frames arrive, the outcome is the same.
func TestDeliveryInPieces(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 100, 1000} {
		for form := range comparedForms {
			b := newBenchOf(t, 2, 20, DataRecords, DefaultPayload)
			var stream []byte
			payload := 0
			for _, frame := range b.frames[form] {
				stream = append(stream, websocket.AppendFrame(frame[:len(frame):len(frame)], ws.OpPing, []byte("x"))...)
				payload += len(frame) - websocket.HeaderSize(len(frame)-4)
			}
			for i := range b.cohort.clients {
				b.cohort.clients[i].form = form
				for from := 0; from < len(stream); from += size {
					piece := append([]byte(nil), stream[from:min(from+size, len(stream))]...)
					b.cohort.clients[i].Received(piece)
				}
			}
			got := &b.cohort.tally
			if got.Delivered != 40 || got.FrameBytes != int64(2*payload) {
				t.Errorf("form %d, pieces of %d bytes: delivered %d in %d bytes, want 40 in %d: %q",
					form, size, got.Delivered, got.FrameBytes, 2*payload, got.Examples.texts())
			}
		}
	}
}

// The payload of a message is counted as it arrives, whatever its size, and
// whatever comes between its fragments.
func TestPayloadOnWire(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 100_000} {
		c := &client{wire: int64(websocket.HeaderSize(size) + size)}
		if got := c.payloadOnWire(&websocket.Message{Op: ws.OpText}); got != size || c.wire != 0 {
			t.Errorf("%d bytes are counted as %d, and %d are left", size, got, c.wire)
		}
	}
	b := newBenchOf(t, 1, 1, DataRecords, 1024)
	c := &b.cohort.clients[0]
	c.form = formDeflate
	frame := b.frames[formDeflate][0]
	payload := frame[websocket.HeaderSize(len(frame)-4):]
	first := websocket.AppendFragment(nil, ws.OpText, false, payload[:150])
	first[0] |= 0x40
	c.Received(append(first, websocket.AppendFrame(nil, ws.OpPing, []byte("between"))...))
	c.Received(websocket.AppendFragment(nil, ws.OpContinuation, true, payload[150:]))
	const secondHeader = 4 // both fragments are longer than 125 bytes
	if got := &b.cohort.tally; got.Delivered != 1 || got.FrameBytes != int64(len(payload)+secondHeader) {
		t.Errorf("delivered %d in %d bytes, want 1 in %d: %q", got.Delivered, got.FrameBytes, len(payload)+secondHeader, got.Examples.texts())
	}
}

// What answers for an event is what was verified: a frame that differs in one
// byte, or is of another event, is not taken for it.
func TestReferenceIsExact(t *testing.T) {
	for form := range comparedForms {
		b := newBenchOf(t, 2, 2, DataRecords, DefaultPayload)
		for i := range b.cohort.clients {
			b.cohort.clients[i].form = form
		}
		b.deliver(0, 0)
		c, frame := &b.cohort.clients[1], b.frames[form][0]
		if n := c.takeReferenced(b.frames[form][1], 1); n != 0 {
			t.Errorf("form %d: another event is taken", form)
		}
		for i := range frame {
			bad := bytes.Clone(frame)
			bad[i] ^= 1
			if n := c.takeReferenced(bad, 1); n != 0 {
				t.Errorf("form %d: a frame whose byte %d differs is taken", form, i)
			}
			if n := c.takeReferenced(frame[:i], 1); n != 0 {
				t.Errorf("form %d: %d bytes of %d are taken", form, i, len(frame))
			}
		}
		if n := c.takeReferenced(frame, 1); n != len(frame) {
			t.Errorf("form %d: the frame is not taken", form)
		}
		c.form, c.sequence.next = formDeflate+deflate.MinContextBits, 0
		if n := c.takeReferenced(frame, 1); n != 0 {
			t.Error("a frame is taken past a reader that keeps context")
		}
	}
}

// FuzzClient feeds a live client anything.
func FuzzClient(f *testing.F) {
	f.Add([]byte("\x81\x02{}\x89\x00"), 3, uint8(formPlain))
	f.Add([]byte("\xc1\x04\xaa\xaa\x05\x00\x41\x01\x00\x89\x00\x80\x01\x00"), 3, uint8(formDeflate))
	f.Add([]byte("\xc1\x04\xaa\xaa\x05\x00\x89\x00"), 3, uint8(formDeflate+deflate.MinContextBits))
	f.Add(websocket.AppendFrame(nil, ws.OpText, []byte(`{"type":"gap","channel":"x","from":1,"to":9007199254740991}`)), 1, uint8(formPlain))
	f.Add(websocket.AppendClose(nil, ws.StatusGoingAway, "bye"), 5, uint8(formPlain))
	f.Fuzz(func(t *testing.T, stream []byte, size int, of uint8) {
		b := newBench(t, 1, 4)
		c := &b.cohort.clients[0]
		c.form = form(of) % formCount
		for size = max(size, 1); len(stream) > 0 && c.Open(); {
			n := min(size, len(stream))
			c.Received(stream[:n:n])
			stream = stream[n:]
		}
		b.cohort.finish(false)
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
