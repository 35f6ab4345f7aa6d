package websocket_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// chop cuts b into chunks of the sizes that cuts names in turn.
func chop(b, cuts []byte) (chunks [][]byte) {
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(cuts) > 0 {
			n = min(1+int(cuts[i%len(cuts)]), len(b))
		}
		chunks, b = append(chunks, b[:n]), b[n:]
	}
	return chunks
}

// naive reads a whole stream with gobwas/ws and the rules written out, the
// Reader's oracle. broken tells that the stream violates them.
func naive(stream []byte, c *websocket.ReaderConfig) (got []message, broken bool) {
	side := ws.StateServerSide
	if c.Client {
		side = ws.StateClientSide
	}
	var whole message
	s := side
	for in := bytes.NewReader(stream); ; {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return got, errors.Is(err, ws.ErrHeaderLengthMSB)
		}
		if ws.CheckHeader(h, s) != nil || !minimal(stream[:len(stream)-in.Len()], h) ||
			h.OpCode.IsData() && h.Length > int64(c.MaxMessage-len(whole.payload)) {
			return got, true
		}
		payload := make([]byte, min(h.Length, int64(in.Len())))
		if n, _ := io.ReadFull(in, payload); int64(n) < h.Length {
			return got, false
		}
		if h.Masked {
			ws.Cipher(payload, h.Mask, 0)
		}
		if h.OpCode.IsControl() {
			if h.OpCode == ws.OpClose && !validClose(payload) {
				return got, true
			}
			got = append(got, message{h.OpCode, string(payload)})
			continue
		}
		if h.OpCode != ws.OpContinuation {
			whole = message{op: h.OpCode}
		}
		whole.payload += string(payload)
		s = side | ws.StateFragmented
		if whole.op == ws.OpText && !beginsText(whole.payload, h.Fin) {
			return got, true
		}
		if h.Fin {
			got = append(got, whole)
			whole, s = message{}, side
		}
	}
}

// beginsText tells whether s is UTF-8, but for an incomplete last character if
// it is not the end.
func beginsText(s string, end bool) bool {
	for len(s) > 0 {
		if r, n := utf8.DecodeRuneInString(s); r == utf8.RuneError && n == 1 {
			return !end && !utf8.FullRuneInString(s)
		} else {
			s = s[n:]
		}
	}
	return true
}

// minimal tells whether the header that ends read has the size that gobwas/ws
// gives it, which is the smallest.
func minimal(read []byte, h ws.Header) bool {
	var b bytes.Buffer
	if err := ws.WriteHeader(&b, h); err != nil {
		return false
	}
	return bytes.HasSuffix(read, b.Bytes())
}

func validClose(body []byte) bool {
	if len(body) == 0 {
		return true
	}
	if len(body) == 1 || !utf8.Valid(body[2:]) {
		return false
	}
	code, _ := ws.ParseCloseFrameData(body)
	return code < 5000 && (ws.CheckCloseFrameData(code, "") == nil || 1012 <= code && code <= 1014)
}

func FuzzReader(f *testing.F) {
	stream, _ := conversation()
	f.Add(stream, []byte{0}, false)
	f.Add(stream, []byte{2, 0, 7}, false)
	f.Add(unmasked(f, stream), []byte{5}, true)
	for _, s := range []string{
		"\x81\x01a", "\xc1\x80mask", "\x89\xfe\x00\x7emask", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask",
		"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00m",
		frame(ws.OpClose, "\x03\xec"), frame(ws.OpText, "\xed\xa0\x80"),
		fragment(ws.OpText, false, "\xf7") + frame(ws.OpPing, ""),
		fragment(ws.OpText, false, "\xf0\x9f") + frame(ws.OpPing, "") + frame(ws.OpContinuation, "\x98\x80"),
	} {
		f.Add([]byte(s), []byte{0}, false)
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte, asClient bool) {
		c := &websocket.ReaderConfig{MaxMessage: 200, Client: asClient}
		whole, wholeErr := read(t, c, stream)
		chunked, chunkedErr := read(t, c, chop(stream, cuts)...)
		if !slices.Equal(whole, chunked) || wholeErr != chunkedErr {
			t.Fatalf("whole: %q, %v; in chunks: %q, %v", whole, wholeErr, chunked, chunkedErr)
		}
		want, broken := naive(stream, c)
		if !slices.Equal(whole, want) {
			t.Fatalf("got %q, want %q", whole, want)
		}
		if broken && wholeErr == nil {
			t.Fatal("the violation was let pass")
		}
		// The Reader may be earlier: with text that is not complete, and with a
		// length whose mask is not there yet.
		if _, broken = naive(append(bytes.Clone(stream), 0, 0, 0, 0), c); !broken && wholeErr != nil && wholeErr != error(websocket.ErrTextNotUTF8) {
			t.Fatalf("refused without a reason: %v", wholeErr)
		}
	})
}

