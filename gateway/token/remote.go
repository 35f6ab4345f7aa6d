package token

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// timing is when keys are fetched. Tests shorten it.
type timing struct {
	every     time.Duration // between refreshes, with a tenth more or less
	retry     time.Duration // after the first failure; it doubles up to every
	unknown   time.Duration // between refreshes for the sake of unknown keys
	tokenWait time.Duration // how long a token waits for keys
	timeout   time.Duration // of one fetch
}

var defaultTiming = timing{
	every:     10 * time.Minute,
	retry:     5 * time.Second,
	unknown:   30 * time.Second,
	tokenWait: 2 * time.Second,
	timeout:   5 * time.Second,
}

// maxWaiting is how many tokens may wait for the keys of one issuer at a time.
const maxWaiting = 1024

// maxMissing is how many key ids are remembered that the last fetch did not bring.
const maxMissing = 256

// remote keeps the keys of one issuer that are fetched from a URL. The last good ones
// stay until others come: a server that fails, stalls, or answers without keys changes
// nothing. Any goroutine may use it.
//
// One goroutine fetches: at the start, now and then, and when a token names a key that
// is not there, the last at most once in timing.unknown.
type remote struct {
	fetcher fetcher
	timing  timing
	now     func() time.Time
	log     *slog.Logger
	figures *figures

	set  atomic.Pointer[keySet] // nil until there is one
	wake chan struct{}          // has room for one: fetch now
	stop context.CancelFunc
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	round   *round    // that is under way or asked for; nil between rounds
	asked   time.Time // when the last round for the sake of a token began
	waiting int       // tokens
	missing map[string]bool
	failing bool // the last round failed
}

// round is one fetch, for those who wait for it.
type round struct {
	done   chan struct{}   // closed when it is over
	wanted map[string]bool // ids of keys that tokens wait for
	err    error           // set before done is closed
}

// start begins to fetch. Keys that were read from disk are there already.
func (r *remote) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.done, r.wake = cancel, make(chan struct{}), make(chan struct{}, 1)
	r.round = newRound()
	go r.run(ctx)
}

func newRound() *round { return &round{done: make(chan struct{}), wanted: map[string]bool{}} }

func (r *remote) close() {
	r.stop()
	<-r.done
}

// run fetches until ctx ends.
func (r *remote) run(ctx context.Context) {
	defer close(r.done)
	retry := r.timing.retry
	for {
		err := r.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		next := r.timing.every
		if err != nil {
			next, retry = retry, min(2*retry, r.timing.every)
		} else {
			retry = r.timing.retry
		}
		select {
		case <-time.After(jittered(next)):
		case <-r.wake:
		case <-ctx.Done():
			return
		}
	}
}

// jittered spreads a time by a tenth up and down, so that gateways which started
// together do not ask together.
func jittered(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

// refresh is one round.
func (r *remote) refresh(ctx context.Context) error {
	r.mu.Lock()
	if r.round == nil {
		r.round = newRound()
	}
	current := r.round
	r.mu.Unlock()

	set, body, err := r.fetcher.fetch(ctx, r.timing.timeout)
	if ctx.Err() == nil {
		r.figures.fetched(err)
	}
	if err == nil {
		if r.replace(set) {
			r.fetcher.save(body, r.log)
			r.fetcher.tellSkipped(set, r.log)
		}
	}

	r.mu.Lock()
	current.err = err
	r.round = nil
	if err == nil {
		r.missing = map[string]bool{}
		for id := range current.wanted {
			if !set.names(id) {
				r.missing[id] = true
			}
		}
	}
	select { // whoever asked until now is answered by this round
	case <-r.wake:
	default:
	}
	r.tell(ctx, err, set)
	r.mu.Unlock()
	close(current.done)
	return err
}

// tell logs where things change, and not each failure of many.
func (r *remote) tell(ctx context.Context, err error, set *keySet) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !r.failing:
		r.failing = true
		r.log.Warn("the keys of an issuer cannot be fetched; the last ones stay", "url", r.fetcher.shown(), "keys", keyCount(r.set.Load()), "error", err)
	case err == nil && r.failing:
		r.failing = false
		r.log.Info("the keys of an issuer can be fetched again", "url", r.fetcher.shown(), "keys", len(set.keys))
	}
}

// isFailing tells whether the keys could not be fetched the last time.
func (r *remote) isFailing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failing
}

func keyCount(set *keySet) int {
	if set == nil {
		return 0
	}
	return len(set.keys)
}

// replace makes a set the current one, unless it has the same keys. Keys that are in both
// stay the same objects, and those that are gone are retired: with them ends what the
// caches know by them.
func (r *remote) replace(set *keySet) (changed bool) {
	before := r.set.Load()
	if before == nil {
		r.set.Store(set)
		return true
	}
	old := map[[32]byte]*key{}
	for _, k := range before.keys {
		old[k.print] = k
	}
	kept := 0
	for i, k := range set.keys {
		if same := old[k.print]; same != nil {
			set.keys[i] = same
			delete(old, k.print)
			kept++
		}
	}
	if len(old) == 0 && kept == len(set.keys) {
		return false
	}
	r.set.Store(set)
	for _, k := range old {
		k.retired.Store(true)
	}
	return true
}

// find returns the keys for a token as things stand, without waiting. The refusal says
// what is known for certain. With neither, more keys may come: see wait.
func (r *remote) find(alg algorithm, kid string) ([]*key, *Refusal) {
	set := r.set.Load()
	if found := set.candidates(alg, kid); len(found) > 0 {
		return found, nil
	}
	if kid != "" && set.names(kid) {
		return nil, refuse(Invalid, "the key %.80q of the token's issuer is not one for the algorithm %s", kid, alg.name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if set != nil && r.missing[kid] && !r.mayAsk() {
		return nil, unknownKey(kid, alg)
	}
	return nil, nil
}

func unknownKey(kid string, alg algorithm) *Refusal {
	if kid == "" {
		return refuse(UnknownKey, "the token's issuer has no key for the algorithm %s", alg.name)
	}
	return refuse(UnknownKey, "the token's issuer has no key with the id %.80q (kid)", kid)
}

// mayAsk tells whether a token may cause a round now. r.mu is held.
func (r *remote) mayAsk() bool { return r.asked.IsZero() || r.now().Sub(r.asked) >= r.timing.unknown }

// wait has the keys fetched for the sake of a token, if that is due, and waits until they
// are there, no longer than timing.tokenWait. It returns nil if a round has ended well
// since the call.
func (r *remote) wait(ctx context.Context, kid string) *Refusal {
	r.mu.Lock()
	if r.waiting >= maxWaiting {
		r.mu.Unlock()
		return refuse(Busy, "too many tokens wait for the keys of their issuer; try again")
	}
	if r.round == nil {
		if !r.mayAsk() {
			r.mu.Unlock()
			return refuse(KeysUnavailable, "the key of the token is not known, and the keys of its issuer were asked for a moment ago; try again")
		}
		r.asked = r.now()
		r.round = newRound()
		r.wake <- struct{}{} // there is room: without a round nobody has asked
	}
	current := r.round
	if len(current.wanted) < maxMissing {
		current.wanted[kid] = true
	}
	r.waiting++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.waiting--
		r.mu.Unlock()
	}()

	limit := time.NewTimer(r.timing.tokenWait)
	defer limit.Stop()
	select {
	case <-current.done:
		if current.err == nil {
			return nil
		}
	case <-limit.C:
	case <-r.done:
	case <-ctx.Done():
	}
	return refuse(KeysUnavailable, "the keys of the token's issuer cannot be fetched; try again")
}
