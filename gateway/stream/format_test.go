package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/dialect/fleetcastv1"
	"fleetcast/gateway/limits"
	"fleetcast/poller"
)

// upside is another dialect: its events are binary messages in which the data is not as
// it was published.
type upside struct{ fleetcastv1.Dialect }

func (upside) Subprotocol() string                            { return "upside" }
func (upside) AppendPrefix(dst []byte, channel string) []byte { return append(dst, channel...) }
func (upside) EventSize([]byte, *dialect.Event) int           { return 1 } // a bad guess

func (upside) AppendEvent(dst, prefix []byte, e *dialect.Event) ([]byte, int) {
	return websocket.AppendFrame(dst, ws.OpBinary, upsideMessage(string(prefix), e.Offset, e.Data)), -1
}

func upsideMessage(channel string, offset uint64, data []byte) []byte {
	data = bytes.Clone(data)
	slices.Reverse(data)
	return fmt.Appendf(nil, "%s %d %s", channel, offset, data)
}

func TestFormatOf(t *testing.T) {
	two := NewFormats(fleetcastv1.Dialect{}, upside{})
	if two.Count() != 2*v1.Count() || two.Of("", 0) != FormatPlain || two.Of("unknown", 0) != FormatPlain || two.Of("fleetcast.v1", 0) != FormatPlain {
		t.Errorf("%d formats, that without a subprotocol is %d", two.Count(), two.Of("", 0))
	}
	for _, name := range []string{"fleetcast.v1", "upside"} {
		plain := two.Of(name, 0)
		if two.Compressed(plain) || two.Dialect(plain).Subprotocol() != name {
			t.Errorf("%s: the plain format is one of %s", name, two.Dialect(plain).Subprotocol())
		}
		for bits, want := range map[int]uint8{8: 8, 9: 9, 11: 9, 12: 12, 14: 12, 15: 15} {
			f := two.Of(name, bits)
			if two.all[f].window != want || !two.Compressed(f) || two.Plain(f) != plain || two.Dialect(f) != two.Dialect(plain) {
				t.Errorf("%s, %d bits: format %d: %+v", name, bits, f, two.all[f])
			}
		}
		for _, tt := range []struct{ bits, size, want int }{
			{8, 256, 15}, {8, 257, 8}, {9, 512, 15}, {12, 4097, 12}, {15, 1 << 20, 15},
		} {
			if got := two.sharedFor(two.Of(name, tt.bits), tt.size); got != two.Of(name, tt.want) {
				t.Errorf("%s: %d bits for %d bytes: format %d", name, tt.bits, tt.size, got)
			}
		}
	}
}

// compressionTest is what compresses in a test.
func compressionTest(level, from int) *Compression {
	return NewCompression(level, from, new(CompressionWork))
}

func TestCompressionThatDoesNotPay(t *testing.T) {
	noise := make([]byte, 4000)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	k := compressionTest(1, 100)
	for name, tt := range map[string]struct {
		data  string
		count uint64
	}{"noise": {string(noise), 1}, "small": {"1", 0}} {
		k.work.events.Store(0)
		e := nextTestEvent(testStream("test"), "", tt.data)
		v, worked := k.Build(e, v1.Of("", 15))
		if !worked || !v.IsBuilt() || &v.frame[0] != &e.Frame[0] || len(e.FrameIn(v1.Of("", 15))) != len(e.Frame) {
			t.Errorf("%s: the frame is not the plain one", name)
		}
		if got := k.work.events.Load(); got != tt.count {
			t.Errorf("%s: %d compressions", name, got)
		}
		e.Release()
	}
}

