package echo

import (
	"errors"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
)

// echo handles the messages in p while the peer takes the answers.
func (s *session) echo(p []byte) {
	for len(p) > 0 && s.unsent.Len() <= MaxUnsent {
		msg, n, ok, err := s.reader.Next(p, &s.shard.reader)
		p = p[n:]
		if err != nil {
			s.violated(err)
			return
		}
		if !ok {
			break
		}
		s.answer(msg)
		if s.phase != open {
			return
		}
		s.reader.Recycle()
	}
	s.sendBatch()
	if s.phase == open && s.unsent.Len() > MaxUnsent {
		s.keep(p)
		s.enter(stalled)
	}
}

// answer replies to one message. Afterwards the session may have left open.
func (s *session) answer(msg websocket.Message) {
	switch msg.Op {
	case ws.OpText, ws.OpBinary:
		s.addFrame(msg.Op, msg.Payload)
	case ws.OpPing:
		s.addFrame(ws.OpPong, msg.Payload)
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

// goOn reads from a stalled peer again once it has read half of what it may
// leave unread, so that it does not stall again at once. What was kept comes
// first.
func (s *session) goOn() {
	if s.unsent.Len() > MaxUnsent/2 {
		return
	}
	kept := s.kept
	s.kept = nil
	s.enter(open)
	if kept != nil {
		s.echo(kept.B)
		bytebufferpool.Put(kept)
	}
}

// addFrame puts a frame into the shard's batch. One that does not fit in it is
// sent from where it lies, in one call with what is before it.
func (s *session) addFrame(op ws.OpCode, payload []byte) {
	sh := s.shard
	size := websocket.HeaderSize(len(payload)) + len(payload)
	if len(sh.batch)+size <= cap(sh.batch) {
		sh.batch = websocket.AppendFrame(sh.batch, op, payload)
		return
	}
	if len(sh.batch)+ws.MaxHeaderSize > cap(sh.batch) {
		s.sendBatch()
		if s.phase == ended {
			return
		}
	}
	sh.batch = websocket.AppendHeader(sh.batch, op, len(payload))
	s.sendBatchWith(payload)
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
func (s *session) sendBatch() { s.sendBatchWith(nil) }

// sendBatchWith sends the replies gathered so far and p behind them. If the
// connection broke, the session has ended.
func (s *session) sendBatchWith(p []byte) {
	batch := s.shard.batch
	s.shard.batch = batch[:0]
	if s.phase == ended || len(batch)+len(p) == 0 {
		return
	}
	// Only with nothing waiting may bytes pass the Unsent by.
	if s.unsent.Len() == 0 && len(p) > 0 {
		n, err := s.conn.SendVectors([][]byte{batch, p})
		if err != nil {
			s.end(err)
			return
		}
		sent := min(n, len(batch))
		batch, p = batch[sent:], p[n-sent:]
	}
	for _, b := range [...][]byte{batch, p} {
		if len(b) == 0 {
			continue
		}
		if err := s.unsent.Send(&s.conn, b); err != nil {
			s.end(err)
			return
		}
	}
}
