package websocket_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// textFrame is one frame of a text message; the first of a message opens it.
type textFrame struct {
	fin     bool
	payload string
}

// layOut writes the frames, masked or not, and finds by trial the byte with which
// the message can no longer become valid UTF-8: the last one of a header if that
// announces the end too early. failsAt is -1 if the message is valid.
func layOut(frames []textFrame, masked bool) (stream []byte, failsAt int) {
	failsAt = -1
	text, op := "", ws.OpText
	for _, f := range frames {
		if masked {
			stream = websocket.AppendMaskedFragment(stream, op, f.fin, []byte(f.payload), mask)
		} else {
			stream = websocket.AppendFragment(stream, op, f.fin, []byte(f.payload))
		}
		payloadAt := len(stream) - len(f.payload)
		for i := range len(f.payload) + 1 { // 0 stands for the header alone
			room := utf8.UTFMax
			if f.fin {
				room = len(f.payload) - i
			}
			if failsAt < 0 && !canBecomeValid(text+f.payload[:i], room) {
				failsAt = payloadAt + i - 1
			}
		}
		text, op = text+f.payload, ws.OpContinuation
	}
	return stream, failsAt
}

// endings complete any character that can be completed at all.
var endings = []string{"", "\x80", "\x80\x80", "\x80\x80\x80", "\x90\x80", "\x90\x80\x80", "\xa0\x80", "\xa0\x80\x80"}

// canBecomeValid tells whether room bytes behind text can make it valid UTF-8.
func canBecomeValid(text string, room int) bool {
	return slices.ContainsFunc(endings, func(end string) bool { return len(end) <= room && utf8.ValidString(text+end) })
}

// framings are the ways in which a text is cut into frames.
func framings(text string) map[string][]textFrame {
	ways := map[string][]textFrame{"one frame": {{true, text}}}
	var each []textFrame
	for i := range len(text) {
		each = append(each, textFrame{i == len(text)-1, text[i : i+1]})
	}
	ways["a frame for each byte"] = each
	open := slices.Clone(each)
	open[len(open)-1].fin = false
	ways["an empty frame behind"] = append(open, textFrame{true, ""})
	for at := 1; at < len(text); at++ {
		ways["two frames, the second from "+text[at:]] = []textFrame{{false, text[:at]}, {true, text[at:]}}
	}
	return ways
}

// checkEarliest feeds every framing of text to both ends, byte by byte and
// whole.
func checkEarliest(t *testing.T, text string) {
	t.Helper()
	for way, frames := range framings(text) {
		for _, c := range []*websocket.ReaderConfig{server, client} {
			stream, want := layOut(frames, !c.Client)
			var r websocket.Reader
			got := -1
			for i := range stream {
				one := [1]byte{stream[i]}
				_, _, ok, err := r.Next(one[:], c)
				if err != nil && !errors.Is(err, websocket.ErrTextNotUTF8) {
					t.Fatalf("%q in %s: %v", text, way, err)
				}
				if err != nil {
					got = i
					break
				}
				if ok != (i == len(stream)-1) {
					t.Fatalf("%q in %s: a message at byte %d of %d", text, way, i, len(stream))
				}
			}
			r.Release()
			if got != want {
				t.Errorf("%q in %s, client is %t: refused at byte %d of % x, want %d", text, way, c.Client, got, stream, want)
			}
			if _, err := read(t, c, stream); (err != nil) != (want >= 0) {
				t.Errorf("%q in %s, in one read: %v", text, way, err)
			}
		}
	}
}

// TestTextFailsAtTheEarliestByte: a text message is refused with exactly the
// byte behind which nothing can make it valid, neither later nor earlier, across
// frames and reads, and with the header that ends it inside a character (RFC
// 6455, 8.1 and 5.6).
func TestTextFailsAtTheEarliestByte(t *testing.T) {
	for _, text := range []string{
		"\xff", "a\x80", "\xc0", "\xc1\xbf", "\xc3\xc3", "\xc3a", "\xe0\x80\x80", "\xe0\x9f", "\xe2\x82a", "\xe2\xe2",
		"\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf0\x8f", "\xf0\x9f\x98a", "\xf0\x9fa", "\xf4\x90", "\xf5", "a\xe2\x82", "a\xf0\x9f\x98",
		"κόσμε\xed\xa0\x80edited", strings.Repeat("€", 50) + "\x80", strings.Repeat("x", 300) + "\xf4\x8f\xbf\xc0", "añ€😀", "😀\xf0\x9f",
	} {
		checkEarliest(t, text)
	}
}

// TestTextFailsAtTheEarliestByteExhaustively has every sequence of up to four of
// the bytes at which RFC 3629's table changes, as far as it is valid up to its
// last byte (RFC 6455, 8.1).
func TestTextFailsAtTheEarliestByteExhaustively(t *testing.T) {
	const edges = "a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff"
	var try func(text string)
	try = func(text string) {
		for i := range len(edges) {
			longer := text + edges[i:i+1]
			checkEarliest(t, longer)
			// Behind a complete character everything begins anew.
			if len(longer) < utf8.UTFMax && !utf8.ValidString(longer) && canBecomeValid(longer, utf8.UTFMax) {
				try(longer)
			}
		}
	}
	try("")
}
