package websocket_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// lengths are those around which a header changes its form (RFC 6455, 5.2).
var lengths = []int{0, 1, 125, 126, 127, 65535, 65536, 70000}

// oracle reads a frame back with gobwas/ws and checks that b holds it exactly.
func oracle(t *testing.T, b []byte) ws.Frame {
	t.Helper()
	in := bytes.NewReader(b)
	f := readFrame(t, in)
	if in.Len() != 0 {
		t.Fatalf("gobwas/ws reads %+v and leaves %d bytes", f.Header, in.Len())
	}
	return f
}

// readFrame reads a frame with gobwas/ws and unmasks its payload.
func readFrame(t testing.TB, in *bytes.Reader) ws.Frame {
	t.Helper()
	h, err := ws.ReadHeader(in)
	if err != nil || h.Length > int64(in.Len()) {
		t.Fatalf("gobwas/ws reads %+v of %d bytes: %v", h, in.Len(), err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(in, payload); err != nil {
		t.Fatal(err)
	}
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	return ws.Frame{Header: h, Payload: payload}
}

// TestAppendFrame proves RFC 6455, 5.1, 5.2, 5.3 and 6.1.
func TestAppendFrame(t *testing.T) {
	prefix := []byte("before")
	for _, length := range lengths {
		payload := []byte(strings.Repeat("x", length))
		for _, fin := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes, fin %t", length, fin), func(t *testing.T) {
				plain := websocket.AppendFragment(bytes.Clone(prefix), ws.OpBinary, fin, payload)
				masked := websocket.AppendMaskedFragment(bytes.Clone(prefix), ws.OpBinary, fin, payload, mask)
				for i, b := range [][]byte{plain, masked} {
					f := oracle(t, b[len(prefix):])
					want := ws.Header{Fin: fin, OpCode: ws.OpBinary, Masked: i == 1, Length: int64(length)}
					if i == 1 {
						want.Mask = mask
					}
					if f.Header != want || !bytes.Equal(f.Payload, payload) {
						t.Errorf("got %+v, want %+v", f.Header, want)
					}
				}
			})
		}
		size := websocket.HeaderSize(length)
		whole := websocket.AppendFrame(nil, ws.OpText, payload)
		if header := websocket.AppendHeader(nil, ws.OpText, length); len(header) != size || !bytes.Equal(whole, append(header, payload...)) {
			t.Errorf("%d bytes: header % x does not fit HeaderSize %d or the frame", length, header, size)
		}
	}
}

// TestAppendControlFrameEndsAt125 proves RFC 6455, 5.5.
func TestAppendControlFrameEndsAt125(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 1000)
	for _, b := range [][]byte{
		websocket.AppendFrame(nil, ws.OpPing, long[:125]),
		websocket.AppendFrame(nil, ws.OpPing, long[:126]),
		websocket.AppendFrame(nil, ws.OpPing, long),
		websocket.AppendMaskedFrame(nil, ws.OpPong, long, mask),
	} {
		if f := oracle(t, b); !bytes.Equal(f.Payload, long[:125]) {
			t.Errorf("%d bytes of payload", len(f.Payload))
		}
	}
}

func TestTextInPlace(t *testing.T) {
	prefix := []byte("before")
	for _, length := range lengths {
		text := strings.Repeat("t", length)
		dst := bytes.Clone(prefix)
		dst = websocket.BeginText(dst)
		dst = append(dst, text...)
		dst = websocket.EndText(dst, len(prefix))
		want := websocket.AppendFrame(bytes.Clone(prefix), ws.OpText, []byte(text))
		if !bytes.Equal(dst, want) {
			t.Errorf("%d bytes: the frame is not that of AppendFrame", length)
		}
	}
}

// TestAppendClose: what must not be on the wire is not, and what is can be
// parsed (RFC 6455, 5.5.1 and 7.4).
func TestAppendClose(t *testing.T) {
	long := strings.Repeat("€", 60)
	tests := []struct {
		code   ws.StatusCode
		reason string
		want   string
	}{
		{1000, "", "\x03\xe8"},
		{1001, "going away", "\x03\xe9going away"},
		{websocket.StatusTryAgainLater, "slow consumer", "\x03\xf5slow consumer"},
		{4999, "x", "\x13\x87x"},
		{1005, "ignored", ""},
		{1006, "ignored", ""},
		{1015, "ignored", ""},
		{1004, "ignored", ""},
		{0, "ignored", ""},
		{999, "ignored", ""},
		{5000, "ignored", ""},
		{1000, long, "\x03\xe8" + long[:123]},
		{1000, "a" + long, "\x03\xe8a" + long[:120]},
		{1000, "not\xffUTF-8", "\x03\xe8not?UTF-8"},
	}
	for _, tt := range tests {
		plain := oracle(t, websocket.AppendClose([]byte{}, tt.code, tt.reason))
		masked := oracle(t, websocket.AppendMaskedClose([]byte{}, tt.code, tt.reason, mask))
		if plain.Header.Masked || !masked.Header.Masked || masked.Header.Mask != mask {
			t.Errorf("%d: masking is wrong", tt.code)
		}
		for _, f := range []ws.Frame{plain, masked} {
			if string(f.Payload) != tt.want || f.Header.OpCode != ws.OpClose || !f.Header.Fin {
				t.Errorf("%d %q: got %+v %q, want %q", tt.code, tt.reason, f.Header, f.Payload, tt.want)
			}
			if _, reason, err := websocket.ParseClose(f.Payload); err != nil || !utf8.Valid(reason) {
				t.Errorf("%d %q: does not parse: %v", tt.code, tt.reason, err)
			}
		}
	}
}

func TestAppendAllocations(t *testing.T) {
	payload := []byte(strings.Repeat("x", 128))
	dst := make([]byte, 0, 1024)
	for name, f := range map[string]func(){
		"AppendFrame":       func() { dst = websocket.AppendFrame(dst[:0], ws.OpText, payload) },
		"AppendMaskedFrame": func() { dst = websocket.AppendMaskedFrame(dst[:0], ws.OpText, payload, mask) },
		"AppendClose":       func() { dst = websocket.AppendClose(dst[:0], 1001, "going away") },
		"AppendMaskedClose": func() { dst = websocket.AppendMaskedClose(dst[:0], 1001, "going away", mask) },
		"EndText": func() {
			dst = websocket.BeginText(dst[:0])
			dst = websocket.EndText(append(dst, payload...), 0)
		},
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestAppendMaskedHeader(t *testing.T) {
	for _, length := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		payload, mask := make([]byte, length), [4]byte{1, 2, 3, 4}
		want := websocket.AppendMaskedFrame(nil, ws.OpBinary, payload, mask)
		if got := websocket.AppendMaskedHeader(nil, ws.OpBinary, length, mask); !bytes.Equal(got, want[:len(want)-length]) {
			t.Errorf("%d bytes: header %x, want %x", length, got, want[:len(want)-length])
		}
	}
}
