package shard

import (
	"net/http"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/token"
)

// Reasons of refusals for who a client is, beside those of the authority.
const (
	ReasonUserBlocked = "user_blocked"
	ReasonUserFull    = "user_full"
	ReasonUserRate    = "user_rate"
)

// who is the client's identity.
func (c *session) who() *identity.Identity {
	if c.source == nil || c.source.identity == nil {
		return identity.Anonymous()
	}
	return c.source.identity
}

// identify finds out who sends a request that was accepted as hs. The accepting answer is
// in the reply buffer. If the request is refused at once, the refusal is returned and its
// answer is in the buffer; if the answer must wait, the session is in sessionDeciding.
func (c *session) identify(head []byte, hs websocket.Handshake) (refused *websocket.HandshakeError) {
	s := c.shard
	a := s.shared.Authority.Load()
	if a == nil {
		c.open(hs.Origin, false)
		return nil
	}
	token, at, refused := credentials(head, &hs, a.Cookie)
	if refused != nil {
		s.replies = websocket.AppendRefusal(s.replies[:0], refused)
		return refused
	}
	outcome, left, ok := a.AtOnce(token, true)
	if ok {
		return c.conclude(outcome, at, hs.Origin)
	}
	return c.startDeciding(a, head, hs, shown{token, at, left})
}

// conclude opens the session of a client about which it is decided, or refuses it where
// its developer can see why. The accepting answer is in the reply buffer.
func (c *session) conclude(outcome authority.Outcome, at place, origin []byte) (refused *websocket.HandshakeError) {
	refusal := outcome.Refusal
	if refusal == nil {
		refusal = c.become(outcome.Identity)
	}
	if refusal == nil {
		c.open(origin, outcome.Costly)
		return nil
	}
	s := c.shard
	refused = &websocket.HandshakeError{Status: refusal.HTTPStatus(), Reason: refusal.Label(), Message: refusal.Message}
	c.sampleReason(refused, refusal.Reason)
	if at == placeSubprotocol {
		// A page does not see the status of a handshake, but it sees a close code.
		s.replies = c.dialect().AppendClose(s.replies, closeCode(refusal), closeText(refusal))
		return refused
	}
	s.replies = s.replies[:0]
	switch {
	case refusal.Temporary:
		s.replies = websocket.AppendRefusalRetry(s.replies, refused, s.retryLater())
	case refusal.Header == nil && refused.Status == http.StatusUnauthorized:
		s.replies = websocket.AppendRefusalWith(s.replies, refused, http.Header{"Www-Authenticate": {challenge(refusal, at)}})
	default:
		s.replies = websocket.AppendRefusalWith(s.replies, refused, refusal.Header)
	}
	return refused
}

// challenge is the value of WWW-Authenticate (RFC 6750, 3). A request that has shown no
// token gets no error.
func challenge(r *authority.Refusal, at place) string {
	if at == placeNone {
		return "Bearer"
	}
	return `Bearer error="invalid_token", error_description="` + r.Reason + `"`
}

// closeCode is how a close frame says what a status would.
func closeCode(r *authority.Refusal) ws.StatusCode {
	switch {
	case r.Temporary:
		return websocket.StatusTryAgainLater
	case r.HTTPStatus() == http.StatusUnauthorized:
		return authority.CloseUnauthenticated
	}
	return authority.CloseForbidden
}

// closeText is a reason that programs can read, with nothing behind it.
func closeText(r *authority.Refusal) string {
	return r.Reason[:min(len(r.Reason), websocket.MaxCloseReason)]
}

// become makes the client the one that an identity says. It is refused if its user is
// blocked, or has too many connections.
func (c *session) become(who *identity.Identity) *authority.Refusal {
	s := c.shard
	if who.User != "" {
		if until, blocked := s.shared.Blocked.Until(who.User, s.shared.Now()); blocked {
			return &authority.Refusal{Reason: ReasonUserBlocked, Counted: ReasonUserBlocked, Status: http.StatusForbidden,
				Message: "this user is blocked until " + until.UTC().Format(time.RFC3339)}
		}
	}
	known := c.who()
	if who.User != known.User {
		if refusal := c.countUser(who.User); refusal != nil {
			return refusal
		}
	}
	if who != known {
		if c.source == nil {
			c.source = new(source)
		}
		c.source.identity = who
	}
	return nil
}