// FuzzRoundTrip frames a payload in fragments with pings between them and reads
// it back in chunks.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), []byte{1}, []byte{0}, true)
	f.Add([]byte(strings.Repeat("€", 100)), []byte{3, 50}, []byte{2}, false)
	f.Add(bytes.Repeat([]byte{0xff}, 400), []byte{255, 0}, []byte{255}, false)
	f.Fuzz(func(t *testing.T, payload, sizes, cuts []byte, text bool) {
		if len(payload) > 4<<10 {
			t.Skip("long payloads only make the search slow")
		}
		op := ws.OpBinary
		if text && utf8.Valid(payload) {
			op = ws.OpText
		}
		var masked, plain []byte
		var want []message
		first := op
		for _, part := range chop(payload, sizes) {
			masked = websocket.AppendMaskedFragment(masked, first, false, part, mask)
			masked = websocket.AppendMaskedFrame(masked, ws.OpPing, nil, mask)
			plain = websocket.AppendFragment(plain, first, false, part)
			plain = websocket.AppendFrame(plain, ws.OpPing, nil)
			want = append(want, message{ws.OpPing, ""})
			first = ws.OpContinuation
		}
		masked = websocket.AppendMaskedFragment(masked, first, true, nil, mask)
		plain = websocket.AppendFragment(plain, first, true, nil)
		want = append(want, message{op, string(payload)})

		for _, side := range []struct {
			stream []byte
			client bool
		}{{masked, false}, {plain, true}} {
			c := &websocket.ReaderConfig{MaxMessage: len(payload), Client: side.client}
			got, err := read(t, c, chop(side.stream, cuts)...)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("client %t: got %q, %v", side.client, got, err)
			}
		}
	})
}

func FuzzUpgrade(f *testing.F) {
	for _, s := range []string{
		head(get), head("GET /ws?a=b HTTP/1.1", "Origin: http://example.com"), head("GET http://a:1/ws HTTP/1.1"),
		head(get, "Connection: keep-alive, Upgrade", "Sec-WebSocket-Protocol: x, fleetcast.v1"),
		head(get, "Host: [::1]:80", "Content-Length: 0"), head(get, "X: a", " b"), head("POST / HTTP/1.0"), "\n", "x\r\n\r\n",
		head(get, "Transfer-Encoding: chunked"), "\r\n" + head(get), "\r\n\r\n", "\x16\x03\x01",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, tooEarly := websocket.RequestLength(b, 0, websocket.MaxHandshake)
		for i := range b[:min(len(b), 300)] {
			m, refused := websocket.RequestLength(b[:i], 0, websocket.MaxHandshake)
			if m != 0 && m != n || m > i || refused != nil && refused != tooEarly {
				t.Fatalf("RequestLength of %d bytes is %d, %v, of all %d, %v", i, m, refused, n, tooEarly)
			}
			if m != 0 || refused != nil {
				break
			}
			if rest, late := websocket.RequestLength(b, i, websocket.MaxHandshake); rest != n || late != tooEarly {
				t.Fatalf("RequestLength is %d, %v behind %d bytes, else %d, %v", rest, late, i, n, tooEarly)
			}
		}
		out, hs, err := upgrader.Upgrade(nil, b[:n])
		res, resErr := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
		if resErr != nil {
			t.Fatalf("%v in %q", resErr, out)
		}
		if err != nil {
			var refused *websocket.HandshakeError
			if !errors.As(err, &refused) || res.StatusCode != refused.Status {
				t.Fatalf("%v, but the response says %d", err, res.StatusCode)
			}
			return
		}
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(websocket.TrimEmptyLine(b[:n]))))
		if err != nil {
			t.Fatalf("net/http refuses what was accepted: %v", err)
		}
		checkAgainst(t, q, hs)
		request := websocket.Request{Subprotocols: upgrader.Subprotocols}
		if _, err := request.Check(out, websocket.Key([]byte(q.Header.Get("Sec-WebSocket-Key")))); err != nil {
			t.Fatal(err)
		}
	})
}

// checkAgainst compares an accepted request with what net/http makes of it.
func checkAgainst(t *testing.T, q *http.Request, hs websocket.Handshake) {
	t.Helper()
	names := strings.Join(q.Header.Values("Sec-WebSocket-Protocol"), ",")
	offered := slices.ContainsFunc(strings.Split(names, ","), func(s string) bool { return strings.Trim(s, " \t") == hs.Subprotocol })
	switch {
	case q.Method != "GET" || q.URL.Path != "/ws" || q.ProtoMajor != 1 || q.ProtoMinor < 1:
		t.Fatalf("accepted %s %s %s", q.Method, q.URL.Path, q.Proto)
	case q.ContentLength != 0 || len(q.TransferEncoding) > 0:
		t.Fatalf("accepted a body of %d", q.ContentLength)
	case q.Header.Get("Sec-WebSocket-Version") != "13" || len(q.Header.Values("Sec-WebSocket-Key")) != 1:
		t.Fatalf("accepted %v", q.Header)
	case q.Host != string(hs.Host) || q.URL.RawQuery != string(hs.Query) || q.Header.Get("Origin") != string(hs.Origin):
		t.Fatalf("got %q %q %q, net/http %q %q %q", hs.Host, hs.Query, hs.Origin, q.Host, q.URL.RawQuery, q.Header.Get("Origin"))
	case hs.Subprotocol != "" && !offered:
		t.Fatalf("%q was not offered in %q", hs.Subprotocol, names)
	}
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		answer(), answer("Sec-WebSocket-Protocol: fleetcast.v1"), answer("Connection: a, upgrade") + "\x81\x00",
		"HTTP/1.1 403 Forbidden\r\n\r\nno", "HTTP/1.1 101\r\n\r\n", "x\r\n\r\n", "\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		request := websocket.Request{Subprotocols: []string{v1}}
		hs, err := request.Check(b, sampleKey)
		if err != nil {
			var failed *websocket.ResponseError
			if !errors.As(err, &failed) || hs.Subprotocol != "" || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Fatalf("%+v, %q", hs, err)
			}
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			t.Fatalf("net/http refuses what was accepted: %v", err)
		}
		if res.StatusCode != 101 || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") ||
			res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
			res.Header.Get("Sec-WebSocket-Protocol") != hs.Subprotocol {
			t.Fatalf("accepted %+v", res)
		}
	})
}
