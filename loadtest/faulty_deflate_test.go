package loadtest_test

import (
	"bytes"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

// compression is a way to compress events.
type compression struct {
	answer string // to the offer
	// context has each message refer to those before it.
	context bool
	window  int // bytes; 0: 32 KiB
	pieces  int // frames of a message, the last of which is empty; 0: one
}

var (
	withoutContext = compression{answer: "permessage-deflate; server_no_context_takeover"}
	withContext    = compression{answer: "permessage-deflate", context: true}
	smallContext   = compression{answer: "permessage-deflate; server_max_window_bits=9", context: true, window: 512}
	inFragments    = compression{answer: withoutContext.answer, pieces: 3}
)

// deflating is the compressor of one connection. Its methods run under the
// server's lock.
type deflating struct {
	*compression
	out    bytes.Buffer
	writer *flate.Writer
}

func (c *compression) agree() *deflating {
	d := &deflating{compression: c}
	var err error
	if c.window > 0 {
		d.writer, err = flate.NewWriterWindow(&d.out, c.window)
	} else {
		d.writer, err = flate.NewWriter(&d.out, flate.BestSpeed)
	}
	if err != nil {
		panic(err)
	}
	return d
}

// frames is a message's: one of plain text if d is nil.
func (d *deflating) frames(message []byte) []byte {
	if d == nil {
		return text(message)
	}
	payload := d.compress(message)
	if d.pieces == 0 {
		return websocket.AppendCompressedFrame(nil, ws.OpText, payload)
	}
	const rsv1 = 0x40
	size := len(payload) / (d.pieces - 1)
	frames := websocket.AppendFragment(nil, ws.OpText, false, payload[:size])
	frames[0] |= rsv1
	for rest := payload[size:]; len(rest) > 0; {
		n := min(size, len(rest))
		frames = websocket.AppendFragment(frames, ws.OpContinuation, false, rest[:n])
		rest = rest[n:]
	}
	return websocket.AppendFragment(frames, ws.OpContinuation, true, nil)
}

func (d *deflating) compress(message []byte) []byte {
	d.out.Reset()
	if !d.context {
		d.writer.Reset(&d.out)
	}
	d.writer.Write(message)
	d.writer.Flush()
	return bytes.Clone(bytes.TrimSuffix(d.out.Bytes(), []byte("\x00\x00\xff\xff")))
}
