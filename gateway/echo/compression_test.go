package echo_test

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/echo"
)

// deflatingClient is a client that has agreed on compression.
type deflatingClient struct {
	*rawClient
	agreed deflate.Params
	out    bytes.Buffer
	w      *flate.Writer
}

// connectDeflating offers compression, which must be agreed on.
func connectDeflating(tb testing.TB, server *echo.Server, offer deflate.Params) *deflatingClient {
	tb.Helper()
	c := &deflatingClient{rawClient: dial(tb, server)}
	request := websocket.Request{Host: "localhost", Path: "/", Deflate: &offer}
	c.send(request.Append(nil, key))
	head := c.head()
	hs, err := request.Check(head, key)
	if err != nil || !hs.Deflates {
		tb.Fatalf("%+v was answered with %q, %v", offer, head, err)
	}
	c.agreed = hs.Deflate
	if c.w, err = flate.NewWriterWindow(&c.out, 1<<c.agreed.ClientWindow()); err != nil {
		tb.Fatal(err)
	}
	return c
}

// head reads a response's head as it is.
func (c *rawClient) head() (head []byte) {
	c.Helper()
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		b, err := c.in.ReadByte()
		if err != nil {
			c.Fatal(err)
		}
		head = append(head, b)
	}
	return head
}

// compress is the payload of the client's next message, with its context if that
// was agreed on.
func (c *deflatingClient) compress(message []byte) []byte {
	c.out.Reset()
	if c.agreed.ClientNoContext {
		c.w.Reset(&c.out)
	}
	_, _ = c.w.Write(message)
	_ = c.w.Flush()
	return bytes.TrimSuffix(bytes.Clone(c.out.Bytes()), []byte("\x00\x00\xff\xff"))
}

// compressedFrame is a client's frame that is a whole compressed message.
func compressedFrame(op ws.OpCode, payload []byte) []byte {
	frame := websocket.AppendMaskedFrame(nil, op, payload, ws.NewMask())
	frame[0] |= ws.Rsv(true, false, false) << 4
	return frame
}

// frames are a compressed message in frames of size bytes; 0: in one.
func (c *deflatingClient) frames(op ws.OpCode, message []byte, size int) (stream []byte) {
	payload := c.compress(message)
	if size == 0 {
		return compressedFrame(op, payload)
	}
	for first := true; first || len(payload) > 0; first = false {
		part := payload[:min(size, len(payload))]
		payload = payload[len(part):]
		start := len(stream)
		stream = websocket.AppendMaskedFragment(stream, op, len(payload) == 0, part, ws.NewMask())
		if first {
			stream[start] |= 0x40
		}
		op = ws.OpContinuation
	}
	return stream
}

