package token

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
	"unsafe"
)

// Question is a token that looks right, but whose signature is not verified. Later answers it.
type Question struct {
	digest digest
	from   netip.Addr // whose share of the pool's queue it takes
	token  parsed
	alg    algorithm
	issuer *issuer
	end    int64 // its exp, in Unix seconds
	now    int64
}

// questions are used again. Most are answered at once: those about HMACs, when thousands of
// clients connect.
var questions = sync.Pool{New: func() any { return new(Question) }}

func takeQuestion() *Question { return questions.Get().(*Question) }

// give gives the question back. Nothing may hold any of it.
func (q *Question) give() {
	*q = Question{token: parsed{memory: q.token.memory[:0]}}
	questions.Put(q)
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
	return int(unsafe.Sizeof(Question{})) + 2*len(q.token.text)
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
func (v *Verifier) try(q *Question, keys []*key, set *keySet) (o outcome) {
	if len(keys) > maxTries {
		o.refusal = refuse(Invalid, "the token names no key (kid), and its issuer has %d that could be it", len(keys))
		keys = nil
	}
	for _, k := range keys {
		v.figures.verifications.Add(1)
		if !k.verifies(q.alg, &q.token) {
			continue
		}
		if o.accepted, o.refusal = v.read(q.issuer, &q.token, q.end); o.refusal != nil {
			break
		}
		if v.worthKnowing(q) {
			known := v.good.put(&q.digest, &entry{issuer: q.issuer, set: set, accepted: o.accepted, key: k, until: q.end + v.leeway}, q.now)
			o.accepted = known.accepted
		}
		return o
	}
	if o.refusal == nil {
		o.refusal = refuse(Invalid, "the token's signature is not that of its issuer's key; was it made with another key, or changed since?")
	}
	if v.worthKnowing(q) {
		v.bad.put(&q.digest, &entry{issuer: q.issuer, set: set, refusal: o.refusal, until: min(q.end+v.leeway, q.now+maxRefusedFor)}, q.now)
	}
	return o
}

// worthKnowing tells whether the caches should know a token. An HMAC takes microseconds to
// verify, which does not pay for the memory of a token that comes once.
func (v *Verifier) worthKnowing(q *Question) bool {
	return q.alg.kind != secretKey || v.once.again(&q.digest)
}
