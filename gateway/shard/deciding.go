package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
)

// Refusals of clients about which it was not decided in time, and of clients about which
// nothing can be decided now.
var (
	ErrUndecided = &websocket.HandshakeError{
		Status: http.StatusRequestTimeout, Reason: "undecided", Message: "it was not decided in time whether you may connect; try again later",
	}
	// ErrDeciderFailed refuses a client about which a [settings.Decider] has not decided, but panicked.
	ErrDeciderFailed = &websocket.HandshakeError{
		Status: http.StatusInternalServerError, Reason: "decider_failed", Message: "it could not be decided whether you may connect; try again later",
	}
	ErrDecisionsFull = &websocket.HandshakeError{
		Status: http.StatusServiceUnavailable, Reason: "decisions_full", Message: "too many clients wait for the decision whether they may connect; try again later",
	}
)

// decision is who one client is, while that is found out elsewhere. The goroutine that asks
// the authority writes outcome and failure before it posts the decision back to the shard;
// everything else is the shard's.
type decision struct {
	session  *session // that waits; nil once it does not
	question authority.Question
	ctx      context.Context
	cancel   context.CancelFunc
	// authority decides, and outcome is what. If it is nil, decide asks others.
	authority *authority.Authority
	decide    func()
	outcome   authority.Outcome
	failure   string        // what the authority has panicked with
	counted   *limits.Crowd // what it counts in until it is back
	from      netip.Addr    // under which address

	// Of a request to connect:
	answer []byte // to an accepted request
	at     place  // of its token
	// Of a command:
	after  func(*session, authority.Outcome) // goes on with it
	asking *asking                           // if subscribe hooks are asked
}

// size is about how many bytes it holds; d may be nil.
func (d *decision) size() int {
	if d == nil {
		return 0
	}
	n := cap(d.answer) + d.question.Size()
	if d.asking != nil {
		n += d.asking.bytes
	}
	return n
}

// end is for a client that does not wait any more. The decision may still be under way,
// and will find no session.
func (d *decision) end() {
	d.session = nil
	d.cancel()
}

// startDeciding asks the authority about a request that the gateway accepts as hs. The
// answer is in the reply buffer. If too many wait, the refusal is returned.
func (c *session) startDeciding(a *authority.Authority, head []byte, hs websocket.Handshake, shown shown) (refused *websocket.HandshakeError) {
	s := c.shard
	answer, from := s.replies, c.remote()
	s.replies = s.replies[:0]
	d := &decision{
		question: authority.Question{Client: from, Connecting: true, Left: shown.left},
		answer:   bytes.Clone(answer), at: shown.at,
	}
	if shown.left != nil {
		d.question.Request.Origin = string(hs.Origin)
	} else {
		d.question.Token, d.question.Request = string(shown.token), settings.NewConnectRequest(head, hs, from)
	}
	d.askAuthority(a, s.shared)
	left := s.shared.Settings.Config().HandshakeTimeout - c.opened.since(s.Loop.Now())
	if !c.wait(d, a.Waiting, left) {
		s.replies = websocket.AppendRefusalRetry(s.replies, ErrDecisionsFull, s.retryLater())
		return ErrDecisionsFull
	}
	c.moveTo(sessionDeciding)
	return nil
}

// askAuthority has the authority decide.
func (d *decision) askAuthority(a *authority.Authority, all *Shared) {
	d.counted, d.authority = &all.Admission.deciding, a
}

// begin has the authority decide, if that takes no goroutine that waits.
func (d *decision) begin(s *Shard) bool {
	return d.authority != nil && d.authority.Begin(d.ctx, &d.question, func(o authority.Outcome) {
		d.outcome = o
		d.back(s)
	})
}

// back posts the decision to its shard.
func (d *decision) back(s *Shard) { s.Post(func() { s.decided.Push(d) }) }

