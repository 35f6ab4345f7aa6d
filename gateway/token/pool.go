package token

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"fleetcast/gateway/limits"
)

// Bounds of the pool where Options names none.
const (
	DefaultQueue = 8192
	// maxQueued is how much work may wait for each worker, by costOf. Who came last waits
	// about that long.
	maxQueued = 2 * time.Second
)

// workSlice is how long a worker computes before it lets the loops of its processor look
// at their sockets.
const workSlice = 250 * time.Microsecond

// pool does work in a bounded number of goroutines, with a bounded queue, which addresses
// share. Any goroutine may use it.
type pool struct {
	ready   chan struct{} // has no fewer entries than line
	closing chan struct{} // closed when no more work is taken
	stopped chan struct{} // closed when all workers have ended

	mu     sync.Mutex
	line   *limits.Line[*job]
	closed bool
}

// job is one piece of work.
type job struct {
	ctx       context.Context
	run       func(error) // see pool.do
	turn      *limits.Waiting[*job]
	unwatched func() bool // ends the wait for the end of the job's context
}

func newPool(workers, queue int) (*pool, error) {
	p := &pool{
		ready: make(chan struct{}, queue), line: limits.NewLine[*job](queue, int64(workers)*int64(maxQueued)),
		closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	var breaths []*breath
	for range workers {
		b, err := newBreath()
		if err != nil {
			for _, b := range breaths {
				b.close()
			}
			return nil, err
		}
		breaths = append(breaths, b)
	}
	var all sync.WaitGroup
	for _, b := range breaths {
		all.Go(func() {
			defer b.close()
			onNiceThread(func() { p.work(b) })
		})
	}
	go func() {
		all.Wait()
		close(p.stopped)
	}()
	return p, nil
}

// errBusy means that the pool is full, or closed.
var errBusy = errors.New("the pool is full")

// do has run called once, for a client from an address: on a worker with nil, or with the
// reason why its turn does not come, errBusy or that of ctx. In the second case it may be
// called before do returns. run must not wait for anything.
func (p *pool) do(ctx context.Context, from netip.Addr, cost time.Duration, run func(error)) {
	j := &job{ctx: ctx, run: run}
	added, out := p.queue(from, cost, j)
	for _, other := range out {
		other.Value.unwatched()
		other.Value.run(errBusy)
	}
	if !added {
		run(errBusy)
	}
}

// queue has a job wait for its turn, and returns those that it pushes out. added is false if
// there is no room.
func (p *pool) queue(from netip.Addr, cost time.Duration, j *job) (added bool, out []*limits.Waiting[*job]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false, nil
	}
	j.turn, out = p.line.Add(from, int64(cost), j)
	if j.turn == nil {
		return false, out
	}
	j.unwatched = context.AfterFunc(j.ctx, func() {
		if p.remove(j) {
			j.run(j.ctx.Err())
		}
	})
	select {
	case p.ready <- struct{}{}:
	default: // it has as many as the line may have
	}
	return true, out
}

// remove takes a job out of the line, and tells whether it was in it.
func (p *pool) remove(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line.Remove(j.turn)
}

// next is the job whose turn it is, nil if there is none.
func (p *pool) next() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if turn := p.line.Next(); turn != nil {
		return turn.Value
	}
	return nil
}

// waiting is how many jobs wait.
func (p *pool) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line.Len()
}

// work takes jobs until the pool is closed and its queue is empty.
func (p *pool) work(b *breath) {
	var busy time.Duration
	for {
		select {
		case <-p.ready:
			if j := p.next(); j != nil { // else it was pushed out, or its client has gone
				busy += j.do()
			}
		case <-p.closing:
			for j := p.next(); j != nil; j = p.next() {
				j.do()
			}
			return
		}
		if busy >= workSlice {
			if err := b.take(); err != nil {
				runtime.Gosched() // the second best
			}
			busy = 0
		}
	}
}

// do does the job and returns how long it took.
func (j *job) do() time.Duration {
	start := time.Now()
	j.unwatched()
	j.run(j.ctx.Err())
	return time.Since(start)
}

// stop takes no more work, and returns when what waited is done.
func (p *pool) stop() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
	}
	p.mu.Unlock()
	<-p.stopped
}
