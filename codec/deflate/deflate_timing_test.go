package deflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"testing"

	"github.com/gobwas/ws/wsflate"
	"github.com/klauspost/compress/flate"

	"fleetcast/codec/deflate"
)

// timedSizes are of messages, in bytes.
var timedSizes = []int{300, 1 << 10, 4 << 10, 16 << 10, 64 << 10}

// BenchmarkDeflate compares this package with the libraries that could stand under
// it: the standard library, and gobwas/ws/wsflate around the one that does. ratio
// is what is left of the message.
func BenchmarkDeflate(b *testing.B) {
	for _, size := range timedSizes {
		message := samples(size)["records"]
		run := func(name string, compress func(dst []byte) []byte) {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				dst := make([]byte, 0, 2*size)
				for b.Loop() {
					dst = compress(dst[:0])
				}
				b.ReportMetric(float64(len(dst))/float64(size), "ratio")
			})
		}
		for _, level := range []int{1, 3, 6, 9} {
			d := deflate.NewDeflater(level, deflate.MaxWindowBits)
			run(fmt.Sprintf("level=%d", level), func(dst []byte) []byte { return d.Append(dst, message) })
		}
		for _, bits := range []int{9, 12} {
			d := deflate.NewDeflater(1, bits)
			run(fmt.Sprintf("bits=%d", bits), func(dst []byte) []byte { return d.Append(dst, message) })
		}
		for _, level := range []int{1, 6} {
			var out bytes.Buffer
			w, _ := stdflate.NewWriter(&out, level)
			run(fmt.Sprintf("standard-level=%d", level), func([]byte) []byte {
				out.Reset()
				w.Reset(&out)
				_, _ = w.Write(message)
				_ = w.Flush()
				return out.Bytes()
			})
		}
		var out bytes.Buffer
		w := wsflate.NewWriter(&out, func(w io.Writer) wsflate.Compressor {
			c, _ := flate.NewWriter(w, 1)
			return c
		})
		run("wsflate-level=1", func([]byte) []byte {
			out.Reset()
			w.Reset(&out)
			_, _ = w.Write(message)
			_ = w.Flush()
			return out.Bytes()
		})
	}
}

// BenchmarkInflate does the same the other way.
func BenchmarkInflate(b *testing.B) {
	for _, size := range timedSizes {
		message := samples(size)["records"]
		payload := deflate.NewDeflater(6, deflate.MaxWindowBits).Append(nil, message)
		run := func(name string, inflate func(dst []byte) ([]byte, error)) {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				dst := make([]byte, 0, 2*size)
				for b.Loop() {
					var err error
					if dst, err = inflate(dst[:0]); err != nil || len(dst) != size {
						b.Fatal(len(dst), err)
					}
				}
			})
		}
		f := deflate.NewInflater()
		run("ours", func(dst []byte) ([]byte, error) { return f.Append(dst, payload, nil, size) })
		standard := stdflate.NewReader(nil)
		whole := append(bytes.Clone(payload), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
		source := bytes.NewReader(nil)
		run("standard", func(dst []byte) ([]byte, error) {
			source.Reset(whole)
			_ = standard.(stdflate.Resetter).Reset(source, nil)
			n, err := io.ReadFull(standard, dst[:size])
			return dst[:n], err
		})
		r := wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
		run("wsflate", func(dst []byte) ([]byte, error) {
			source.Reset(payload)
			r.Reset(source)
			n, err := io.ReadFull(r, dst[:size])
			return dst[:n], err
		})
	}
}
