package token

import (
	"slices"
	"sync/atomic"
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
type Figures struct {
	Accepted        uint64            `json:"accepted" metric:"tokens_accepted_total" help:"Tokens and resume tickets that were accepted, repeated ones included."`
	Refused         map[string]uint64 `json:"refused" metric:"tokens_refused_total" label:"reason" help:"Tokens and resume tickets that were refused, by reason."`
	Verifications   uint64            `json:"verifications" metric:"token_verifications_total" help:"Signatures of tokens that were computed."`
	CacheHits       uint64            `json:"cache_hits" metric:"token_cache_hits_total" help:"Tokens that were known already."`
	CacheMisses     uint64            `json:"cache_misses" metric:"token_cache_misses_total" help:"Tokens that were not known."`
	Cached          int64             `json:"cached" metric:"token_cache_entries" help:"Tokens that are known."`
	CacheBytes      int64             `json:"cache_bytes" metric:"token_cache_bytes" help:"About how many bytes it takes to know them."`
	Waiting         int64             `json:"waiting" metric:"token_verifications_waiting" help:"Tokens that wait for their signature to be verified."`
	KeyFetches      uint64            `json:"key_fetches" metric:"token_key_fetches_total" help:"Times that the keys of an issuer were fetched."`
	KeyFetchFailure uint64            `json:"key_fetch_failures" metric:"token_key_fetch_failures_total" help:"Times that the keys of an issuer could not be fetched, or had no usable key."`
	IssuersFailing  int64             `json:"issuers_failing" metric:"token_issuers_failing" help:"Issuers whose keys could not be fetched the last time."`
	IssuersKeyless  int64             `json:"issuers_without_keys" metric:"token_issuers_without_keys" help:"Issuers whose keys have not been there yet, so that their tokens are refused as temporary."`
}

// Figures are the present figures.
func (v *Verifier) Figures() Figures {
	f := v.figures
	entries, bytes := v.good.sizes()
	moreEntries, moreBytes := v.bad.sizes()
	figures := Figures{
		Accepted: f.accepted.Load(), Refused: map[string]uint64{}, Verifications: f.verifications.Load(),
		CacheHits: f.cacheHits.Load(), CacheMisses: f.cacheMisses.Load(),
		Cached: int64(entries + moreEntries), CacheBytes: int64(bytes + moreBytes), Waiting: int64(len(v.pool.jobs)),
		KeyFetches: f.keyFetches.Load(), KeyFetchFailure: f.keyFetchesFailures.Load(),
	}
	for i, reason := range reasons {
		if n := f.refused[i].Load(); n > 0 {
			figures.Refused[reason] = n
		}
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
