package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
)

// Refusals of clients for which a [settings.Decider] has not decided in time, and of
// clients for which it cannot be asked now.
var (
	ErrUndecided = &websocket.HandshakeError{
		Status: http.StatusRequestTimeout, Reason: "undecided", Message: "it was not decided in time whether you may connect; try again later",
	}
	// ErrDeciderFailed refuses a client about which the decider has not decided, but panicked.
	ErrDeciderFailed = &websocket.HandshakeError{
		Status: http.StatusInternalServerError, Reason: "decider_failed", Message: "it could not be decided whether you may connect; try again later",
	}
	ErrDecisionsFull = &websocket.HandshakeError{
		Status: http.StatusServiceUnavailable, Reason: "decisions_full", Message: "too many clients wait for the decision whether they may connect; try again later",
	}
)

// decision is whether one client may connect, while something else decides about it. The
// goroutine that asks the decider writes refusal and failure before it posts the decision back
// to the shard; everything else is the shard's.
type decision struct {
	session *session // that waits; nil once it does not
	request settings.ConnectRequest
	answer  []byte // to an accepted request
	ctx     context.Context
	cancel  context.CancelFunc
	refusal *settings.Refusal
	failure string // what the decider has panicked with
}

// size is about how many bytes it holds; d may be nil.
func (d *decision) size() int {
	if d == nil {
		return 0
	}
	return cap(d.answer) + d.request.Size()
}

// end is for a client that does not wait any more. The decision may still be under way,
// and will find no session.
func (d *decision) end() {
	d.session = nil
	d.cancel()
}

// startDeciding asks the decider about a request that the gateway accepts as hs. The
// answer is in the reply buffer. If too many requests wait, the refusal is returned.
func (c *session) startDeciding(decider *settings.Decider, head []byte, hs websocket.Handshake) (refused *websocket.HandshakeError) {
	s, all := c.shard, c.shard.shared
	answer := s.replies
	s.replies = s.replies[:0]
	if all.Admission.deciding.Add(1) > int64(decider.AtOnce) {
		all.Admission.deciding.Add(-1)
		s.replies = websocket.AppendRefusalRetry(s.replies, ErrDecisionsFull, s.retryLater())
		return ErrDecisionsFull
	}
	d := &decision{session: c, answer: bytes.Clone(answer), request: settings.NewConnectRequest(head, hs, c.remote())}
	left := all.Settings.Config().HandshakeTimeout - c.opened.since(s.Loop.Now())
	d.ctx, d.cancel = context.WithTimeout(all.Running, left)
	c.held = &heldInput{waits: waitDecision, decision: d}
	c.moveTo(sessionDeciding)
	go func() {
		defer s.Post(func() { s.decided.Push(d) })
		d.ask(decider)
	}()
	return nil
}

// ask asks the decider. It is not the gateway's own code: if it panics, or ends its
// goroutine, one client is refused and nothing else is harmed.
func (d *decision) ask(decider *settings.Decider) {
	d.failure = "the goroutine has ended"
	defer func() {
		if failure := recover(); failure != nil {
			d.failure = fmt.Sprint(failure)
		}
	}()
	d.refusal = decider.Decide(d.ctx, d.request)
	d.failure = ""
}

// early keeps what a client sends before its request is answered. The client is not
// read again until then, so each tick checks whether its connection has ended.
func (c *session) early(p []byte) {
	if len(p) == 0 {
		return
	}
	c.pause(p, waitDecision)
	c.shard.early.Push(c.held.decision)
}

// endEarly closes clients that sent something before their answer and have gone.
func (s *Shard) endEarly() {
	for range s.early.Len() {
		d := s.early.Pop()
		switch c := d.session; {
		case c == nil:
		case c.conn.PeerGone():
			c.conn.Close(errClientClosed)
		default:
			s.early.Push(d)
		}
	}
}

// takeDecisions answers clients for which there is a decision, for one time slice, and
// returns whether there are more.
func (s *Shard) takeDecisions() (busy bool) {
	if s.decided.Len() == 0 {
		return false
	}
	for end := s.Loop.Refresh() + limits.ResumeSlice; s.decided.Len() > 0 && s.Loop.Refresh() < end; {
		d := s.decided.Pop()
		s.shared.Admission.deciding.Add(-1)
		if c := d.session; c != nil && c.conn.Open() {
			c.decided(d)
		}
	}
	return s.decided.Len() > 0
}

// decided ends the wait for a decision. One that comes too late does not count.
func (c *session) decided(d *decision) {
	s := c.shard
	switch err := d.ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		c.refuseHandshake(ErrUndecided)
	case err != nil: // the gateway stops, and closes it
	case s.drain != drainNot:
		c.refuseHandshake(ErrDraining)
	case d.failure != "":
		if key := (stats.IncidentKey{Metric: stats.MetricHandshakes, Label: ErrDeciderFailed.Reason}); s.Samples.Wants(key) {
			s.Samples.Keep(key, slog.String("address", c.address()), slog.String("panic", stats.Clip(d.failure)))
		}
		c.refuseHandshake(ErrDeciderFailed)
	case d.refusal != nil:
		refused := s.shared.Settings.Config().Decider.Response(d.refusal)
		s.replies = websocket.AppendRefusalWith(s.replies, refused, d.refusal.Header)
		c.handshakeRefused(refused)
	default:
		s.replies = append(s.replies, d.answer...)
		c.open([]byte(d.request.Origin))
		c.Resume() // with what it sent early
	}
}
