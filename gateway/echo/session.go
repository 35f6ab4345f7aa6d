package echo

import (
	"errors"
	"time"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
	"fleetcast/poller"
)

// Why a session is cut off.
var (
	errPeerStuck = errors.New("echo: the peer does not read our last words")
	errPeerStays = errors.New("echo: the peer does not hang up")
	errNoRequest = errors.New("echo: the peer hung up before its request was complete")
)

// phase is what a session is at. It only moves down this list, but for stalled
// and yielded, which go back to open.
//
//	handshaking -> open       the request was accepted
//	handshaking -> flushing   it was refused
//	open        -> stalled    too much waits for the peer: it is not read from
//	stalled     -> open       it has read
//	open        -> yielded    much of its input was handled in one turn
//	yielded     -> open       the next turn has come
//	open        -> flushing   close frame, violation, peer's FIN or shutdown
//	stalled     -> flushing   shutdown, also of one that has yielded
//	flushing    -> lingering  all was sent, and a FIN behind it
//	flushing    -> ended      all was sent to a peer that had hung up before
//	lingering   -> ended      the peer hung up or its time was up
//	any         -> ended      the connection broke
//
// What arrives while flushing or lingering is read and thrown away: bytes left
// unread would turn the close into a reset, which destroys our last words on
// their way (RFC 6455, 7.1.1).
type phase uint8

const (
	handshaking phase = iota // the request head is being gathered
	open                     // messages are echoed
	stalled                  // like open, but reading is paused
	yielded                  // the same, until the next turn
	flushing                 // our last words wait
	lingering                // our FIN was sent, the peer's is awaited
	ended                    // given up
)

// session is one connection. It belongs to its shard's loop.
type session struct {
	conn   poller.Conn
	shard  *shard
	reader websocket.Reader
	config *websocket.ReaderConfig // of the reader: whether messages may be compressed
	unsent poller.Unsent
	// kept holds input that cannot be handled yet: the beginning of a request
	// head, or, while stalled or yielded, what came behind the last message.
	kept       *bytebufferpool.ByteBuffer
	phase      phase
	windowBits uint8         // for what is sent compressed; 0: nothing is
	peerHungUp bool          // the peer's FIN was read
	heldBytes  int           // of unfinished input, as counted for all sessions
	since      time.Duration // when the unfinished input began, or we began to read the session again; the loop's time
}

// enter is the one place where the phase changes.
func (s *session) enter(next phase) {
	s.phase = next
	switch next {
	case open:
		s.conn.ResumeReading()
	case stalled:
		s.conn.PauseReading()
	case yielded:
		s.conn.PauseReading()
		s.shard.yielding = append(s.shard.yielding, s)
	case flushing:
		s.dropInput()
		s.conn.ResumeReading()
	case lingering:
		s.conn.CloseWrite()
		s.shard.lingers.Add(s, s.shard.loop.Now())
	}
}

// end gives the connection up.
func (s *session) end(err error) {
	s.enter(ended)
	s.conn.Close(err)
}

// Received implements poller.Handler.
func (s *session) Received(p []byte) {
	if s.phase == handshaking {
		p = s.shakeHands(p)
	}
	if s.phase == open && len(p) > 0 {
		s.echo(p)
	}
	s.noteInput()
}

// PeerClosed implements poller.Handler. A peer that has only shut its sending
// side down still gets what waits for it.
func (s *session) PeerClosed() {
	s.peerHungUp = true
	switch s.phase {
	case handshaking:
		s.end(errNoRequest)
	case open, stalled, yielded:
		s.finish()
	case lingering:
		s.end(nil)
	}
}

func (s *session) Writable() {
	if err := s.unsent.Flush(&s.conn); err != nil {
		s.end(err)
		return
	}
	switch s.phase {
	case stalled:
		// Once half of what may wait has left, so that it does not stall again at once.
		if s.unsent.Len() <= MaxUnsent/2 {
			s.goOn()
		}
	case flushing:
		s.settle()
	}
}

func (s *session) Closed(error) {
	s.phase = ended // the poller may have closed it of its own accord
	s.dropInput()
	s.unsent.Release()
	s.shard.stopIfDrained()
}

// goAway ends the session because the server does.
func (s *session) goAway() {
	switch s.phase {
	case handshaking:
		s.refuse(errShuttingDown)
	case open, stalled, yielded:
		s.hangUp(ws.StatusGoingAway, "server is shutting down")
	}
}

// hangUp makes a close frame our last words.
func (s *session) hangUp(code ws.StatusCode, reason string) {
	var frame [ws.MaxControlFramePayloadSize + ws.MinHeaderSize]byte
	s.add(websocket.AppendClose(frame[:0], code, reason))
	s.finish()
}

// finish sends what the shard's batch holds as our last words. What the peer
// still sends counts no more.
func (s *session) finish() {
	s.sendBatch()
	if s.phase == ended {
		return
	}
	s.enter(flushing)
	s.settle()
	if s.phase == flushing {
		s.shard.flushes.Add(flush{s, s.unsent.Len()}, s.shard.loop.Now())
	}
}

// settle goes on from flushing when nothing waits any more.
func (s *session) settle() {
	switch {
	case s.unsent.Len() > 0:
	case s.peerHungUp:
		s.end(nil)
	default:
		s.enter(lingering)
	}
}

// checkProgress cuts a flushing session off if its peer has taken nothing since
// left bytes waited. One that reads slowly is left its time.
func (s *session) checkProgress(left int) {
	now := s.unsent.Len()
	if now == left {
		s.conn.Reset()
		s.end(errPeerStuck)
		return
	}
	s.shard.flushes.Add(flush{s, now}, s.shard.loop.Now())
}

// keep copies input that has to wait.
func (s *session) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if s.kept == nil {
		s.kept = bytebufferpool.Get()
	}
	s.kept.B = append(s.kept.B, p...)
}

// dropInput gives back all that is kept of the peer's bytes.
func (s *session) dropInput() {
	s.reader.Release()
	if s.kept != nil {
		bytebufferpool.Put(s.kept)
		s.kept = nil
	}
	s.noteInput()
}