// countUser counts the connection for a user, of whom it was not before.
func (c *session) countUser(user string) *authority.Refusal {
	s := c.shard
	bounds := s.shared.Settings.Load().PerUser
	if user == "" || bounds.Open == 0 && bounds.Rate.Interval == 0 {
		return nil
	}
	used, outcome, wait := s.shared.Users.Open(user, bounds, s.Loop.Now())
	switch outcome {
	case limits.QuotaFull:
		return &authority.Refusal{Reason: ReasonUserFull, Counted: ReasonUserFull, Status: http.StatusTooManyRequests, Temporary: true,
			Message: "this user has as many connections as one user may have; close some, or try again later"}
	case limits.QuotaOften:
		return &authority.Refusal{Reason: ReasonUserRate, Counted: ReasonUserRate, Status: http.StatusTooManyRequests, Temporary: true,
			Message: "this user connects too often; try again in " + wait.Round(time.Second).String()}
	}
	if c.source == nil {
		c.source = new(source)
	}
	s.uncountUser(c.source)
	c.source.user = used
	return nil
}

// uncountUser ends the counting of a connection for its user.
func (s *Shard) uncountUser(from *source) {
	if from.user != nil {
		s.shared.Users.Close(from.user, s.Loop.Now())
		from.user = nil
	}
}

// mustAuthenticate tells whether the client may do nothing before it says who it is.
func (c *session) mustAuthenticate() bool {
	return c.shard.shared.Authority.Load() != nil && c.who() == identity.Anonymous() && !c.shard.shared.Settings.Load().Anonymous
}

// standing is what the client is told about who it is. The result is overwritten by the
// next call. Times are those that are left now.
func (c *session) standing(costly bool) *command.Standing {
	s := c.shard
	a := s.shared.Authority.Load()
	if a == nil {
		return nil
	}
	who, told := c.who(), &s.standing
	*told = command.Standing{User: who.User}
	if who.Expires != 0 {
		s.tellEnd(told, who.Expires)
	}
	if costly {
		told.Ticket = a.Ticket(who)
	}
	if c.mustAuthenticate() {
		told.WithinMS = uint64(s.shared.Settings.Config().HandshakeTimeout / time.Millisecond)
	}
	return told
}

// tellEnd says when what was shown ends, in Unix seconds, and when to show it anew. Clients that
// connected together must not come for a new token together.
func (s *Shard) tellEnd(told *command.Standing, expires int64) {
	left := max(time.Unix(expires, 0).Sub(s.shared.Now()), time.Millisecond)
	told.ExpiresMS = uint64(left / time.Millisecond)
	share := 0.5 + 0.4*float64(s.random.Uint64()>>11)/(1<<53)
	told.RefreshMS = max(uint64(float64(told.ExpiresMS)*share), 1)
}

// lateToAuthenticate closes a client that had to say who it is by now.
func (c *session) lateToAuthenticate() {
	if c.mustAuthenticate() {
		c.closeUnknown(Unauthenticated, &authority.Refusal{Reason: string(command.AuthenticationRequired)})
	}
}

// overdue is lateToAuthenticate for a client of which nothing was asked when it came, and
// which must say who it is since a reload. It tells whether the client was closed. It is
// called once per ping interval.
func (c *session) overdue() bool {
	if c.opened.since(c.shard.Loop.Now()) < c.shard.shared.Settings.Config().HandshakeTimeout || !c.mustAuthenticate() {
		return false
	}
	c.lateToAuthenticate()
	return true
}

// identityOver closes a client whose identity has ended, and tells whether it has. It is
// called once per ping interval.
func (c *session) identityOver() bool {
	if c.source == nil || c.source.identity == nil || !c.source.identity.Over(c.shard.shared.Now().Unix()) {
		return false
	}
	c.closeUnknown(TokenExpired, &authority.Refusal{Reason: token.Expired})
	return true
}

// closeUnknown closes an open session whose client is not, or not any more, who it must be.
func (c *session) closeUnknown(reason Disconnect, r *authority.Refusal) {
	c.finish(reason, closeCode(r), closeText(r))
}