// TestVariantsAreReused releases events with the formats of two dialects, either of which
// is the first, and makes new ones of what they leave.
func TestVariantsAreReused(t *testing.T) {
	k, pools := compressionTest(6, 0), []*Formats{NewFormats(fleetcastv1.Dialect{}, upside{}), NewFormats(upside{}, fleetcastv1.Dialect{})}
	for i := range 200 {
		fs, st := pools[i%2], &Stream{Name: "test", Offset: uint64(i)}
		st.prefix = fs.Dialect(FormatPlain).AppendPrefix(nil, st.Name)
		data := []byte(`"` + strings.Repeat("abc", 100+10*i) + `"`)
		e := newEvent(fs, st, &Submission{Key: []byte("key"), Data: data, From: new(limits.Account)}, 1)
		for f := FormatPlain; int(f) < fs.Count(); f++ {
			if f != FormatPlain {
				if v, _ := k.Build(e, f); !v.IsBuilt() {
					t.Fatal("a small event is not laid out at once")
				}
			}
			opcode, want := byte(ws.OpText), command.AppendEvent(nil, command.AppendEventPrefix(nil, "test"), e.Offset, data)
			if fs.Dialect(f) == (upside{}) {
				opcode, want = byte(ws.OpBinary), upsideMessage("test", e.Offset, data)
			}
			frame := e.FrameIn(f)
			got := websocket.Payload(frame)
			var err error
			if fs.Compressed(f) {
				opcode |= 0x40
				got, err = deflate.NewInflater().Append(nil, got, nil, len(want))
			}
			if frame[0] != opcode|0x80 || err != nil || !bytes.Equal(got, want) {
				t.Fatalf("event %d, format %d: %x %.60q, %v; want %.60q", i, f, frame[0], got, err, want)
			}
		}
		if string(e.Key) != "key" {
			t.Fatalf("the key is %q", e.Key)
		}
		if e.Release(); e.variants.Load() != nil || k.work.Alive.Load() != 0 {
			t.Fatalf("a released event leaves %d bytes in other formats", k.work.Alive.Load())
		}
	}
}

// TestVariantOfAnotherDialectIsAwaited asks for a compressed frame while another shard
// makes the one that it is compressed from.
func TestVariantOfAnotherDialectIsAwaited(t *testing.T) {
	k, fs := compressionTest(1, 0), NewFormats(fleetcastv1.Dialect{}, upside{})
	e := newEvent(fs, &Stream{Name: "test"}, &Submission{Data: []byte(`"data"`), From: new(limits.Account)}, 1)
	plain, compressed := fs.Of("upside", 0), fs.Of("upside", 15)
	under, mine := e.claim(plain)
	if v, worked := k.Build(e, compressed); !mine || v != under || worked {
		t.Fatalf("mine %v, worked %v: the frame that it is made from is not waited for", mine, worked)
	}
	e.variants.Store(nil) // as if it had never been asked for
	if v, worked := k.Build(e, compressed); !v.IsBuilt() || !worked || v.format != compressed {
		t.Fatalf("the frame is not there: %+v", v)
	}
	e.Release()
}

// TestVariantTellsEveryone has channels of several shards wait while the variant
// is built: each is told once, or sees that it is built.
func TestVariantTellsEveryone(t *testing.T) {
	var ports [4]*Port
	for i := range ports {
		ports[i] = NewPort(i)
		loop, err := poller.NewLoop(nil, poller.LoopConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer loop.Close()
		ports[i].Loop = loop
	}
	for range 200 {
		v := new(Variant)
		var waits [len(ports)]bool
		var interests [len(ports)]*Interest
		var all sync.WaitGroup
		for i, p := range ports {
			interests[i] = &Interest{Port: p}
			all.Go(func() { waits[i] = v.Await(interests[i]) })
		}
		all.Go(v.finish)
		all.Wait()
		for i, p := range ports {
			m, told := p.Mailbox.Take()
			if told != waits[i] || told && (m.Interest != interests[i] || m.Event != nil) {
				t.Fatalf("shard %d waits: %t, is told: %t", i, waits[i], told)
			}
		}
		if v.Await(interests[0]) {
			t.Fatal("a built variant is waited for")
		}
	}
}
