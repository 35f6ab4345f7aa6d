package echo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
)

const kosme = "κόσμε"

// validTexts are those of Markus Kuhn's decoder test that are UTF-8, by the
// number that Autobahn gives them.
var validTexts = map[string][]string{
	"6.1, empty":                      {""},
	"6.2, long":                       {"Hello-µ@ßöäüàá-UTF-8!!"},
	"6.5, samples":                    {"hello$world", "hello¢world", "hello€world", "hello𤭢world", kosme},
	"6.7, first of each length":       {"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"},
	"6.9, last of each length":        {"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"},
	"6.11, other boundaries":          {"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"},
	"6.22, noncharacters":             noncharacters(),
	"6.23, specials":                  {"\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"},
	"8.1, a byte order mark and NULs": {"\ufeffa\x00b"},
}

// noncharacters are the last two code points of each plane; UTF-8 has them.
func noncharacters() (texts []string) {
	for plane := rune(0); plane <= 16; plane++ {
		texts = append(texts, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return texts
}

// invalidTexts are those that are not.
var invalidTexts = map[string][]string{
	"6.3, surrogate within a text":      {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"},
	"6.6, prefixes":                     invalidPrefixes(kosme),
	"6.8, first of five and six bytes":  {"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"},
	"6.10, last of four, five and six":  {"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"},
	"6.11, U+110000":                    {"\xf4\x90\x80\x80"},
	"6.12, unexpected continuations":    continuations(),
	"6.13, lonely starts":               lonelyStarts(),
	"6.14, last byte missing":           incomplete(),
	"6.15, incomplete ones in a row":    {strings.Join(incomplete(), "")},
	"6.16, impossible bytes":            {"\xfe", "\xff", "\xfe\xfe\xff\xff"},
	"6.17, overlong slash":              {"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"},
	"6.18, longest overlong":            {"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"},
	"6.19, overlong NUL":                {"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"},
	"6.20, single surrogates":           {"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"},
	"6.21, paired surrogates":           pairedSurrogates(),
	"8.1, invalid behind a long text":   {strings.Repeat("long ", 200) + "\xff"},
	"8.1, incomplete behind a long one": {strings.Repeat("€", 200) + "\xe2\x82"},
}

func invalidPrefixes(text string) (texts []string) {
	for i := range text {
		for cut := i + 1; cut < len(text) && !utf8.RuneStart(text[cut]); cut++ {
			texts = append(texts, text[:cut])
		}
	}
	return texts
}

func continuations() []string {
	texts := []string{"\x80", "\xbf"}
	for n := 2; n <= 7; n++ {
		texts = append(texts, strings.Repeat("\x80\xbf", n)[:n])
	}
	var all []byte
	for c := 0x80; c <= 0xbf; c++ {
		all = append(all, byte(c))
	}
	return append(texts, string(all))
}

func lonelyStarts() (texts []string) {
	for _, span := range [][2]int{{0xc0, 0xdf}, {0xe0, 0xef}, {0xf0, 0xf7}, {0xf8, 0xfb}, {0xfc, 0xfd}} {
		var b []byte
		for c := span[0]; c <= span[1]; c++ {
			b = append(b, byte(c), ' ')
		}
		texts = append(texts, string(b))
	}
	return texts
}

func incomplete() []string {
	return []string{"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf"}
}

func pairedSurrogates() (texts []string) {
	for _, high := range []string{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf"} {
		texts = append(texts, high+"\xed\xb0\x80", high+"\xed\xbf\xbf")
	}
	return texts
}

// inFragments is text in fragments of so many bytes; an empty one has one frame.
func inFragments(text string, size int) (frames []string) {
	op := ws.OpText
	for chunk := range slices.Chunk([]byte(text), size) {
		frames = append(frames, part(op, false, string(chunk)))
		op = ws.OpContinuation
	}
	return append(frames, part(op, true, ""))
}

// TestConformanceText: what is UTF-8 comes back, what is not closes with 1007, in
// one frame and with each byte in a fragment (RFC 6455, 5.6 and 8.1).
func TestConformanceText(t *testing.T) {
	exchanges := []exchange{
		{"6.1.2, three empty fragments", inFragments("", 1), echoed(""), 0},
		{"6.1.3, text between empty fragments", []string{part(ws.OpText, false, ""), part(ws.OpContinuation, false, "middle"),
			part(ws.OpContinuation, true, "")}, echoed("middle"), 0},
		{"6.2.2, fragments between characters", []string{part(ws.OpText, false, "Hello-µ@ßöä"),
			part(ws.OpContinuation, true, "üàá-UTF-8!!")}, echoed("Hello-µ@ßöäüàá-UTF-8!!"), 0},
		{"a binary need not be UTF-8", []string{frame(ws.OpBinary, "\xff\xc0\x80")}, []heard{{ws.OpBinary, "\xff\xc0\x80"}}, 0},
	}
	for name, texts := range validTexts {
		for i, text := range texts {
			exchanges = append(exchanges,
				exchange{fmt.Sprintf("%s, number %d", name, i), []string{frame(ws.OpText, text)}, echoed(text), 0},
				exchange{fmt.Sprintf("%s, number %d in bytes", name, i), inFragments(text, 1), echoed(text), 0})
		}
	}
	for name, texts := range invalidTexts {
		for i, text := range texts {
			exchanges = append(exchanges,
				exchange{fmt.Sprintf("%s, number %d", name, i), []string{frame(ws.OpText, "good"), frame(ws.OpText, text)}, echoed("good"), 1007},
				exchange{fmt.Sprintf("%s, number %d in bytes", name, i), inFragments(text, 1), nil, 1007})
		}
	}
	run(t, exchanges)
}

// TestConformanceTextFailsFast: the close frame comes while the rest of the
// message has not been sent (RFC 6455, 8.1, and 7.1.7).
func TestConformanceTextFailsFast(t *testing.T) {
	const bad = "\xf4\x90\x80\x80"
	// unfinished is the start of a frame with text in it and 100 bytes to come.
	unfinished := func(op ws.OpCode, fin bool, text string) string {
		whole := websocket.AppendMaskedFragment(nil, op, fin, []byte(text+strings.Repeat("z", 100)), ws.NewMask())
		return string(whole[:len(whole)-100])
	}
	run(t, []exchange{
		{"6.4.1, an invalid fragment", []string{part(ws.OpText, false, kosme), part(ws.OpContinuation, false, bad)}, nil, 1007},
		{"6.4.2, the second byte in a fragment of its own",
			[]string{part(ws.OpText, false, kosme+bad[:1]), part(ws.OpContinuation, false, bad[1:2])}, nil, 1007},
		{"6.4.3, an invalid piece of a frame", []string{unfinished(ws.OpText, true, kosme+bad)}, nil, 1007},
		{"6.4.4, up to the second byte", []string{unfinished(ws.OpText, true, kosme+bad[:2])}, nil, 1007},
		{"a piece of a fragment", []string{part(ws.OpText, false, "\xe0"), unfinished(ws.OpContinuation, false, "\x80")}, nil, 1007},
		{"an empty last fragment", []string{part(ws.OpText, false, "\xe2\x82"), "\x80\x80mask"}, nil, 1007},
		{"the header of a last fragment that is too short", []string{part(ws.OpText, false, "\xf0\x9f"), "\x80\x81mask"}, nil, 1007},
		{"two bytes before the end", []string{"\x81\x83\x00\x00\x00\x00a\xf0"}, nil, 1007},
	})
}