// identifyThen asks the authority for a command; see decideThen.
func (c *session) identifyThen(a *authority.Authority, question authority.Question, after func(*session, authority.Outcome)) {
	d := &decision{question: question, after: after}
	d.askAuthority(a, c.shard.shared)
	c.decideThen(d, a.Waiting)
}

// decideThen has a command of an open session wait for a decision, and calls after with the
// outcome, on the shard's goroutine. The client is not read until then, so its replies keep
// their order. If more than limit wait, after is called at once.
func (c *session) decideThen(d *decision, limit int) {
	if !c.wait(d, limit, c.shard.shared.Settings.Config().HandshakeTimeout) {
		d.after(c, authority.Outcome{Refusal: &authority.Refusal{Reason: ErrDecisionsFull.Reason, Message: ErrDecisionsFull.Message, Temporary: true}})
		return
	}
	c.conn.PauseReading()
}

// wait has the session wait for a decision, unless limit wait already or too many of its
// address. Input that is held already stays so.
func (c *session) wait(d *decision, limit int, left time.Duration) bool {
	s, all := c.shard, c.shard.shared
	if d.from = c.remote().Addr(); !d.counted.Enter(d.from, limit) {
		return false
	}
	d.session = c
	d.ctx, d.cancel = context.WithTimeout(all.Running, left)
	if c.held == nil {
		c.held = new(heldInput)
	}
	c.held.waits, c.held.decision = waitDecision, d
	if !d.begin(s) {
		go func() {
			defer d.back(s)
			d.ask()
		}()
	}
	return true
}

// ask asks who decides, where begin has not. Not all of it is the gateway's own code: if it
// panics, or ends its goroutine, one client is refused and nothing else is harmed.
func (d *decision) ask() {
	d.failure = "the goroutine has ended"
	defer func() {
		if failure := recover(); failure != nil {
			d.failure = fmt.Sprint(failure)
		}
	}()
	if d.authority != nil {
		d.outcome = d.authority.Decide(d.ctx, &d.question)
	} else {
		d.decide()
	}
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
		d.counted.Leave(d.from)
		if c := d.session; c != nil && c.conn.Open() {
			c.decided(d)
		}
	}
	return s.decided.Len() > 0
}

// decided ends the wait for a decision. One that comes too late does not count.
func (c *session) decided(d *decision) {
	s := c.shard
	if d.failure != "" {
		if key := (stats.IncidentKey{Metric: stats.MetricHandshakes, Label: ErrDeciderFailed.Reason}); s.Samples.Wants(key) {
			s.Samples.Keep(key, slog.String("address", c.address()), slog.String("panic", stats.Clip(d.failure)))
		}
	}
	if c.state == sessionOpen {
		c.commandDecided(d)
		return
	}
	switch err := d.ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		c.refuseHandshake(ErrUndecided)
	case err != nil: // the gateway stops, and closes it
	case s.drain != drainNot:
		c.refuseHandshake(ErrDraining)
	case d.failure != "":
		c.refuseHandshake(ErrDeciderFailed)
	default:
		s.replies = append(s.replies, d.answer...)
		if refused := c.conclude(d.outcome, d.at, []byte(d.question.Request.Origin)); refused != nil {
			c.handshakeRefused(refused)
			return
		}
		c.Resume() // with what it sent early
	}
}

// commandDecided goes on with a command that has waited.
func (c *session) commandDecided(d *decision) {
	switch {
	case errors.Is(d.ctx.Err(), context.DeadlineExceeded):
		d.outcome = authority.Outcome{Refusal: &authority.Refusal{Reason: ErrUndecided.Reason, Message: ErrUndecided.Message, Temporary: true}}
	case d.ctx.Err() != nil:
		return // the gateway stops, and closes it
	case d.failure != "":
		d.outcome = authority.Outcome{Refusal: &authority.Refusal{Reason: ErrDeciderFailed.Reason, Message: ErrDeciderFailed.Message, Temporary: true}}
	}
	d.end()
	c.held.decision = nil
	d.after(c, d.outcome)
	c.Resume()
}
