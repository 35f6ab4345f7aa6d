package gateway

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
	var ports [4]*port
	for i := range ports {
		ports[i] = newPort(i)
		loop, err := poller.NewLoop(nil, poller.LoopConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer loop.Close()
		ports[i].loop = loop
	}
	for range 200 {
		v := new(variant)
		var waits [len(ports)]bool
		var interests [len(ports)]*interest
		var all sync.WaitGroup
		for i, p := range ports {
			interests[i] = &interest{port: p}
			all.Go(func() { waits[i] = v.await(interests[i]) })
		}
		all.Go(v.finish)
		all.Wait()
		for i, p := range ports {
			m, told := p.mailbox.Take()
			if told != waits[i] || told && (m.interest != interests[i] || m.event != nil) {
				t.Fatalf("shard %d waits: %t, is told: %t", i, waits[i], told)
			}
		}
		if v.await(interests[0]) {
			t.Fatal("a built variant is waited for")
		}
	}
}
