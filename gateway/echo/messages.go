package echo

import (
	"errors"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
)

// handledPerTurn is how many bytes of frames of one session are handled at a time.
// frameCost is what a frame counts besides its bytes. Compressed messages may be much
// longer than a read, or much work.
const (
	handledPerTurn = 1 << 20
	frameCost      = 256
)

// echo handles the frames in p while the peer takes the answers and the turn
// lasts.
func (s *session) echo(p []byte) {
	handled, now := 0, s.shard.loop.Now()
	if !s.reader.Pending() {
		s.since = now
	}
	for len(p) > 0 && s.unsent.Len() <= MaxUnsent && handled <= handledPerTurn {
		msg, n, ok, err := s.reader.Next(p, s.config)
		p = p[n:]
		if err != nil {
			s.violated(err)
			return
		}
		handled += frameCost + n
		if !ok {
			continue
		}
		handled += len(msg.Payload)
		if s.windowBits > 0 {
			handled += websocket.InflateCost
		}
		s.answer(msg)
		if s.phase != open {
			return
		}
		s.reader.Recycle()
		if !s.reader.Pending() {
			s.since = now // what is unfinished behind it began with this read
		}
	}
	s.sendBatch()
	switch {
	case s.phase != open:
	case s.unsent.Len() > MaxUnsent:
		s.keep(p)
		s.enter(stalled)
	case len(p) > 0:
		s.keep(p)
		s.enter(yielded)
	}
}

// answer replies to one message. Afterwards the session may have left open.
func (s *session) answer(msg websocket.Message) {
	switch msg.Op {
	case ws.OpText, ws.OpBinary:
		s.addData(msg)
	case ws.OpPing:
		s.addMessage(websocket.Message{Op: ws.OpPong, Payload: msg.Payload}, false)
	case ws.OpClose:
		code, _, _ := websocket.ParseClose(msg.Payload) // valid, or Next had failed
		s.hangUp(code, "")
	}
}

// violated ends the session for what the peer did wrong. The answers to what
// came before leave first.
func (s *session) violated(err error) {
	var violation *websocket.CloseError
	if !errors.As(err, &violation) {
		s.hangUp(ws.StatusInternalServerError, "")
		return
	}
	s.hangUp(violation.Code, violation.Reason)
}

// goOn reads from the peer again. What was kept comes first.
func (s *session) goOn() {
	kept := s.kept
	s.kept = nil
	s.since = s.shard.loop.Now()
	s.enter(open)
	if kept != nil {
		s.echo(kept.B)
		bytebufferpool.Put(kept)
	}
	s.noteInput()
}

// addData is addMessage for a message that may be compressed.
func (s *session) addData(msg websocket.Message) {
	if s.windowBits > 0 {
		if payload, ok := s.shard.compression.compress(msg.Payload, s.windowBits); ok {
			s.addMessage(websocket.Message{Op: msg.Op, Payload: payload}, true)
			return
		}
	}
	s.addMessage(msg, false)
}

// addMessage puts a message's frame into the shard's batch. A frame that does not fit
// is sent from where it lies, in one call with the batch. compressed tells whether its
// payload is compressed.
func (s *session) addMessage(msg websocket.Message, compressed bool) {
	sh := s.shard
	header := websocket.AppendHeader
	if compressed {
		header = websocket.AppendCompressedHeader
	}
	size := websocket.HeaderSize(len(msg.Payload)) + len(msg.Payload)
	if len(sh.batch)+size <= cap(sh.batch) {
		sh.batch = append(header(sh.batch, msg.Op, len(msg.Payload)), msg.Payload...)
		return
	}
	if len(sh.batch)+ws.MaxHeaderSize > cap(sh.batch) {
		s.sendBatch()
		if s.phase == ended {
			return
		}
	}
	sh.batch = header(sh.batch, msg.Op, len(msg.Payload))
	s.sendBatchWith(msg)
}

// add puts bytes into the shard's batch. They must not be more than it holds.
func (s *session) add(p []byte) {
	sh := s.shard
	if len(sh.batch)+len(p) > cap(sh.batch) {
		s.sendBatch()
	}
	sh.batch = append(sh.batch, p...)
}

// sendBatch sends the replies gathered so far.
func (s *session) sendBatch() { s.sendBatchWith(websocket.Message{}) }

// sendBatchWith sends the replies gathered so far and the payload of msg behind
// them. If the connection broke, the session has ended.
func (s *session) sendBatchWith(msg websocket.Message) {
	batch := s.shard.batch
	s.shard.batch = batch[:0]
	if s.phase == ended || len(batch)+len(msg.Payload) == 0 {
		return
	}
	sent, err := 0, error(nil)
	// Only with nothing waiting may bytes pass the Unsent by.
	if s.unsent.Len() == 0 && len(msg.Payload) > 0 {
		sent, err = s.conn.SendVectors([][]byte{batch, msg.Payload})
	}
	if err == nil && sent < len(batch) {
		err = s.unsent.Send(&s.conn, batch[sent:])
	}
	if sent = max(sent-len(batch), 0); err == nil && sent < len(msg.Payload) {
		err = s.wait(msg, sent)
	}
	if err != nil {
		s.end(err)
	}
}

// wait lets the unsent bytes of msg's payload wait for the peer. A payload that was
// gathered is not copied: its buffer waits.
func (s *session) wait(msg websocket.Message, sent int) error {
	if gathered := s.reader.TakePayload(msg); gathered != nil {
		return s.unsent.Give(&s.conn, gathered, sent, websocket.FreePayload)
	}
	return s.unsent.Send(&s.conn, msg.Payload[sent:])
}
