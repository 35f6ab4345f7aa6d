package authority

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"fleetcast/gateway/hook"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/token"
)

// DefaultWaiting is how many clients may wait at a time for what cannot be decided at once.
const DefaultWaiting = 8192

// Authority decides who clients are. What it does not have is nil: without Tokens no token
// is known, without Hook and Decider nobody else is asked.
type Authority struct {
	Tokens  *token.Verifier
	Hook    *hook.Hook        // asked about each client that shows no resume ticket
	Decider *settings.Decider // asked last, about requests to connect
	Tickets *identity.Tickets // nil if there are none
	// Cookie is the name of the cookie that may hold a token; empty is none.
	Cookie string
	// Waiting is how many clients may wait for Begin or Decide.
	Waiting int
	Now     func() time.Time
}

// Question is what a client shows.
type Question struct {
	Token   string                  // empty if it shows none, or Left is there
	Client  netip.AddrPort          // where the client comes from; the port is 0 if it is not known
	Request settings.ConnectRequest // zero for a token in an open connection
	// Connecting tells whether it is a request to connect, and not a token in an open
	// connection.
	Connecting bool
	// Subscribing tells whether the token is for a subscription.
	Subscribing bool
	// Left is the token as AtOnce has left it, or Tokens for a subscription; nil if its
	// signature is not all that there is to find out.
	Left *token.Question
}

// Size is about how many bytes it holds.
func (q *Question) Size() int { return len(q.Token) + q.Request.Size() + q.Left.Size() }

// errNoTokens refuses tokens where nobody has issued any.
var errNoTokens = Outcome{Refusal: &Refusal{
	Reason: token.UnknownIssuer, Message: token.UnknownIssuer + ": the gateway knows no issuer of tokens",
}}

// AtOnce decides about a token, nil if none is shown, if that costs little: it is on a
// loop. ok is false if Begin must be asked, with what is left, or Decide. connecting is as in
// [Question].
func (a *Authority) AtOnce(text []byte, connecting bool) (outcome Outcome, left *token.Question, ok bool) {
	asks := a.Hook != nil || connecting && a.Decider != nil
	switch {
	case len(text) == 0:
		return accepted(identity.Anonymous(), false), nil, !asks
	case a.isTicket(text):
		return a.openTicket(text), nil, !connecting || a.Decider == nil
	case a.Tokens == nil:
		return errNoTokens, nil, a.Hook == nil
	}
	verdict, left := a.Tokens.Quick(text)
	switch {
	case left != nil && asks:
		return Outcome{}, nil, false
	case left != nil:
		return Outcome{}, left, false
	}
	outcome = ofVerdict(verdict, false)
	return outcome, nil, outcome.Refusal != nil || !asks
}

// Begin decides about a question of which only a token's signature is left, without waiting.
// It calls done once, on another goroutine or before it returns; done must not wait. The
// result is false if Decide must be asked.
func (a *Authority) Begin(ctx context.Context, q *Question, done func(Outcome)) bool {
	switch from := q.Client.Addr(); {
	case q.Left == nil:
		return false
	case q.Subscribing:
		a.Tokens.LaterSubscription(ctx, from, q.Left, func(v token.SubscriptionVerdict) { done(ofSubscription(v)) })
	default:
		a.Tokens.Later(ctx, from, q.Left, func(v token.Verdict) { done(ofVerdict(v, true)) })
	}
	return true
}

// Decide decides about what Begin has not. It waits, until ctx ends at the latest.
func (a *Authority) Decide(ctx context.Context, q *Question) Outcome {
	outcome := accepted(identity.Anonymous(), false)
	ticket := a.isTicket([]byte(q.Token))
	switch {
	case q.Token == "":
	case ticket:
		outcome = a.openTicket([]byte(q.Token))
	case a.Tokens != nil:
		outcome = ofVerdict(a.Tokens.Verify(ctx, q.Client.Addr(), []byte(q.Token)), true)
	}
	if outcome.Refusal == nil && a.Hook != nil && !ticket {
		outcome = a.askHook(ctx, q, outcome.Identity)
	}
	if outcome.Refusal == nil && a.Decider != nil && q.Connecting {
		if r := a.Decider.Decide(ctx, q.Request); r != nil {
			response := a.Decider.Response(r)
			return Outcome{Refusal: &Refusal{Reason: response.Reason, Message: response.Message, Status: response.Status, Header: r.Header, Counted: response.Reason}}
		}
	}
	return outcome
}

// askHook asks the connect hook about a client of a verified identity. The hook's answer
// replaces it, but cannot outlast it.
func (a *Authority) askHook(ctx context.Context, q *Question, verified *identity.Identity) Outcome {
	r := hook.ConnectRequest{Client: q.Client, Token: q.Token}
	if q.Connecting {
		r.Host, r.Origin, r.Path, r.Query = q.Request.Host, q.Request.Origin, q.Request.Path, q.Request.Query
		r.Header = &q.Request
	}
	answer := a.Hook.Connect(ctx, r)
	if refusal := answer.Refusal; refusal != nil {
		return Outcome{Refusal: &Refusal{Reason: refusal.Reason, Message: refusal.Reason + ": " + refusal.Message, Temporary: refusal.Temporary}}
	}
	return accepted(answer.Identity.Under(verified), true)
}

func (a *Authority) isTicket(text []byte) bool {
	return a.Tickets != nil && bytes.HasPrefix(text, []byte(identity.TicketPrefix))
}

func (a *Authority) openTicket(text []byte) Outcome {
	who, err := a.Tickets.Open(text, a.Now())
	if err != nil {
		reason := token.TicketInvalid
		if err == identity.ErrTicketExpired {
			reason = token.TicketExpired
		}
		return Outcome{Refusal: ofRefusal(&token.Refusal{Reason: reason, Message: err.Error() + "; connect with a token"})}
	}
	if !a.stillBehind(who.Behind) {
		return Outcome{Refusal: ofRefusal(&token.Refusal{
			Reason: token.TicketInvalid, Message: "the issuers or the connect hook have changed since the ticket was made; connect with a token",
		})}
	}
	return accepted(who, true)
}

// stillBehind tells whether the same would have to say today who a client is: the issuer of its
// token, and the connect hook if there is one. A ticket of an earlier version names neither.
func (a *Authority) stillBehind(b identity.Behind) bool {
	if b.Hook != (a.Hook != nil) || b == (identity.Behind{}) {
		return false
	}
	return b.Issuer == 0 || a.Tokens != nil && a.Tokens.Knows(b.Issuer)
}

// Ticket is a resume ticket for an identity, empty if there are none.
func (a *Authority) Ticket(who *identity.Identity) string {
	if a.Tickets == nil {
		return ""
	}
	return a.Tickets.Issue(who, a.Now())
}

func ofVerdict(v token.Verdict, costly bool) Outcome {
	if v.Refusal != nil {
		return Outcome{Refusal: ofRefusal(v.Refusal)}
	}
	return accepted(v.Identity, costly)
}

func ofSubscription(v token.SubscriptionVerdict) Outcome {
	return Outcome{Subscription: v.Subscription, Refusal: ofRefusal(v.Refusal)}
}

func ofRefusal(r *token.Refusal) *Refusal {
	if r == nil {
		return nil
	}
	return &Refusal{Reason: r.Reason, Message: r.Reason + ": " + r.Message, Temporary: r.Temporary}
}
