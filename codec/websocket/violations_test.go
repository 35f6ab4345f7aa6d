package websocket_test

import (
	"errors"
	"fmt"
	"testing"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// TestReaderViolations has a row for each rule of RFC 6455 that a peer can
// break, by its section. Each row is read whole and byte by byte.
func TestReaderViolations(t *testing.T) {
	tests := []struct {
		section, name string
		client        bool
		stream        string
		want          *websocket.CloseError
	}{
		{"5.1", "client's frame unmasked", false, "\x81\x01a", websocket.ErrMaskRequired},
		{"5.1", "client's empty frame unmasked", false, "\x81\x00", websocket.ErrMaskRequired},
		{"5.1", "client's control frame unmasked", false, "\x89\x00", websocket.ErrMaskRequired},
		{"5.1", "server's frame masked", true, frame(ws.OpText, "a"), websocket.ErrMaskUnexpected},
		{"5.2", "RSV1", false, "\xc1\x80mask", websocket.ErrReservedBits},
		{"5.2", "RSV2", false, "\xa1\x80mask", websocket.ErrReservedBits},
		{"5.2", "RSV3", false, "\x91\x80mask", websocket.ErrReservedBits},
		{"5.2", "RSV1 on a control frame", false, "\xc9\x80mask", websocket.ErrReservedBits},
		{"5.2", "RSV1 on a continuation", false, fragment(ws.OpText, false, "a") + "\xc0\x80mask", websocket.ErrReservedBits},
		{"5.2", "16-bit length of 125", false, "\x82\xfe\x00\x7dmask", websocket.ErrLengthNotMinimal},
		{"5.2", "16-bit length of 0", false, "\x82\xfe\x00\x00mask", websocket.ErrLengthNotMinimal},
		{"5.2", "64-bit length of 65535", false, "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xffmask", websocket.ErrLengthNotMinimal},
		{"5.2", "64-bit length of 1", false, "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01mask", websocket.ErrLengthNotMinimal},
		{"5.2", "64-bit length with the high bit", false, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask", websocket.ErrLengthHighBit},
		{"5.2", "largest 64-bit length", false, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", websocket.ErrMessageTooBig},
		{"5.4", "continuation first", false, frame(ws.OpContinuation, "a"), websocket.ErrContinuation},
		{"5.4", "continuation after a whole message", false, frame(ws.OpText, "a") + frame(ws.OpContinuation, "a"), websocket.ErrContinuation},
		{"5.4", "continuation after the last fragment", false,
			fragment(ws.OpText, false, "a") + frame(ws.OpContinuation, "b") + frame(ws.OpContinuation, "c"), websocket.ErrContinuation},
		{"5.4", "text inside a fragmented message", false, fragment(ws.OpText, false, "a") + frame(ws.OpText, "b"), websocket.ErrFragmentExpected},
		{"5.4", "binary inside an empty fragmented message", false, fragment(ws.OpText, false, "") + frame(ws.OpBinary, ""), websocket.ErrFragmentExpected},
		{"5.5", "ping of 126 bytes", false, "\x89\xfe\x00\x7emask", websocket.ErrControlTooLong},
		{"5.5", "close of 64 KiB", false, "\x88\xff\x00\x00\x00\x00\x00\x01\x00\x00mask", websocket.ErrControlTooLong},
		{"5.5", "fragmented ping", false, fragment(ws.OpPing, false, "a"), websocket.ErrControlFragmented},
		{"5.5", "fragmented close", false, fragment(ws.OpClose, false, ""), websocket.ErrControlFragmented},
		{"5.5.1", "close body of one byte", false, frame(ws.OpClose, "\x03"), websocket.ErrCloseBody},
		{"5.5.1", "close reason not UTF-8", false, frame(ws.OpClose, "\x03\xe8\xff"), websocket.ErrCloseReasonNotUTF8},
		{"5.5.1", "close reason cut in a character", false, frame(ws.OpClose, "\x03\xe8\xe2\x82"), websocket.ErrCloseReasonNotUTF8},
		{"8.1", "text not UTF-8", false, frame(ws.OpText, "a\xff"), websocket.ErrTextNotUTF8},
		{"8.1", "text ends in a character", false, frame(ws.OpText, "a\xe2\x82"), websocket.ErrTextNotUTF8},
		{"8.1", "fragmented text ends in a character", false,
			fragment(ws.OpText, false, "a\xe2") + frame(ws.OpContinuation, "\x82"), websocket.ErrTextNotUTF8},
		{"8.1", "fragmented text ends in an empty fragment", false,
			fragment(ws.OpText, false, "a\xe2") + frame(ws.OpContinuation, ""), websocket.ErrTextNotUTF8},
		{"8.1", "surrogate", false, frame(ws.OpText, "\xed\xa0\x80"), websocket.ErrTextNotUTF8},
		{"8.1", "overlong", false, frame(ws.OpText, "\xc0\xaf"), websocket.ErrTextNotUTF8},
		{"8.1", "beyond U+10FFFF", false, frame(ws.OpText, "\xf4\x90\x80\x80"), websocket.ErrTextNotUTF8},
	}
	for _, op := range []byte{0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		tests = append(tests, struct {
			section, name string
			client        bool
			stream        string
			want          *websocket.CloseError
		}{"5.2", fmt.Sprintf("opcode %#x", op), false, string([]byte{0x80 | op, 0x80}) + "mask", websocket.ErrReservedOpCode})
	}

	wantCode := map[*websocket.CloseError]ws.StatusCode{
		websocket.ErrTextNotUTF8:        1007,
		websocket.ErrCloseReasonNotUTF8: 1007,
		websocket.ErrMessageTooBig:      1009,
	}
	for _, tt := range tests {
		t.Run(tt.section+" "+tt.name, func(t *testing.T) {
			c := server
			if tt.client {
				c = client
			}
			code, ok := wantCode[tt.want]
			if !ok {
				code = 1002
			}
			for name, chunks := range map[string][][]byte{"whole": {[]byte(tt.stream)}, "byte by byte": each([]byte(tt.stream))} {
				_, err := read(t, c, chunks...)
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: got %v, want %v", name, err, tt.want)
				}
				var refused *websocket.CloseError
				if errors.As(err, &refused) && refused.Code != code {
					t.Errorf("%s: close code %d, want %d", name, refused.Code, code)
				}
			}
		})
	}
}

// TestReaderCloseCodes is RFC 6455, 7.4, with IANA's later codes.
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
