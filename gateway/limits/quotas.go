package limits

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	quotaStripes = 256
	// maxIdleQuotas bounds how many keys of one stripe are kept only for their rate,
	// when they have no connection left: 65,536 in all, some 10 MB. Beyond that, keys
	// are forgotten early, and their rate starts again.
	maxIdleQuotas = 256
)

// Quotas bounds, for each key of one kind, how many connections there are at a time and
// how often they come. It is touched when a connection opens and when it closes, never
// for a message. A key is kept while it has a connection, and after that until its
// whole rate is allowed again. Any goroutine may call its methods.
type Quotas[K comparable] struct {
	seed    maphash.Seed
	stripes [quotaStripes]quotaStripe[K]
	Kept    atomic.Int64 // keys
}

type quotaStripe[K comparable] struct {
	lock sync.Mutex
	keys map[K]*Quota[K]
	idle int // of them, those without a connection
}

// Quota is what one key uses. Its stripe's lock guards it, except the key.
type Quota[K comparable] struct {
	key  K
	open int           // connections
	due  time.Duration // of the bucket
}

// QuotaBounds are the same for all keys.
type QuotaBounds struct {
	Open int // connections of a key at a time; 0: no bound
	Rate Bucket
}

// quotaOutcome is the answer to a connection.
type quotaOutcome uint8

const (
	quotaLeft  quotaOutcome = iota // it is counted
	QuotaFull                      // its key has as many as it may
	QuotaOften                     // its key's have come too often
)

// NewQuotas makes quotas that nobody has used.
func NewQuotas[K comparable]() *Quotas[K] {
	q := &Quotas[K]{seed: maphash.MakeSeed()}
	for i := range q.stripes {
		q.stripes[i].keys = make(map[K]*Quota[K])
	}
	return q
}

func (q *Quotas[K]) stripe(key K) *quotaStripe[K] {
	return &q.stripes[maphash.Comparable(q.seed, key)%quotaStripes]
}

// Open counts a connection of key, if it stays within bounds. The caller must then give
// used to Close, once. If connections come too often, wait is after how long to try
// again.
func (q *Quotas[K]) Open(key K, bounds QuotaBounds, now time.Duration) (used *Quota[K], outcome quotaOutcome, wait time.Duration) {
	s := q.stripe(key)
	s.lock.Lock()
	defer s.lock.Unlock()
	used, known := s.keys[key]
	if !known {
		used = &Quota[K]{key: key}
	}
	if bounds.Open > 0 && used.open >= bounds.Open {
		return nil, QuotaFull, 0
	}
	if wait = bounds.Rate.take(&used.due, 1, now); wait > 0 {
		return nil, QuotaOften, wait
	}
	switch {
	case !known:
		s.keys[key] = used
		q.Kept.Add(1)
	case used.open == 0:
		s.idle--
	}
	used.open++
	return used, quotaLeft, 0
}

// Close ends what Open has counted.
func (q *Quotas[K]) Close(used *Quota[K], now time.Duration) {
	s := q.stripe(used.key)
	s.lock.Lock()
	defer s.lock.Unlock()
	if used.open--; used.open > 0 {
		return
	}
	s.idle++
	if used.due > now && s.idle > maxIdleQuotas {
		q.sweepStripe(s, now)
	}
	if used.due <= now || s.idle > maxIdleQuotas {
		q.forget(s, used)
	}
}

// Forgive clears what all keys have taken, because the rate has changed.
func (q *Quotas[K]) Forgive() {
	for i := range q.stripes {
		s := &q.stripes[i]
		s.lock.Lock()
		for _, used := range s.keys {
			used.due = 0
		}
		s.lock.Unlock()
	}
}

// Sweep forgets the keys that need not be kept.
func (q *Quotas[K]) Sweep(now time.Duration) {
	for i := range q.stripes {
		s := &q.stripes[i]
		s.lock.Lock()
		q.sweepStripe(s, now)
		s.lock.Unlock()
	}
}

func (q *Quotas[K]) sweepStripe(s *quotaStripe[K], now time.Duration) {
	if s.idle == 0 {
		return
	}
	for _, used := range s.keys {
		if used.open == 0 && used.due <= now {
			q.forget(s, used)
		}
	}
}

// forget drops a key without a connection.
func (q *Quotas[K]) forget(s *quotaStripe[K], used *Quota[K]) {
	delete(s.keys, used.key)
	s.idle--
	q.Kept.Add(-1)
}
