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
	"unsafe"

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

// Question is a token that looks right, but whose signature is not verified. Later answers it.
type Question struct {
	digest digest
	from   netip.Addr // whose share of the pool's queue it takes
	token  *parsed
	alg    algorithm
	issuer *issuer
	end    int64 // its exp, in Unix seconds
	now    int64
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

// Later finds the answer to what Quick has left, and calls answered with it, once. It does
// not wait, and answered must not. ctx and from are as in Verify.
func (v *Verifier) Later(ctx context.Context, from netip.Addr, q *Question, answered func(Verdict)) {
	v.later(ctx, from, q, func(o outcome) { answered(v.count(forConnection(o))) })
}

// Size is about how many bytes the question holds. It may be nil.
func (q *Question) Size() int {
	if q == nil {
		return 0
	}
	return int(unsafe.Sizeof(Question{})+unsafe.Sizeof(parsed{})) + cap(q.token.text)
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

// later is settle for a question, without waiting.
func (v *Verifier) later(ctx context.Context, from netip.Addr, q *Question, answered func(outcome)) {
	q.from = from
	keys, set := q.atHand()
	if len(keys) == 0 {
		go func() { answered(v.orHeir(ctx, v.slow(ctx, q), from, q.token.text)) }()
		return
	}
	v.pooled(ctx, q, keys, set, func(o outcome) {
		if v.heir(ctx, o) != nil {
			go func() { answered(v.orHeir(ctx, o, from, q.token.text)) }()
			return
		}
		answered(o)
	})
}

// orHeir is the answer o about a token, or that of the heir if there is one.
func (v *Verifier) orHeir(ctx context.Context, o outcome, from netip.Addr, text []byte) outcome {
	if heir := v.heir(ctx, o); heir != nil {
		return heir.settle(ctx, from, text)
	}
	return o
}

// heir is the verifier that must answer because v was closed before it could, nil if there is
// none.
func (v *Verifier) heir(ctx context.Context, o outcome) *Verifier {
	if o.refusal == nil || !o.refusal.Temporary || ctx.Err() != nil {
		return nil
	}
	select {
	case <-v.closing:
		return v.successor.Load()
	default:
		return nil
	}
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
	q := &Question{digest: sum, now: now}
	var refusal *Refusal
	if q.token, refusal = parse(text); refusal != nil {
		return outcome{refusal: refusal}, nil
	}
	q.alg = algorithms[q.token.alg]
	if q.issuer, refusal = v.issuerOf(q.token); refusal != nil {
		return outcome{refusal: refusal}, nil
	}
	if q.end, refusal = v.checkTimes(q.issuer, q.token, time.Unix(q.now, 0)); refusal != nil {
		return outcome{refusal: refusal}, nil
	}
	keys := q.issuer.static.candidates(q.alg, q.token.kid)
	switch {
	case q.alg.kind == secretKey && len(keys) > 0:
		return v.try(q, keys, q.issuer.current()), nil
	case len(keys) == 0 && (q.issuer.remote == nil || q.alg.kind == secretKey):
		return outcome{refusal: refuse(Invalid, "no key of the token's issuer is for the algorithm %s", q.alg.name)}, nil
	case len(keys) == 0:
		if _, refusal := q.issuer.remote.find(q.alg, q.token.kid); refusal != nil {
			return outcome{refusal: refusal}, nil
		}
	}
	return outcome{}, q
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

// slow finds the keys, waits for them if it must, and has the signature verified in the
// pool.
func (v *Verifier) slow(ctx context.Context, q *Question) outcome {
	r := q.issuer.remote
	if r == nil {
		return v.inPool(ctx, q, q.issuer.static.candidates(q.alg, q.token.kid), nil)
	}
	for fetched := false; ; fetched = true {
		set := r.set.Load()
		keys, refusal := r.find(q.alg, q.token.kid)
		if refusal != nil {
			return outcome{refusal: refusal}
		}
		var o outcome
		if len(keys) > 0 {
			o = v.inPool(ctx, q, keys, set)
			// If a key has no id, only a failure shows that the issuer has another one now.
			if fetched || o.accepted != nil || o.refusal.Reason != Invalid || allNamed(keys, q.token.kid) {
				return o
			}
		}
		if fetched {
			return outcome{refusal: unknownKey(q.token.kid, q.alg)}
		}
		if refusal := r.wait(ctx, q.token.kid); refusal != nil {
			if o.refusal != nil {
				return o
			}
			return outcome{refusal: refusal}
		}
		if o.refusal != nil && r.set.Load() == set {
			return o
		}
	}
}

// atHand are the keys that decide about the token, and the set of a remote issuer that they
// are of. There are none if it may be that others must be waited for.
func (q *Question) atHand() (keys []*key, set *keySet) {
	r := q.issuer.remote
	if r == nil {
		return q.issuer.static.candidates(q.alg, q.token.kid), nil
	}
	set = r.set.Load()
	keys, refusal := r.find(q.alg, q.token.kid)
	if refusal != nil || !allNamed(keys, q.token.kid) {
		return nil, nil
	}
	return keys, set
}

// allNamed tells whether all keys have the id that a token names.
func allNamed(keys []*key, kid string) bool {
	for _, k := range keys {
		if k.id != kid || kid == "" {
			return false
		}
	}
	return true
}

// pooled is try in the pool. It calls answered once, from there or before it returns.
func (v *Verifier) pooled(ctx context.Context, q *Question, keys []*key, set *keySet, answered func(outcome)) {
	var cost time.Duration
	for _, k := range keys[:min(len(keys), maxTries)] {
		cost += costOf(k.public)
	}
	v.pool.do(ctx, q.from, cost, func(err error) {
		switch {
		case errors.Is(err, errBusy):
			answered(outcome{refusal: refuse(Busy, "too many tokens wait to be verified; try again")})
			return
		case err != nil:
			answered(outcome{refusal: refuse(Busy, "the token's verification was broken off; try again")})
			return
		}
		o, known := v.known(&q.digest, q.now) // another client may have shown the same token
		if !known {
			o = v.try(q, keys, set)
		}
		answered(o)
	})
}

// inPool is pooled, and waits for the answer.
func (v *Verifier) inPool(ctx context.Context, q *Question, keys []*key, set *keySet) outcome {
	result := make(chan outcome, 1)
	v.pooled(ctx, q, keys, set, func(o outcome) { result <- o })
	return <-result
}

// try verifies a token with each of some keys, and has the caches know the outcome. The
// set is the fetched one at the time: a refusal holds while no other has come.
func (v *Verifier) try(q *Question, keys []*key, set *keySet) outcome {
	e := &entry{issuer: q.issuer, set: set, until: min(q.end+v.leeway, q.now+maxRefusedFor)}
	if len(keys) > maxTries {
		e.refusal = refuse(Invalid, "the token names no key (kid), and its issuer has %d that could be it", len(keys))
		keys = nil
	}
	for _, k := range keys {
		v.figures.verifications.Add(1)
		if !k.verifies(q.alg, q.token) {
			continue
		}
		if e.accepted, e.refusal = v.read(q.issuer, q.token, q.end); e.refusal != nil {
			break
		}
		e.key, e.until = k, q.end+v.leeway
		if !v.worthKnowing(q) {
			return outcome{accepted: e.accepted}
		}
		return outcome{accepted: v.good.put(&q.digest, e, q.now).accepted}
	}
	if e.refusal == nil {
		e.refusal = refuse(Invalid, "the token's signature is not that of its issuer's key; was it made with another key, or changed since?")
	}
	if v.worthKnowing(q) {
		v.bad.put(&q.digest, e, q.now)
	}
	return outcome{refusal: e.refusal}
}

// worthKnowing tells whether the caches should know a token. An HMAC takes microseconds to
// verify, which does not pay for the memory of a token that comes once.
func (v *Verifier) worthKnowing(q *Question) bool {
	return q.alg.kind != secretKey || v.once.again(&q.digest)
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
