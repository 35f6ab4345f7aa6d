package stream

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"fleetcast/codec/deflate"
	"fleetcast/poller"
)

func TestFormatOf(t *testing.T) {
	for bits, want := range map[int]Format{8: formatDeflate8, 9: formatDeflate9, 11: formatDeflate9, 12: formatDeflate12, 14: formatDeflate12, 15: formatDeflate15} {
		got := FormatOf(bits)
		if got != want || windowBits[got] > bits {
			t.Errorf("%d bits: format %d", bits, got)
		}
	}
	for _, tt := range []struct {
		f    Format
		size int
		want Format
	}{
		{formatDeflate8, 256, formatDeflate15}, {formatDeflate8, 257, formatDeflate8}, {formatDeflate9, 512, formatDeflate15},
		{formatDeflate12, 4097, formatDeflate12}, {formatDeflate15, 1 << 20, formatDeflate15},
	} {
		if got := tt.f.sharedFor(tt.size); got != tt.want {
			t.Errorf("format %d for %d bytes: %d", tt.f, tt.size, got)
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
		v, worked := k.Build(e, formatDeflate15)
		if !worked || !v.IsBuilt() || &v.frame[0] != &e.Frame[0] || len(e.FrameIn(formatDeflate15)) != len(e.Frame) {
			t.Errorf("%s: the frame is not the plain one", name)
		}
		if got := k.work.events.Load(); got != tt.count {
			t.Errorf("%s: %d compressions", name, got)
		}
		e.Release()
	}
}

// TestVariantsAreReused releases events with all formats and makes new ones of
// what they leave.
func TestVariantsAreReused(t *testing.T) {
	k := compressionTest(6, 0)
	for i := range 100 {
		e := nextTestEvent(testStream("test"), "", `"`+strings.Repeat("abc", 100+10*i)+`"`)
		plain := bytes.Clone(e.payload())
		for f := formatDeflate15; f < FormatCount; f++ {
			if v, _ := k.Build(e, f); !v.IsBuilt() {
				t.Fatal("a small event is not compressed at once")
			}
			frame := e.FrameIn(f)
			header := 2
			if frame[1] == 126 {
				header = 4
			}
			got, err := deflate.NewInflater().Append(nil, frame[header:], nil, len(plain))
			if frame[0] != 0xc1 || err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("event %d, format %d: %x, %v", i, f, frame[0], err)
			}
		}
		e.Release()
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
