package echo

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
)

func fuzzRequest(target string) []byte {
	request := websocket.Request{Host: "localhost", Path: target}
	return request.Append(nil, websocket.Key([]byte("dGhlIHNhbXBsZSBub25jZQ==")))
}

// FuzzSession gives a session the same bytes whole and in chunks: it must
// answer the same and end up in the same phase. chunks are sizes, used in turn.
func FuzzSession(f *testing.F) {
	hello := maskedFrame(ws.OpText, []byte("héllo"))
	request := fuzzRequest("/ws")
	seed := func(parts ...[]byte) {
		f.Add(bytes.Join(append([][]byte{request}, parts...), nil), []byte{1, 3, 20})
	}
	seed(hello, hello, maskedFrame(ws.OpPing, []byte("p")), maskedFrame(ws.OpClose, []byte{3, 232}))
	seed(websocket.AppendMaskedFragment(nil, ws.OpText, false, []byte("\xc3"), [4]byte{5}), maskedFrame(ws.OpPing, nil),
		websocket.AppendMaskedFragment(nil, ws.OpContinuation, true, []byte("\xa9"), [4]byte{6}))
	seed(maskedFrame(ws.OpBinary, make([]byte, 70<<10)), maskedFrame(ws.OpText, []byte("\xff")), hello)
	seed([]byte{0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1})
	seed([]byte{0x81, 0x00})
	f.Add([]byte("POST / HTTP/1.0\r\n\r\n"), []byte{2})
	f.Add(bytes.Repeat([]byte("header "), 2000), []byte{255, 7})

	f.Fuzz(func(t *testing.T, stream, chunks []byte) {
		whole, chunked := newBench(t, handshaking), newBench(t, handshaking)
		whole.Received(bytes.Clone(stream))
		whole.drain()
		for i := 0; len(stream) > 0; i++ {
			n := len(stream)
			if len(chunks) > 0 {
				n = min(n, 1+int(chunks[i%len(chunks)]))
			}
			chunked.Received(bytes.Clone(stream[:n]))
			chunked.drain()
			stream = stream[n:]
		}
		if whole.phase != chunked.phase || !bytes.Equal(whole.got, chunked.got) {
			t.Errorf("whole: phase %d, %q\nchunked: phase %d, %q", whole.phase, whole.got, chunked.phase, chunked.got)
		}
		if len(whole.shard.batch)+len(chunked.shard.batch) > 0 {
			t.Error("replies were left behind")
		}
	})
}
