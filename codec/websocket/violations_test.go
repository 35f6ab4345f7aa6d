package websocket_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// violation is a stream whose last byte breaks a rule. It is written as a server
// sends it.
type violation struct {
	section, name string
	stream        string
	want          *websocket.CloseError
}

// violations has a row for each rule of RFC 6455's framing that either end can
// break, by its section. For text that is not UTF-8 there is more in
// TestTextFailsAtTheEarliestByte.
func violations() []violation {
	rows := []violation{
		{"5.2", "16-bit length of 125", "\x82\x7e\x00\x7d", websocket.ErrLengthNotMinimal},
		{"5.2", "16-bit length of 0", "\x82\x7e\x00\x00", websocket.ErrLengthNotMinimal},
		{"5.2", "64-bit length of 65535", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", websocket.ErrLengthNotMinimal},
		{"5.2", "64-bit length of 1", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01", websocket.ErrLengthNotMinimal},
		{"5.2", "64-bit length with the high bit", "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", websocket.ErrLengthHighBit},
		{"10.4", "largest 64-bit length", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", websocket.ErrMessageTooBig},
		{"10.4", "one byte over the limit", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x01", websocket.ErrMessageTooBig},
		{"10.4", "fragments over the limit", "\x02\x01a\x80\x7f\x00\x00\x00\x00\x00\x01\x00\x00", websocket.ErrMessageTooBig},
		{"5.4", "continuation first", "\x80\x00", websocket.ErrContinuation},
		{"5.4", "continuation first, not the last", "\x00\x01", websocket.ErrContinuation},
		{"5.4", "continuation after a whole message", "\x81\x01a\x80\x01", websocket.ErrContinuation},
		{"5.4", "continuation after the last fragment", "\x01\x01a\x80\x01b\x80\x01", websocket.ErrContinuation},
		{"5.4", "continuation after a ping", "\x89\x00\x80\x01", websocket.ErrContinuation},
		{"5.4", "text inside a fragmented message", "\x01\x01a\x81\x01", websocket.ErrFragmentExpected},
		{"5.4", "fragment of another message inside a fragmented one", "\x01\x01a\x01\x01", websocket.ErrFragmentExpected},
		{"5.4", "binary inside an empty fragmented message", "\x01\x00\x82\x00", websocket.ErrFragmentExpected},
		{"5.5", "ping of 126 bytes", "\x89\x7e\x00\x7e", websocket.ErrControlTooLong},
		{"5.5", "pong of 126 bytes", "\x8a\x7e\x00\x7e", websocket.ErrControlTooLong},
		{"5.5", "close of 64 KiB", "\x88\x7f\x00\x00\x00\x00\x00\x01\x00\x00", websocket.ErrControlTooLong},
		{"5.5", "fragmented ping", "\x09\x01", websocket.ErrControlFragmented},
		{"5.5", "fragmented pong", "\x0a\x00", websocket.ErrControlFragmented},
		{"5.5", "fragmented close", "\x08\x00", websocket.ErrControlFragmented},
		{"5.5", "fragmented ping inside a fragmented message", "\x01\x01a\x09\x00", websocket.ErrControlFragmented},
		{"5.5.1", "close body of one byte", "\x88\x01\x03", websocket.ErrCloseBody},
		{"5.5.1", "close reason not UTF-8", "\x88\x03\x03\xe8\xff", websocket.ErrCloseReasonNotUTF8},
		{"5.5.1", "close reason cut in a character", "\x88\x04\x03\xe8\xe2\x82", websocket.ErrCloseReasonNotUTF8},
		{"7.4.1", "close code 1005", "\x88\x02\x03\xed", websocket.ErrCloseCode},
		{"7.4.1", "close code 1006 inside a message", "\x01\x01a\x88\x02\x03\xee", websocket.ErrCloseCode},
		{"7.4.2", "close code 999", "\x88\x02\x03\xe7", websocket.ErrCloseCode},
		{"8.1", "text not UTF-8", "\x81\x05a\xff", websocket.ErrTextNotUTF8},
		{"8.1", "text ends in a character", "\x81\x02a\xe2", websocket.ErrTextNotUTF8},
		{"8.1", "fragmented text ends in an empty fragment", "\x01\x02a\xe2\x80\x00", websocket.ErrTextNotUTF8},
	}
	for first := range 1 << 8 {
		op, fin, rsv := ws.OpCode(first&0xf), first&0x80 != 0, first&0x70 != 0
		stream := string([]byte{byte(first), 0})
		if op == ws.OpContinuation {
			stream = "\x01\x00" + stream
		}
		switch {
		case op.IsReserved():
			rows = append(rows, violation{"5.2", fmt.Sprintf("reserved opcode, first byte %#x", first), stream, websocket.ErrReservedOpCode})
		case rsv && (fin || !op.IsControl()):
			rows = append(rows, violation{"5.2", fmt.Sprintf("reserved bits, first byte %#x", first), stream, websocket.ErrReservedBits})
		}
	}
	return rows
}

// asClient masks the frames of a stream, of which the last may be unfinished.
func asClient(stream string) (masked []byte) {
	key := mask
	for b := []byte(stream); len(b) > 0; {
		header, length := 2, int(b[1])
		switch length {
		case 126:
			header, length = 4, int(binary.BigEndian.Uint16(b[2:]))
		case 127:
			header, length = 10, int(binary.BigEndian.Uint64(b[2:]))
		}
		payload := b[header:]
		if length >= 0 && length < len(payload) {
			payload = payload[:length]
		}
		b = b[header+len(payload):]
		masked = append(masked, stream[len(stream)-len(b)-len(payload)-header:][:header]...)
		masked[len(masked)-header+1] |= 0x80
		masked = append(masked, key[:]...)
		start := len(masked)
		masked = append(masked, payload...)
		ws.Cipher(masked[start:], key, 0)
	}
	return masked
}

// TestReaderViolations has both ends read what breaks a rule of RFC 6455 (5.1,
// 5.2, 5.3, 5.4, 5.5, 5.5.1, 5.8, 6.2, 7.4.1, 7.4.2, 8.1, 10.4 and 10.7): at once
// and byte by byte, where it is refused with the byte that breaks it.
func TestReaderViolations(t *testing.T) {
	for _, v := range violations() {
		t.Run(v.section+" "+v.name, func(t *testing.T) {
			checkRefused(t, client, []byte(v.stream), v.want)
			checkRefused(t, server, asClient(v.stream), v.want)
		})
	}
	// Masking is the one rule that differs between the two ends.
	for _, v := range []violation{
		{"5.1", "frame", "\x81\x01", nil},
		{"5.1", "empty frame", "\x81\x00", nil},
		{"5.1", "fragment", "\x01\x01", nil},
		{"5.1", "ping", "\x89\x00", nil},
		{"5.1", "close", "\x88\x00", nil},
		{"5.1", "frame of 64 KiB", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", nil},
	} {
		t.Run(v.section+" masking of a "+v.name, func(t *testing.T) {
			checkRefused(t, server, []byte(v.stream), websocket.ErrMaskRequired)
			checkRefused(t, client, asClient(v.stream), websocket.ErrMaskUnexpected)
		})
	}
}

// checkRefused reads a stream whose last byte, or a byte of the mask that ends
// it, breaks a rule.
func checkRefused(t *testing.T, c *websocket.ReaderConfig, stream []byte, want *websocket.CloseError) {
	t.Helper()
	if _, err := read(t, c, stream); err != error(want) {
		t.Errorf("client is %t, at once: got %v, want %v", c.Client, err, want)
	}
	if _, err := read(t, c, each(stream)...); err != error(want) {
		t.Errorf("client is %t, byte by byte: got %v, want %v", c.Client, err, want)
	}
	earlier := stream[:len(stream)-1]
	if !c.Client && want != websocket.ErrMaskRequired {
		earlier = stream[:max(0, len(stream)-1-len(mask))]
	}
	if _, err := read(t, c, earlier); err != nil {
		t.Errorf("client is %t: already %d bytes before the end: %v", c.Client, len(stream)-len(earlier), err)
	}
	var refused *websocket.CloseError
	code := ws.StatusCode(1002)
	switch want {
	case websocket.ErrTextNotUTF8, websocket.ErrCloseReasonNotUTF8:
		code = 1007
	case websocket.ErrMessageTooBig:
		code = 1009
	}
	if !errors.As(error(want), &refused) || refused.Code != code {
		t.Errorf("close code %d, want %d", refused.Code, code)
	}
}

// TestReaderLengths reads every form of the length, both ways (RFC 6455, 5.2
// and 6.2).
func TestReaderLengths(t *testing.T) {
	for _, length := range lengths {
		payload := make([]byte, length)
		c := websocket.ReaderConfig{MaxMessage: 1 << 20}
		for c.Client = range map[bool]bool{false: true, true: true} {
			stream := websocket.AppendFrame(nil, ws.OpBinary, payload)
			if !c.Client {
				stream = websocket.AppendMaskedFrame(nil, ws.OpBinary, payload, mask)
			}
			for name, chunks := range map[string][][]byte{"at once": {stream}, "byte by byte": each(stream)} {
				got, err := read(t, &c, chunks...)
				if err != nil || len(got) != 1 || got[0] != (message{ws.OpBinary, string(payload)}) {
					t.Errorf("%d bytes, client is %t, %s: %d messages, %v", length, c.Client, name, len(got), err)
				}
			}
		}
	}
}

// TestReaderCloseCodes is RFC 6455, 7.4, 7.4.1 and 7.4.2, with IANA's later
// codes, and 7.1.5 and 7.1.6: what is read from a close frame's body.
func TestReaderCloseCodes(t *testing.T) {
	valid := func(code int) bool {
		return 1000 <= code && code <= 1003 || 1007 <= code && code <= 1014 || 3000 <= code && code <= 4999
	}
	for code := range 1 << 16 {
		body := string([]byte{byte(code >> 8), byte(code)}) + "bye"
		got, err := read(t, server, []byte(frame(ws.OpClose, body)))
		if !valid(code) {
			if !errors.Is(err, websocket.ErrCloseCode) {
				t.Errorf("%d: got %v", code, err)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0] != (message{ws.OpClose, body}) {
			t.Errorf("%d: got %v, %v", code, got, err)
		}
		if c, reason, err := websocket.ParseClose([]byte(body)); int(c) != code || string(reason) != "bye" || err != nil {
			t.Errorf("%d: ParseClose gives %d %q %v", code, c, reason, err)
		}
	}
	if code, reason, err := websocket.ParseClose(nil); code != 1005 || len(reason) != 0 || err != nil {
		t.Errorf("empty body: %d %q %v", code, reason, err)
	}
	if _, _, err := websocket.ParseClose([]byte{3}); err != error(websocket.ErrCloseBody) {
		t.Errorf("body of one byte: %v", err)
	}
}

// TestCloseCodesOnTheWire asks for every code there may be: those that must not
// be sent, 1005, 1006 and 1015 among them, give a frame without a code (RFC 6455,
// 7.1.2, 7.4.1 and 7.4.2).
func TestCloseCodesOnTheWire(t *testing.T) {
	for code := range 1 << 16 {
		may := 1000 <= code && code <= 1003 || 1007 <= code && code <= 1014 || 3000 <= code && code <= 4999
		want := ""
		if may {
			want = string([]byte{byte(code >> 8), byte(code)}) + "bye"
		}
		plain := websocket.AppendClose(nil, ws.StatusCode(code), "bye")
		if got := string(plain[2:]); got != want || int(plain[1]) != len(want) {
			t.Errorf("%d: a server's frame % x", code, plain)
		}
		masked := websocket.AppendMaskedClose(nil, ws.StatusCode(code), "bye", [4]byte{})
		if got := string(masked[6:]); got != want || int(masked[1]) != 0x80|len(want) {
			t.Errorf("%d: a client's frame % x", code, masked)
		}
	}
}
