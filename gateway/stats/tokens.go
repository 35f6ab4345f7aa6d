package stats

// Tokens are what the verifier of tokens, and those before it, have counted, and its sizes
// now. All are 0 without an issuer of tokens.
type Tokens struct {
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
