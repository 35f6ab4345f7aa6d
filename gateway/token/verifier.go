package token

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"fleetcast/gateway/identity"
)

// Verifier verifies tokens and resume tickets. Any goroutine may call its methods.
type Verifier struct {
	issuers  map[string]*issuer // by their names; never changed behind New
	digests  map[identity.IssuerDigest]bool
	options  Options
	leeway   int64 // seconds
	interner *identity.Interner
	now      func() time.Time
	good     *cache // tokens that were accepted
	bad      *cache // tokens whose signature was refused
	once     once   // HMACs that came once
	heads    heads
	pool     *pool
	figures  *figures

	successor atomic.Pointer[Verifier] // that has taken over
	close     sync.Once
	closing   chan struct{}
	swept     chan struct{} // closed when sweep has returned
}

// outcome is the answer about a token, whatever that is for.
type outcome struct {
	accepted *accepted
	refusal  *Refusal
}

// Quick answers what costs little: what the caches know, tokens that are refused for
// another reason than their signature, HMAC, and resume tickets. What it leaves is for
// Later, nil if it has answered. It never waits, and takes some 30 µs at most.
func (v *Verifier) Quick(text []byte) (answer Verdict, left *Question) {
	if bytes.HasPrefix(text, []byte(identity.TicketPrefix)) {
		return v.count(v.ticket(text)), nil
	}
	o, q := v.quick(text)
	if q != nil {
		return Verdict{}, q
	}
	return v.count(forConnection(o)), nil
}

// Verify answers about every token. It waits for keys that are not there yet, 2 s at
// most, and for a place in the pool. When ctx ends, so does it, and the refusal is
// temporary. from is where the client comes from: addresses share the pool's queue, as a
// [limits.Line] does it. It may be zero.
func (v *Verifier) Verify(ctx context.Context, from netip.Addr, text []byte) Verdict {
	if bytes.HasPrefix(text, []byte(identity.TicketPrefix)) {
		return v.count(v.ticket(text))
	}
	return v.count(forConnection(v.settle(ctx, from, text)))
}

// settle is quick, and slow where that is needed.
func (v *Verifier) settle(ctx context.Context, from netip.Addr, text []byte) outcome {
	o, q := v.quick(text)
	if q != nil {
		q.from = from
		o = v.slow(ctx, q)
	}
	return v.orHeir(ctx, o, from, text)
}

// forConnection leaves out what is for a subscription only.
func forConnection(o outcome) Verdict {
	switch {
	case o.refusal != nil:
		return Verdict{Refusal: o.refusal}
	case o.accepted.channels != nil:
		return Verdict{Refusal: refuse(WrongUse, "the token is for a subscription, because it has the claim %q; this needs one for the connection", channelClaim)}
	}
	return Verdict{Identity: o.accepted.identity}
}

// Knows tells whether there is an issuer of that digest.
func (v *Verifier) Knows(issuer identity.IssuerDigest) bool { return v.digests[issuer] }

func (v *Verifier) ticket(text []byte) Verdict {
	if v.options.Tickets == nil {
		return Verdict{Refusal: refuse(TicketInvalid, "resume tickets are not taken here")}
	}
	id, err := v.options.Tickets.Open(text, v.now())
	switch {
	case err == nil && !v.Knows(id.Behind.Issuer):
		return Verdict{Refusal: refuse(TicketInvalid, "the issuer behind the ticket is not configured any more")}
	case err == nil:
		return Verdict{Identity: id}
	case errors.Is(err, identity.ErrTicketExpired):
		return Verdict{Refusal: refuse(TicketExpired, "%v", err)}
	}
	return Verdict{Refusal: refuse(TicketInvalid, "%v", err)}
}

// quick answers, or returns the question that is left for slow.
func (v *Verifier) quick(text []byte) (outcome, *Question) {
	if len(text) > MaxToken {
		return outcome{refusal: refuse(TooLarge, "the token has %d bytes, may have %d", len(text), MaxToken)}, nil
	}
	sum, now := digest(sha256.Sum256(text)), v.now().Unix()
	if o, known := v.known(&sum, now); known {
		v.figures.cacheHits.Add(1)
		return o, nil
	}
	v.figures.cacheMisses.Add(1)
	q := takeQuestion()
	q.digest, q.now = sum, now
	o, answered := v.judge(q, text)
	if !answered {
		return outcome{}, q
	}
	q.give() // what was read of it has been copied
	return o, nil
}

// judge answers about a token whose answer costs little, else answered is false.
func (v *Verifier) judge(q *Question, text []byte) (o outcome, answered bool) {
	var refusal *Refusal
	if refusal = q.token.parse(text, &v.heads); refusal != nil {
		return outcome{refusal: refusal}, true
	}
	q.alg = algorithms[q.token.alg]
	if q.issuer, refusal = v.issuerOf(&q.token); refusal != nil {
		return outcome{refusal: refusal}, true
	}
	if q.end, refusal = v.checkTimes(q.issuer, &q.token, time.Unix(q.now, 0)); refusal != nil {
		return outcome{refusal: refusal}, true
	}
	keys := q.issuer.static.candidates(q.alg, q.token.kid)
	switch {
	case q.alg.kind == secretKey && len(keys) > 0:
		return v.try(q, keys, q.issuer.current()), true
	case len(keys) == 0 && (q.issuer.remote == nil || q.alg.kind == secretKey):
		return outcome{refusal: refuse(Invalid, "no key of the token's issuer is for the algorithm %s", q.alg.name)}, true
	case len(keys) == 0:
		if _, refusal := q.issuer.remote.find(q.alg, q.token.kid); refusal != nil {
			return outcome{refusal: refusal}, true
		}
	}
	return outcome{}, false
}

// known asks the caches.
func (v *Verifier) known(d *digest, now int64) (outcome, bool) {
	if e := v.good.find(d, now); e != nil {
		return outcome{accepted: e.accepted}, true
	}
	if e := v.bad.find(d, now); e != nil {
		return outcome{refusal: e.refusal}, true
	}
	return outcome{}, false
}

// sweep forgets, once a minute, what the caches need not know any more.
func (v *Verifier) sweep() {
	defer close(v.swept)
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			now := v.now().Unix()
			v.good.sweep(now)
			v.bad.sweep(now)
		case <-v.closing:
			return
		}
	}
}

// Close ends the goroutines of v, but for those that a successor has taken over. Tokens
// that wait in the pool are still verified. Later ones go to the successor; without one
// they are refused as temporary.
func (v *Verifier) Close() {
	v.close.Do(func() {
		close(v.closing)
		<-v.swept
		successor := v.successor.Load()
		for name, i := range v.issuers {
			if i.remote != nil && (successor == nil || successor.issuers[name] != i) {
				i.remote.close()
			}
		}
		v.pool.stop()
	})
}