// expectMessage reads one message, compressed or not, which must be this one.
func (c *deflatingClient) expectMessage(op ws.OpCode, message []byte) (compressed bool) {
	c.Helper()
	h, got, err := c.frame()
	if err != nil {
		c.Fatalf("read frame: %v", err)
	}
	if !h.Fin || h.Masked || h.Rsv&^4 != 0 || h.OpCode != op {
		c.Fatalf("header %+v, payload %.60q, want a whole frame with opcode %d", h, got, op)
	}
	if compressed = h.Rsv != 0; compressed {
		whole := append(got, "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
		if got, err = io.ReadAll(stdflate.NewReader(bytes.NewReader(whole))); err != nil {
			c.Fatalf("inflate: %v", err)
		}
	}
	if !bytes.Equal(got, message) {
		c.Fatalf("message of %d bytes %.60q, want %d bytes %.60q", len(got), got, len(message), message)
	}
	return compressed
}

// dataKinds of data: what repeats, what does not compress, and text.
var dataKinds = []struct {
	name string
	op   ws.OpCode
	data []byte
}{
	{"repetitive", ws.OpBinary, bytes.Repeat([]byte{0, 1, 2, 3, 4, 5, 6, 7}, 16<<10)},
	{"random", ws.OpBinary, noise(128 << 10)},
	{"text", ws.OpText, []byte(strings.Repeat("Τὸ ξίφος, {\"symbol\":\"EURUSD\"} 1.07134; ", 4000)[:128<<10])},
}

// TestCompressedMessages is what the Autobahn suite's section 12 checks:
// messages of 16 bytes to 128 KiB of all dataKinds, in one frame and in many
// (RFC 7692, 6.1 and 6.2).
func TestCompressedMessages(t *testing.T) {
	t.Parallel()
	server := serve(t, echo.Config{Compression: true})
	for _, kind := range dataKinds {
		for _, frame := range []int{0, 1, 256, 1 << 10, 4 << 10, 32 << 10} {
			t.Run(fmt.Sprintf("%s in frames of %d", kind.name, frame), func(t *testing.T) {
				t.Parallel()
				c := connectDeflating(t, server, deflate.Params{ClientBits: deflate.AnyBits})
				for _, size := range []int{0, 1, 16, 64, 256, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10} {
					if frame == 1 && size > 4<<10 {
						break
					}
					message := kind.data[:size]
					if kind.op == ws.OpText {
						message = bytes.ToValidUTF8(message, nil)
					}
					stream := c.frames(kind.op, message, frame)
					go func() { _, _ = c.Write(stream) }()
					compressed := c.expectMessage(kind.op, message)
					if want := kind.name != "random" && size >= 256; compressed != want && size >= 256 {
						t.Errorf("%d bytes are compressed: %t", size, compressed)
					}
				}
			})
		}
	}
}

// TestCompressionParameters is what section 13 checks, with every combination
// of parameters (RFC 7692, 6, 6.1, 6.2, 7.1.1.1 and 7.1.2.1): a conversation in
// which messages refer to those before, plain ones and pings among them.
func TestCompressionParameters(t *testing.T) {
	t.Parallel()
	server := serve(t, echo.Config{Compression: true})
	windows := []uint8{0, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, serverBits := range windows {
		t.Run(fmt.Sprint("server window ", serverBits), func(t *testing.T) {
			t.Parallel()
			for _, clientBits := range append(windows, deflate.AnyBits) {
				for flags := range 4 {
					offer := deflate.Params{ServerNoContext: flags&1 != 0, ClientNoContext: flags&2 != 0, ServerBits: serverBits, ClientBits: clientBits}
					c := connectDeflating(t, server, offer)
					if c.agreed.ClientNoContext != offer.ClientNoContext || !c.agreed.ServerNoContext || c.agreed.ServerBits != serverBits {
						t.Errorf("%+v was answered with %+v", offer, c.agreed)
					}
					c.converse()
					c.Close()
				}
			}
		})
	}
}

// converse sends messages one after the other, all at once, and reads the echoes.
func (c *deflatingClient) converse() {
	c.Helper()
	text := dataKinds[2].data
	var stream []byte
	for i := range 6 {
		message := bytes.ToValidUTF8(text[i*100:i*100+700*(i+1)], nil)
		stream = append(stream, c.frames(ws.OpText, message, []int{0, 100}[i%2])...)
		stream = append(stream, masked(ws.OpPing, "between")...)
		stream = append(stream, masked(ws.OpBinary, "plain")...)
	}
	c.send(stream)
	for i := range 6 {
		c.expectMessage(ws.OpText, bytes.ToValidUTF8(text[i*100:i*100+700*(i+1)], nil))
		c.expect(ws.OpPong, []byte("between"))
		c.expect(ws.OpBinary, []byte("plain"))
	}
	c.send(closing(ws.StatusNormalClosure, ""))
	c.expectClose(ws.StatusNormalClosure)
	c.expectEnd()
}

// TestSeveralOffers takes the first that is right (RFC 7692, 5 and 7).
func TestSeveralOffers(t *testing.T) {
	server := serve(t, echo.Config{Compression: true})
	for offers, want := range map[string]string{
		"permessage-deflate; server_max_window_bits=9; server_no_context_takeover, permessage-deflate": "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
		"permessage-deflate; server_max_window_bits=7, permessage-deflate; client_max_window_bits":     "permessage-deflate; server_no_context_takeover; client_max_window_bits=15",
		"x-webkit-deflate-frame": "",
	} {
		c := dial(t, server)
		request := websocket.Request{Host: "localhost", Path: "/", Headers: []websocket.Header{{Name: "Sec-WebSocket-Extensions", Value: offers}}}
		c.send(request.Append(nil, key))
		if got := c.response().Header.Get("Sec-WebSocket-Extensions"); got != want {
			t.Errorf("%q was answered with %q, want %q", offers, got, want)
		}
	}
	c := dial(t, serve(t, echo.Config{}))
	request := websocket.Request{Host: "localhost", Path: "/", Deflate: &deflate.Params{}}
	c.send(request.Append(nil, key))
	if got := c.response().Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("without compression, an offer was answered with %q", got)
	}
}

// TestLargeCompressed echoes what is at the limit, and closes above it.
func TestLargeCompressed(t *testing.T) {
	t.Parallel()
	server := serve(t, echo.Config{Compression: true})
	zeros := make([]byte, echo.DefaultMaxMessage+1)
	c := connectDeflating(t, server, deflate.Params{})
	stream := c.frames(ws.OpBinary, zeros[1:], 0)
	go func() { _, _ = c.Write(stream) }()
	if !c.expectMessage(ws.OpBinary, zeros[1:]) {
		t.Error("the echo is not compressed")
	}
	bomb := c.frames(ws.OpBinary, zeros, 0)
	c.send(bomb)
	c.expectClose(ws.StatusMessageTooBig)
	c.expectEnd()
}

// TestBombsYield sends messages that become very large: others have their turn
// between them, and all are echoed.
func TestBombsYield(t *testing.T) {
	t.Parallel()
	const count = 12
	server := serve(t, echo.Config{Compression: true})
	c, witness := connectDeflating(t, server, deflate.Params{ClientNoContext: true}), connect(t, server)
	zeros := make([]byte, 3<<19)
	c.send(bytes.Repeat(c.frames(ws.OpBinary, zeros, 0), count))
	for range 3 {
		witness.send(masked(ws.OpText, "still there?"))
		witness.expect(ws.OpText, []byte("still there?"))
	}
	for range count {
		c.expectMessage(ws.OpBinary, zeros)
	}
	c.send(closing(ws.StatusNormalClosure, ""))
	c.expectClose(ws.StatusNormalClosure)
}

// TestCorruptCompressed sends what does not inflate, or not to UTF-8 (RFC 7692,
// 6.1).
func TestCorruptCompressed(t *testing.T) {
	server := serve(t, echo.Config{Compression: true})
	for name, tt := range map[string]struct {
		payload string
		code    ws.StatusCode
	}{
		"corrupt": {"\xff\xff", 1007}, "empty": {"", 1007}, "cut off": {"\xf2\x48\xcd", 1007}, "something behind": {"\xf2\x48\xcd\xc9\xc9\x07\x00\xff", 1007},
	} {
		t.Run(name, func(t *testing.T) {
			c := connectDeflating(t, server, deflate.Params{})
			c.TB = t
			c.send(compressedFrame(ws.OpText, []byte(tt.payload)))
			c.expectClose(tt.code)
			c.expectEnd()
		})
	}
	c := connectDeflating(t, server, deflate.Params{})
	c.send(c.frames(ws.OpText, []byte("a\xff"), 0))
	c.expectClose(ws.StatusInvalidFramePayloadData)
	c.expectEnd()
}
