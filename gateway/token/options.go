package token

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"time"

	"fleetcast/gateway/identity"
)

// What holds where Options says nothing.
const (
	DefaultClaim     = "fleetcast"
	DefaultUserClaim = "sub"
	DefaultLeeway    = 30 * time.Second
	// DefaultCache is how many good tokens are known at a time. A quarter of it is for
	// refused ones, so that these cannot displace good ones.
	DefaultCache = 100_000
	// bytesPerEntry bounds the caches in bytes: by their entries times this.
	bytesPerEntry = 1024
	// maxRefusedFor is the longest that a refused token is known, in seconds.
	maxRefusedFor = 600
)

// Options are what a Verifier needs. The zero value knows no issuer.
type Options struct {
	Issuers []Issuer
	// Claim and UserClaim are those of issuers that name none: see Issuer. Empty:
	// DefaultClaim and DefaultUserClaim.
	Claim, UserClaim string
	// Leeway is how far clocks may differ: a token is taken that long before nbf and
	// behind exp. It is counted in whole seconds. 0 is DefaultLeeway, less is none.
	Leeway time.Duration
	// KeysDir is the folder for the last good set of keys of each JWKS, with which a
	// gateway starts whose issuers cannot be reached. Empty: none are kept.
	KeysDir string
	// RootCAs are those that a JWKS server's certificate may come from; nil: the system's.
	RootCAs *x509.CertPool
	// Tickets opens resume tickets; nil: they are refused.
	Tickets *identity.Tickets
	// Interner has grants in common with others; nil: one of its own.
	Interner *identity.Interner
	// Workers verify signatures; 0: one for every two processors, and one at least.
	Workers int
	// Queue is how many tokens may wait for a worker; 0: DefaultQueue.
	Queue int
	// Cache is how many good tokens are known; 0: DefaultCache.
	Cache int
	// Now is the time by which tokens are judged; nil: time.Now.
	Now func() time.Time
	// Logger is told about keys that cannot be fetched; nil: slog.Default.
	Logger *slog.Logger
	// Previous is the verifier that the new one replaces. What it has fetched goes over to
	// the new one for each issuer that is configured as before, and so does what its caches
	// know. Close the previous one when nobody asks it any more.
	Previous *Verifier

	timing timing
}

// fill puts in what is not set.
func (o *Options) fill() {
	switch {
	case o.Leeway == 0:
		o.Leeway = DefaultLeeway
	case o.Leeway < 0:
		o.Leeway = 0
	}
	o.Workers = cmp.Or(max(o.Workers, 0), max(1, runtime.GOMAXPROCS(0)/2))
	o.Queue = cmp.Or(max(o.Queue, 0), DefaultQueue)
	o.Cache = cmp.Or(max(o.Cache, 0), DefaultCache)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Interner = cmp.Or(o.Interner, &identity.Interner{})
	o.timing = cmp.Or(o.timing, defaultTiming)
}

// New makes a verifier. It asks no server before it returns: tokens wait for the first
// keys.
func New(o Options) (*Verifier, error) {
	o.fill()
	v := &Verifier{
		issuers: map[string]*issuer{}, digests: map[identity.IssuerDigest]bool{}, options: o, leeway: int64(o.Leeway / time.Second),
		interner: o.Interner, now: o.Now, figures: &figures{},
		good: newCache(o.Cache, o.Cache*bytesPerEntry), bad: newCache(o.Cache/4, o.Cache/4*bytesPerEntry),
		closing: make(chan struct{}), swept: make(chan struct{}),
	}
	for n, config := range o.Issuers {
		name := config.Issuer
		if _, again := v.issuers[name]; again {
			return nil, fmt.Errorf("issuer %d: there are two with the name %q", n+1, name)
		}
		i, err := newIssuer(config, &o)
		if err != nil {
			return nil, fmt.Errorf("issuer %d (%q): %w", n+1, name, err)
		}
		v.issuers[name], v.digests[i.digest] = i, true
	}
	var err error
	if v.pool, err = newPool(o.Workers, o.Queue); err != nil {
		return nil, fmt.Errorf("making the pool: %w", err)
	}
	v.inherit(o.Previous)
	for _, i := range v.issuers {
		if i.config.JWKS != "" && i.remote == nil {
			i.remote = v.newRemote(i)
			i.remote.start()
		}
	}
	go v.sweep()
	return v, nil
}

// inherit takes over the issuers of a previous verifier that are configured as before,
// with their keys, and what is known of their tokens. Issuers that are not are retired,
// and with them what is known of theirs.
func (v *Verifier) inherit(previous *Verifier) {
	if previous == nil {
		return
	}
	v.figures = previous.figures
	before, now := &previous.options, &v.options
	fetchedAlike := before.KeysDir == now.KeysDir && before.RootCAs.Equal(now.RootCAs) && before.timing == now.timing
	for name, i := range v.issuers {
		if old := previous.issuers[name]; old != nil && old.same(i) && (old.remote == nil || fetchedAlike) {
			v.issuers[name] = old
		}
	}
	for name, old := range previous.issuers {
		if v.issuers[name] != old {
			old.retired.Store(true)
		}
	}
	// A token that was one of the issuer without a name may be another's now.
	renamed := v.issuers[""] != nil && !sameNames(v.issuers, previous.issuers)
	if before.Leeway == now.Leeway && before.Cache == now.Cache && !renamed {
		v.good, v.bad = previous.good, previous.bad
	}
	previous.successor.Store(v)
}

func sameNames(a, b map[string]*issuer) bool {
	return maps.EqualFunc(a, b, func(*issuer, *issuer) bool { return true })
}

func (v *Verifier) newRemote(i *issuer) *remote {
	r := &remote{
		fetcher: newFetcher(i.config.JWKS, i.config.Algorithms, v.options.KeysDir, v.options.RootCAs),
		timing:  v.options.timing, now: v.now, log: v.options.Logger, figures: v.figures,
	}
	if set := r.fetcher.saved(r.log); set != nil {
		r.set.Store(set)
	}
	return r
}
