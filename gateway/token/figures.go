package token

import (
	"slices"
	"sync/atomic"

	"fleetcast/gateway/stats"
)

// figures are counted by many goroutines.
type figures struct {
	accepted                       atomic.Uint64
	refused                        [maxReasons]atomic.Uint64 // in the order of Reasons
	verifications                  atomic.Uint64
	cacheHits, cacheMisses         atomic.Uint64
	keyFetches, keyFetchesFailures atomic.Uint64
}

const maxReasons = 16

// answered counts a verdict.
func (f *figures) answered(refusal *Refusal) {
	if refusal == nil {
		f.accepted.Add(1)
		return
	}
	if at := slices.Index(reasons, refusal.Reason); at >= 0 {
		f.refused[at].Add(1)
	}
}

// fetched counts an attempt to fetch keys.
func (f *figures) fetched(err error) {
	f.keyFetches.Add(1)
	if err != nil {
		f.keyFetchesFailures.Add(1)
	}
}

func (v *Verifier) count(verdict Verdict) Verdict {
	v.figures.answered(verdict.Refusal)
	return verdict
}

// Figures are what a verifier, and those before it, have counted, and its sizes now.
type Figures = stats.Tokens

// Figures are the present figures.
func (v *Verifier) Figures() Figures {
	f := v.figures
	entries, bytes := v.good.sizes()
	moreEntries, moreBytes := v.bad.sizes()
	figures := Figures{
		Accepted: f.accepted.Load(), Refused: map[string]uint64{}, Verifications: f.verifications.Load(),
		CacheHits: f.cacheHits.Load(), CacheMisses: f.cacheMisses.Load(),
		Cached: int64(entries + moreEntries), CacheBytes: int64(bytes + moreBytes), Waiting: int64(v.pool.waiting()),
		KeyFetches: f.keyFetches.Load(), KeyFetchFailure: f.keyFetchesFailures.Load(),
	}
	for i, reason := range reasons {
		figures.Refused[reason] = f.refused[i].Load()
	}
	for _, i := range v.issuers {
		if i.remote == nil {
			continue
		}
		if i.remote.isFailing() {
			figures.IssuersFailing++
		}
		if i.current() == nil {
			figures.IssuersKeyless++
		}
	}
	return figures
}
