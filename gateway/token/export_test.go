package token

import (
	"context"
	"net/netip"
	"time"
)

// SetTiming shortens the times of fetching. The zero value of a time is its default.
func (o *Options) SetTiming(every, retry, unknown, tokenWait, timeout time.Duration) {
	o.timing = defaultTiming
	for _, t := range []struct {
		to    *time.Duration
		value time.Duration
	}{{&o.timing.every, every}, {&o.timing.retry, retry}, {&o.timing.unknown, unknown}, {&o.timing.tokenWait, tokenWait}, {&o.timing.timeout, timeout}} {
		if t.value != 0 {
			*t.to = t.value
		}
	}
}

// Sweep is what a verifier does once a minute.
func (v *Verifier) Sweep() {
	now := v.now().Unix()
	v.good.sweep(now)
	v.bad.sweep(now)
}

// Occupy has all workers busy until the returned function is called.
func (v *Verifier) Occupy() (release func()) {
	hold := make(chan struct{})
	for range v.options.Workers {
		held := make(chan struct{})
		v.pool.do(context.Background(), netip.Addr{}, 1, func(error) {
			close(held)
			<-hold
		})
		<-held
	}
	return func() { close(hold) }
}
