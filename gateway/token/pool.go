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
	DefaultQueue = 4096
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
	close   sync.Once

	mu   sync.Mutex
	line *limits.Line[*job]
}

// job is one piece of work.
type job struct {
	ctx  context.Context
	run  func()
	err  error         // why run was not called; set before done is closed
	done chan struct{} // closed behind run, or if ctx had ended before it
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
			p.work(b)
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

// do has run called on a worker, for a client from an address, and waits for its end. The
// error is errBusy or that of ctx; after that of ctx, run may still be called.
func (p *pool) do(ctx context.Context, from netip.Addr, cost time.Duration, run func()) error {
	select {
	case <-p.closing:
		return errBusy
	default:
	}
	j := &job{ctx: ctx, run: run, done: make(chan struct{})}
	turn := p.queue(from, cost, j)
	if turn == nil {
		return errBusy
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.line.Remove(turn)
		return ctx.Err()
	case <-p.stopped: // it came after the workers had emptied the queue
		select {
		case <-j.done:
			return j.err
		default:
			return errBusy
		}
	}
}

// queue has a job wait for its turn. It returns nil if there is no room.
func (p *pool) queue(from netip.Addr, cost time.Duration, j *job) *limits.Waiting[*job] {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn, out := p.line.Add(from, int64(cost), j)
	for _, other := range out {
		other.Value.err = errBusy
		close(other.Value.done)
	}
	if turn == nil {
		return nil
	}
	select {
	case p.ready <- struct{}{}:
	default: // it has as many as the line may have
	}
	return turn
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
	if j.ctx.Err() == nil {
		j.run()
	}
	close(j.done)
	return time.Since(start)
}

// stop takes no more work, and returns when what waited is done.
func (p *pool) stop() {
	p.close.Do(func() { close(p.closing) })
	<-p.stopped
}
