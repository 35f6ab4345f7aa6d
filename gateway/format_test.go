package gateway

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"fleetcast/codec/deflate"
)

func TestFormatOf(t *testing.T) {
	for bits, want := range map[int]format{8: formatDeflate8, 9: formatDeflate9, 11: formatDeflate9, 12: formatDeflate12, 14: formatDeflate12, 15: formatDeflate15} {
		got := formatOf(bits)
		if got != want || windowBits[got] > bits {
			t.Errorf("%d bits: format %d", bits, got)
		}
	}
	for _, tt := range []struct {
		f    format
		size int
		want format
	}{
		{formatDeflate8, 256, formatDeflate15}, {formatDeflate8, 257, formatDeflate8}, {formatDeflate9, 512, formatDeflate15},
		{formatDeflate12, 4097, formatDeflate12}, {formatDeflate15, 1 << 20, formatDeflate15},
	} {
		if got := tt.f.sharedFor(tt.size); got != tt.want {
			t.Errorf("format %d for %d bytes: %d", tt.f, tt.size, got)
		}
	}
}

func TestInboundOf(t *testing.T) {
	for _, tt := range []struct {
		agreed deflate.Params
		bits   int
	}{
		{deflate.Params{ClientNoContext: true}, 0}, {deflate.Params{ClientNoContext: true, ClientBits: 9}, 0},
		{deflate.Params{}, 15}, {deflate.Params{ClientBits: 12}, 12}, {deflate.Params{ClientBits: 9}, 9},
		{deflate.Params{ClientBits: 8}, 9}, // zlib takes 9 bits where 8 were agreed on
	} {
		i := inboundOf(tt.agreed)
		if i == inboundPlain || i >= inboundCount || i.contextBits() != tt.bits {
			t.Errorf("%+v: %d bits", tt.agreed, i.contextBits())
		}
	}
}

// compressionTest is what compresses in a test.
func compressionTest(level, from int) *compression {
	return newCompression(level, from, new(compressionWork))
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
		v, worked := k.build(e, formatDeflate15)
		if !worked || !v.isBuilt() || &v.frame[0] != &e.frame[0] || len(e.frameIn(formatDeflate15)) != len(e.frame) {
			t.Errorf("%s: the frame is not the plain one", name)
		}
		if got := k.work.events.Load(); got != tt.count {
			t.Errorf("%s: %d compressions", name, got)
		}
		e.release()
	}
}

// TestVariantsAreReused releases events with all formats and makes new ones of
// what they leave.
func TestVariantsAreReused(t *testing.T) {
	k := compressionTest(6, 0)
	for i := range 100 {
		e := nextTestEvent(testStream("test"), "", `"`+strings.Repeat("abc", 100+10*i)+`"`)
		plain := bytes.Clone(e.payload())
		for f := formatDeflate15; f < formatCount; f++ {
			if v, _ := k.build(e, f); !v.isBuilt() {
				t.Fatal("a small event is not compressed at once")
			}
			frame := e.frameIn(f)
			header := 2
			if frame[1] == 126 {
				header = 4
			}
			got, err := deflate.NewInflater().Append(nil, frame[header:], nil, len(plain))
			if frame[0] != 0xc1 || err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("event %d, format %d: %x, %v", i, f, frame[0], err)
			}
		}
		e.release()
		for f := range e.variants {
			if e.variants[f].Load() != nil {
				t.Fatal("a released event has a variant")
			}
		}
	}
}

// TestVariantTellsEveryone has channels of several shards wait while the variant
// is built: each is told once, or sees that it is built.
func TestVariantTellsEveryone(t *testing.T) {
	config := DefaultConfig(100)
	config.Shards = 4
	g, err := New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer g.closeLoops()
	for range 200 {
		v := new(variant)
		var waits [4]bool
		var all sync.WaitGroup
		for i, s := range g.shards {
			all.Go(func() { waits[i] = v.await(&channel{shard: s}) })
		}
		all.Go(v.finish)
		all.Wait()
		for i, s := range g.shards {
			m, told := s.mailbox.Take()
			if told != waits[i] || told && (m.channel == nil || m.channel.shard != s || m.event != nil) {
				t.Fatalf("shard %d waits: %t, is told: %t", i, waits[i], told)
			}
		}
		if v.await(&channel{shard: g.shards[0]}) {
			t.Fatal("a built variant is waited for")
		}
	}
}
