package deflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"io"
	"testing"

	"fleetcast/codec/deflate"
)

// FuzzInflate inflates hostile payloads with a bound on memory, and compares with
// the standard library what is accepted.
func FuzzInflate(f *testing.F) {
	deflater := deflate.NewDeflater(6, 15)
	for _, message := range samples(300) {
		f.Add(deflater.Append(nil, message), []byte(nil))
	}
	f.Add([]byte("\xf2\x00\x11\x00\x00"), []byte("Hello"))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), []byte{})
	f.Add(bytes.Repeat([]byte{3, 0}, 300), []byte{})
	inflater := deflate.NewInflater()
	f.Fuzz(func(t *testing.T, payload, context []byte) {
		const limit = 1 << 14
		window := deflate.NewWindow(15)
		window.Add(context)
		got, err := inflater.Append(nil, payload[:len(payload):len(payload)], window, limit)
		if len(got) > limit+1 || cap(got) > 2*limit {
			t.Fatalf("%d bytes in %d", len(got), cap(got))
		}
		if err != nil {
			return
		}
		whole := bytes.NewReader(append(bytes.Clone(payload), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
		var want []byte
		for whole.Len() > 0 {
			before := append(bytes.Clone(context), want...)
			before = before[max(0, len(before)-1<<15):]
			part, err := io.ReadAll(stdflate.NewReaderDict(whole, before))
			if err != nil {
				t.Fatalf("the standard library refuses what was accepted: %v", err)
			}
			want = append(want, part...)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, want %d", len(got), len(want))
		}
	})
}

// FuzzDeflate inflates what was compressed, in any window.
func FuzzDeflate(f *testing.F) {
	for _, message := range samples(600) {
		f.Add(message, byte(1), byte(8))
		f.Add(message, byte(9), byte(15))
	}
	inflater := deflate.NewInflater()
	f.Fuzz(func(t *testing.T, message []byte, level, bits byte) {
		const windows = deflate.MaxWindowBits - deflate.MinWindowBits + 1
		deflater := deflate.NewDeflater(int(level%deflate.MaxLevel)+1, int(bits%windows)+deflate.MinWindowBits)
		for range 2 { // the second time with what the first has left
			payload := deflater.Append(nil, message)
			got, err := inflater.Append(nil, payload, nil, len(message))
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d bytes of %d, %v", len(got), len(message), err)
			}
		}
	})
}
