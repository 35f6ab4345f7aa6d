package plainhttp

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Places bounds how many requests of one kind are served at a time. When all places are
// taken, a new request gets the place of the request that has had its place longest, if
// that is longer than sure. Most probably the client of that request neither sends nor
// reads. Any goroutine may call it.
type Places struct {
	Limit int
	Sure  time.Duration // 0: a request keeps its place
	Busy  http.Handler  // answers requests that find no place

	mu    sync.Mutex
	taken []*place // in the order in which they were taken
}

// place is one request that is served.
type place struct {
	since time.Time
	cut   func() // ends the request and its connection
}

// Bound serves by next the requests that get a place.
func (p *Places) Bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		control := http.NewResponseController(w)
		mine := &place{since: time.Now(), cut: func() {
			cancel()
			past := time.Unix(1, 0)
			_ = control.SetReadDeadline(past) // only connections outside of a network have no deadlines
			_ = control.SetWriteDeadline(past)
		}}
		if !p.take(mine) {
			p.Busy.ServeHTTP(w, r)
			return
		}
		defer p.leave(mine)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (p *Places) take(mine *place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.taken) >= p.Limit {
		oldest := p.taken[0]
		if p.Sure == 0 || mine.since.Sub(oldest.since) < p.Sure {
			return false
		}
		oldest.cut()
		p.taken = slices.Delete(p.taken, 0, 1)
	}
	p.taken = append(p.taken, mine)
	return true
}

// leave gives back a place. From then on the request is not cut, because its connection
// may be serving another one.
func (p *Places) leave(mine *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.taken, mine); i >= 0 {
		p.taken = slices.Delete(p.taken, i, i+1)
	}
}
