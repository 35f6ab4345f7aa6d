package echo

import (
	"cmp"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/poller"
)

// messageChecks is how many times an unfinished message is looked at within its
// timeout. The message may last one such part longer.
const messageChecks = 4

var errInputFull = &websocket.HandshakeError{
	Status: http.StatusServiceUnavailable, Reason: "input_full", Message: "too many requests are unfinished; try again later",
}

// inputMemory is what the unfinished input of all clients of a server holds, in
// bytes. Any goroutine may use it.
type inputMemory struct {
	limit  int64
	held   atomic.Int64
	shards []*shard // each ends some of its clients while too much is held
}

// add counts n bytes more.
func (m *inputMemory) add(n int) {
	if held := m.held.Add(int64(n)); held > m.limit && held-int64(n) <= m.limit {
		for _, sh := range m.shards {
			sh.loop.Wake()
		}
	}
}

// noteInput counts what is held of the session's input now.
func (s *session) noteInput() {
	n := s.reader.PendingBytes()
	if s.kept != nil {
		n += cap(s.kept.B)
	}
	if n != s.heldBytes {
		s.shard.input.add(n - s.heldBytes)
		s.shard.heldBytes += int64(n - s.heldBytes)
		s.heldBytes = n
	}
}

// Swept implements poller.Handler. The time in which the session is not read does
// not count.
func (s *session) Swept() {
	if timeout := s.shard.messageTimeout; s.phase == open && s.reader.Pending() && s.shard.loop.Now()-s.since >= timeout {
		s.hangUp(ws.StatusPolicyViolation, "message unfinished for too long")
	}
}

// relieve ends the sessions of this shard whose unfinished input has held the most for
// the longest, while all together hold too much and this shard has its part of that. It
// stops when a sixteenth of the limit is free, so that not every message ends a
// session.
func (sh *shard) relieve() (busy bool) {
	memory := sh.input
	if memory.held.Load() <= memory.limit || sh.heldBytes == 0 {
		return false
	}
	if sh.heldBytes*int64(len(memory.shards)) < memory.held.Load() {
		return true // others have more
	}
	type weighed struct {
		session *session
		weight  int64
	}
	var holders []weighed
	now := sh.loop.Now()
	sh.loop.EachConn(func(h poller.Handler) {
		if s := h.(*session); s.heldBytes > 0 {
			holders = append(holders, weighed{s, int64(s.heldBytes) * int64((now-s.since)/time.Millisecond+1)})
		}
	})
	slices.SortFunc(holders, func(a, b weighed) int { return cmp.Compare(b.weight, a.weight) })
	for _, holder := range holders {
		if memory.held.Load() <= memory.limit-memory.limit/16 {
			return false
		}
		holder.session.giveUp()
	}
	return false
}

// giveUp ends the session so that what it holds is free.
func (s *session) giveUp() {
	switch s.phase {
	case handshaking:
		s.refuse(errInputFull)
	case open, stalled, yielded:
		s.hangUp(websocket.StatusTryAgainLater, "too many unfinished messages")
	}
}
