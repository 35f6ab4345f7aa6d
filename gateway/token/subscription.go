package token

import (
	"context"
	"net/netip"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/rules"
)

// Subscription is what a token for a subscription allows: one that names, beside its
// user and exp, the channels in its claim "channel", as a pattern. It is immutable.
type Subscription struct {
	User     string
	Channels rules.Patterns
	Expires  int64 // Unix seconds
}

// SubscriptionVerdict is the answer about a token for a subscription. Exactly one of its
// fields is set.
type SubscriptionVerdict struct {
	Subscription *Subscription
	Refusal      *Refusal
}

// QuickSubscription is Quick for a token for a subscription.
func (v *Verifier) QuickSubscription(text []byte) (answer SubscriptionVerdict, left *Question) {
	o, q := v.quick(text)
	if q != nil {
		return SubscriptionVerdict{}, q
	}
	return v.forSubscription(o), nil
}

// LaterSubscription is Later for a token for a subscription.
func (v *Verifier) LaterSubscription(ctx context.Context, from netip.Addr, q *Question, answered func(SubscriptionVerdict)) {
	v.later(ctx, from, q, func(o outcome) { answered(v.forSubscription(o)) })
}

// VerifySubscription is Verify for a token for a subscription.
func (v *Verifier) VerifySubscription(ctx context.Context, from netip.Addr, text []byte) SubscriptionVerdict {
	return v.forSubscription(v.settle(ctx, from, text))
}

func (v *Verifier) forSubscription(o outcome) SubscriptionVerdict {
	verdict := SubscriptionVerdict{Refusal: o.refusal}
	switch {
	case o.refusal != nil:
	case o.accepted.channels == nil:
		verdict.Refusal = refuse(WrongUse, "the token is not for a subscription; that has the claim %q", channelClaim)
	default:
		verdict.Subscription = &Subscription{o.accepted.identity.User, o.accepted.channels, o.accepted.identity.Expires}
	}
	v.figures.answered(verdict.Refusal)
	return verdict
}

// Refuses tells why a client may not subscribe to a channel with the token, nil if it
// may: the token must be for its user and for that channel.
func (s *Subscription) Refuses(id *identity.Identity, channel []byte) *Refusal {
	switch {
	case s.User != id.User:
		return refuse(WrongUse, "the token is for another user than the connection's")
	case !s.Channels.MatchUser(s.User, channel):
		return refuse(WrongUse, "the token is for another channel (claim %q)", channelClaim)
	}
	return nil
}
