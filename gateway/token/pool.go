package token

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
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

// pool does work in a bounded number of goroutines, with a bounded queue. Any goroutine
// may use it.
type pool struct {
	jobs    chan *job
	queued  atomic.Int64  // costs that wait or are worked on, in nanoseconds
	most    int64         // bound of queued
	closing chan struct{} // closed when no more work is taken
	stopped chan struct{} // closed when all workers have ended
	close   sync.Once
}

// job is one piece of work.
type job struct {
	ctx  context.Context
	cost time.Duration
	run  func()
	done chan struct{} // closed behind run, or if ctx had ended before it
}

func newPool(workers, queue int) (*pool, error) {
	p := &pool{
		jobs: make(chan *job, queue), most: int64(workers) * int64(maxQueued),
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

// do has run called on a worker and waits for its end. The error is errBusy or that of
// ctx; run may then still be called.
func (p *pool) do(ctx context.Context, cost time.Duration, run func()) error {
	select {
	case <-p.closing:
		return errBusy
	default:
	}
	if p.queued.Add(int64(cost)) > p.most {
		p.queued.Add(-int64(cost))
		return errBusy
	}
	j := &job{ctx: ctx, cost: cost, run: run, done: make(chan struct{})}
	select {
	case p.jobs <- j:
	default:
		p.queued.Add(-int64(cost))
		return errBusy
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.stopped: // it came after the workers had emptied the queue
		select {
		case <-j.done:
			return nil
		default:
			return errBusy
		}
	}
}

// work takes jobs until the pool is closed and its queue is empty.
func (p *pool) work(b *breath) {
	var busy time.Duration
	for {
		select {
		case j := <-p.jobs:
			busy += p.do1(j)
		case <-p.closing:
			for {
				select {
				case j := <-p.jobs:
					p.do1(j)
				default:
					return
				}
			}
		}
		if busy >= workSlice {
			if err := b.take(); err != nil {
				runtime.Gosched() // the second best
			}
			busy = 0
		}
	}
}

// do1 does one job and returns how long it took.
func (p *pool) do1(j *job) time.Duration {
	start := time.Now()
	if j.ctx.Err() == nil {
		j.run()
	}
	p.queued.Add(-int64(j.cost))
	close(j.done)
	return time.Since(start)
}

// stop takes no more work, and returns when what waited is done.
func (p *pool) stop() {
	p.close.Do(func() { close(p.closing) })
	<-p.stopped
}
