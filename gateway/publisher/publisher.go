package publisher

import (
	"container/list"
	"context"
	"fmt"
	"sync"
)

// State is what a Publisher's connection is doing.
type State uint8

// The states of a Publisher. It begins connected, goes back and forth between
// the first two, and ends through the last two.
const (
	StateConnecting State = iota // there is no connection; attempts continue
	StateConnected               // events are written
	StateClosing                 // Close waits for what was sent
	StateClosed                  // final
)

// String returns the state's name.
func (s State) String() string {
	names := [...]string{StateConnecting: "connecting", StateConnected: "connected", StateClosing: "closing", StateClosed: "closed"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Publisher publishes events over one connection that it keeps up. Any goroutine
// may call its methods. See the package's documentation for what it promises.
type Publisher struct {
	addr string
	cfg  Config

	life    context.Context // ends when no connection is wanted any more
	endLife context.CancelFunc
	stopped chan struct{} // closed when the writer's goroutine has ended
	closed  chan struct{} // closed when Close is done

	mu      sync.Mutex
	state   State
	link    *link     // not nil exactly in StateConnected, and in StateClosing while it lives
	waiters list.List // of *waiter
	sends   uint64    // events that Send accepted
	failed  FlushError

	notices    []notice // for the user, oldest first
	delivering bool     // a goroutine delivers notices
}

// Dial connects to the publish port at addr ("host:port") with the default
// Config.
func Dial(ctx context.Context, addr string) (*Publisher, error) {
	return Config{}.Dial(ctx, addr)
}

// Dial connects to the publish port at addr ("host:port"). It makes one attempt,
// which ctx and DialTimeout bound, and fails if that fails; later the Publisher
// reconnects by itself. ctx has no effect once Dial has returned. The Publisher
// must be closed after use.
func (c Config) Dial(ctx context.Context, addr string) (*Publisher, error) {
	cfg, err := c.complete()
	if err != nil {
		return nil, err
	}
	conn, err := cfg.connect(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	p := &Publisher{
		addr: addr, cfg: cfg,
		stopped: make(chan struct{}), closed: make(chan struct{}),
	}
	p.life, p.endLife = context.WithCancel(context.Background())
	l := newLink(p, conn)
	p.install(l)
	go p.run(l)
	return p, nil
}

// State returns what the connection is doing. It may have changed since.
func (p *Publisher) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// RateLeft returns how many events the gateway's --publisher-rate, and the rate of the
// key, allowed this connection at once when it answered the last Publish or PublishMany. Each channel of
// an event counts. Events sent afterwards are not subtracted. limited is false if there
// is no such rate, or it is not known yet for this connection. A caller that sends no
// more than that before the next Publish is not refused with [CodeRateLimited], and so
// keeps the order of events.
func (p *Publisher) RateLeft() (events int, limited bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil || p.link.rateLeft < 0 {
		return 0, false
	}
	return p.link.rateLeft, true
}

// setState is the one place where the state changes. cause may be nil.
// Publisher.mu is held.
func (p *Publisher) setState(s State, cause error) {
	p.state = s
	p.notify(notice{state: s, cause: cause})
	p.admit()
}

// install makes l the link that callers use, and starts it. It reports false if
// none is wanted any more.
func (p *Publisher) install(l *link) bool {
	p.mu.Lock()
	if p.state >= StateClosing {
		p.mu.Unlock()
		_ = l.conn.Close()
		return false
	}
	l.sendsBase = p.sends
	p.link = l
	p.setState(StateConnected, nil)
	p.mu.Unlock()
	l.start()
	return true
}

// unlink takes an ended link away from callers. Publisher.mu is held.
func (p *Publisher) unlink(l *link, cause error) {
	if p.link != l {
		return
	}
	p.link = nil
	if p.state == StateConnected {
		p.setState(StateConnecting, cause)
	}
}

// Publish publishes data, one JSON value, to channel and waits until the gateway
// has sequenced it. Data of several lines is compacted; any other goes out byte
// for byte. The data is not kept after the call.
//
// If the error matches [*Error], the event was refused; if it matches
// [ErrNotSent], it never left. Otherwise (the context ended, the connection
// broke, the Publisher was closed) it may or may not have been sequenced. With
// [Config].Repeat it is published again when the connection breaks, until ctx ends.
func (p *Publisher) Publish(ctx context.Context, channel string, data []byte, options ...EventOption) (Result, error) {
	data, o, size, err := p.checkEvent([]string{channel}, bodyLength(channel), data, p.named(options))
	if err != nil {
		return Result{}, err
	}
	var outcome Outcome
	err = p.repeat(ctx, func() error {
		outcome = p.publish(ctx, channel, &o, data, size)
		return outcome.Err
	})
	if err != nil {
		return Result{}, fmt.Errorf("publishing to channel %q: %w", channel, err)
	}
	return outcome.Result, nil
}

// publish is one attempt of Publish, with what checkEvent returns.
func (p *Publisher) publish(ctx context.Context, channel string, o *eventOptions, data []byte, size int) Outcome {
	l, err := p.acquire(ctx, room{size, 1}, nil)
	if err != nil {
		return Outcome{Err: err}
	}
	c := newCall(channel)
	l.put(c, 0)
	l.pending = appendBody(l.pending, channel, o, data)
	l.rouse()
	p.mu.Unlock()

	if err := p.await(ctx, c); err != nil {
		return Outcome{Err: err}
	}
	outcome := c.outcome[0]
	c.recycle()
	return outcome
}

// PublishMany publishes data to each of the channels, in one request, and waits
// until the gateway has sequenced it in all. The results are in the order of
// channels; errors are those of Publish.
//
// If the gateway refuses one of the channels, it refuses all of them: an *[Error]
// says that the event was sequenced in none.
func (p *Publisher) PublishMany(ctx context.Context, channels []string, data []byte, options ...EventOption) ([]Result, error) {
	if len(channels) == 0 {
		return nil, fmt.Errorf("publishing: %w", &Error{Code: CodeBadRequest, Message: "no channel"})
	}
	data, o, size, err := p.checkEvent(channels, bodyLengthMany(channels), data, p.named(options))
	if err != nil {
		return nil, err
	}
	if o.expects {
		return nil, fmt.Errorf("publishing: %w", &Error{Code: CodeBadRequest, Message: "WithExpect is for one channel: use Publish"})
	}
	var results []Result
	err = p.repeat(ctx, func() (err error) {
		results, err = p.publishMany(ctx, channels, &o, data, size)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("publishing to %d channels: %w", len(channels), err)
	}
	return results, nil
}

// publishMany is one attempt of PublishMany, with what checkEvent returns.
func (p *Publisher) publishMany(ctx context.Context, channels []string, o *eventOptions, data []byte, size int) ([]Result, error) {
	l, err := p.acquire(ctx, room{size, 1}, nil)
	if err != nil {
		return nil, err
	}
	c := newCallOf(callAll, channels)
	l.put(c, 0)
	l.pending = appendBodyMany(l.pending, channels, o, data)
	l.rouse()
	p.mu.Unlock()

	if err := p.await(ctx, c); err != nil {
		return nil, err
	}
	outcomes := c.outcomes
	c.recycle()
	results := make([]Result, len(outcomes))
	for i := range outcomes {
		if err := outcomes[i].Err; err != nil {
			return nil, err
		}
		results[i] = outcomes[i].Result
	}
	return results, nil
}

// Send publishes data, one JSON value, to channel without waiting for a reply. It
// returns nil once the event is in the write buffer, from which it is written at once.
// It waits only for room there, or for a connection. The data is not kept after the
// call.
//
// What becomes of the event is told to Config.OnError if it is refused or lost,
// and to the next Flush. An error of Send itself says that the event was not
// sent: it matches [ErrNotSent] or [*Error].
func (p *Publisher) Send(ctx context.Context, channel string, data []byte, options ...EventOption) error {
	data, o, size, err := p.checkEvent([]string{channel}, bodyLength(channel), data, options)
	if err != nil {
		return err
	}
	l, err := p.acquire(ctx, room{bytes: size}, nil)
	if err != nil {
		return fmt.Errorf("sending to channel %q: %w", channel, err)
	}
	l.put(nil, 0)
	l.pending = appendBody(l.pending, channel, &o, data)
	l.rouse()
	p.mu.Unlock()
	return nil
}

// checkEvent returns the data to write, the options, and a bound of the request's size, whose
// body has overhead bytes beside both.
func (p *Publisher) checkEvent(channels []string, overhead int, given []byte, options []EventOption) (data []byte, o eventOptions, size int, err error) {
	o, err = optionsOf(options)
	for _, channel := range channels {
		if err == nil {
			err = checkChannel(channel)
		}
	}
	if err == nil {
		data, err = checkData(given)
	}
	size = requestOverhead + overhead + o.length() + len(data)
	if err == nil && size > p.cfg.WriteBuffer {
		err = &Error{Code: CodeLimitExceeded,
			Message: fmt.Sprintf("a request of %d bytes exceeds the write buffer of %d", size, p.cfg.WriteBuffer)}
	}
	if err != nil {
		return nil, o, 0, fmt.Errorf("publishing: %w", err)
	}
	return data, o, size, nil
}

// await returns nil when c has ended; its outcomes are then the caller's. If ctx
// ends first, c is abandoned, and the caller must not touch it again.
func (p *Publisher) await(ctx context.Context, c *call) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.left == 0 {
		<-c.done
		return nil
	}
	c.abandoned = true
	return ctx.Err()
}
