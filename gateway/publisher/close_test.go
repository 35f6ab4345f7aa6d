package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/gateway/publisher"
)

func TestCloseFlushes(t *testing.T) {
	const events = 1000
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{CloseTimeout: patience})
	for i := range events {
		if err := p.Send(testContext(t), "news", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	// No waiting: Close returns when all was handled.
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.requests); n != events {
		t.Errorf("%d events arrived, want %d", n, events)
	}
}

func TestCloseFailsWhatIsPending(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) { return "", true }
	})
	var states []publisher.State
	p := dial(t, g, publisher.Config{
		CloseTimeout: 20 * time.Millisecond, MaxInFlight: 1,
		OnStateChange: func(s publisher.State, _ error) { states = append(states, s) },
	})
	ctx := testContext(t)
	if err := p.Send(ctx, "news", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	inFlight, waiting := make(chan error), make(chan error)
	publish := func(failed chan error) {
		_, err := p.Publish(ctx, "news", []byte(`2`))
		failed <- err
	}
	go publish(inFlight)
	g.awaitRequests(2)
	go publish(waiting)
	closed := make(chan error)
	go func() { closed <- p.Close() }()

	if err := receive(t, waiting, "the call without room"); !errors.Is(err, publisher.ErrClosed) || !errors.Is(err, publisher.ErrNotSent) {
		t.Errorf("without room: %v, want ErrClosed and ErrNotSent", err)
	}
	if err := receive(t, inFlight, "the call in flight"); !errors.Is(err, publisher.ErrClosed) || errors.Is(err, publisher.ErrNotSent) {
		t.Errorf("in flight: %v, want ErrClosed of unknown outcome", err)
	}
	var flush *publisher.FlushError
	if err := receive(t, closed, "Close"); !errors.As(err, &flush) || flush.Lost != 1 || !errors.Is(err, publisher.ErrClosed) {
		t.Errorf("Close: %v, want one event lost", err)
	}
	if fmt.Sprint(states) != "[connected closing closed]" {
		t.Errorf("states %v", states)
	}
}

func TestClosedPublisher(t *testing.T) {
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{})
	batch := p.NewBatch()
	_ = batch.Add("news", []byte(`1`))
	var closing sync.WaitGroup
	for range 4 {
		closing.Go(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closing.Wait()
	ctx := testContext(t)
	_, single := p.Publish(ctx, "news", []byte(`1`))
	_, many := p.PublishMany(ctx, []string{"news"}, []byte(`1`))
	send := p.Send(ctx, "news", []byte(`1`))
	sendBatch := batch.Send(ctx)
	_, publishBatch := batch.Publish(ctx)
	for call, err := range map[string]error{
		"Publish": single, "PublishMany": many, "Send": send, "Batch.Send": sendBatch,
		"Batch.Publish": publishBatch, "Flush": p.Flush(ctx),
	} {
		if !errors.Is(err, publisher.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", call, err)
		}
	}
	if p.State() != publisher.StateClosed {
		t.Errorf("state %v", p.State())
	}
}

func TestCloseIsBoundedAgainstAStalledGateway(t *testing.T) {
	reading := make(chan struct{})
	g := newGateway(t, func(g *gateway) { g.reading = reading })
	t.Cleanup(func() { close(reading) })
	p := dial(t, g, publisher.Config{CloseTimeout: 50 * time.Millisecond})
	data := []byte(`"` + strings.Repeat("x", 64<<10) + `"`)
	for ctx := until(t, 200*time.Millisecond); p.Send(ctx, "news", data) == nil; {
	}
	start := time.Now()
	var flush *publisher.FlushError
	if err := p.Close(); !errors.As(err, &flush) || flush.Lost == 0 {
		t.Errorf("Close: %v, want losses", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Close took %v", took)
	}
}

func TestCloseWhileReconnecting(t *testing.T) {
	g := newGateway(t, nil)
	gone := make(chan struct{})
	p := dial(t, g, publisher.Config{
		MinBackoff: time.Hour, MaxBackoff: time.Hour,
		OnStateChange: func(s publisher.State, cause error) {
			if s == publisher.StateConnecting && cause != nil {
				close(gone)
			}
		},
	})
	g.stop()
	receive(t, gone, "the disconnection")
	waiting := make(chan error)
	go func() {
		_, err := p.Publish(testContext(t), "news", []byte(`1`))
		waiting <- err
	}()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, waiting, "the waiting call"); !errors.Is(err, publisher.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestPublishersLeaveNoGoroutine(t *testing.T) {
	g := newGateway(t, nil)
	count := func() int { return strings.Count(stacks(), "fleetcast/gateway/publisher.(*") }
	before := count()
	for range 50 {
		p := dial(t, g, publisher.Config{OnError: func(*publisher.SendError) {}})
		if _, err := p.Publish(testContext(t), "news", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	g.await("the connections to end", func() bool { return len(g.conns) == 0 })
	for ctx := until(t, patience); count() > before; runtime.Gosched() {
		if ctx.Err() != nil {
			t.Fatalf("goroutines left:\n%s", stacks())
		}
	}
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

// Everything at once, with connections that break all the time: nothing may
// hang, and nothing may arrive twice.
func TestNothingIsDoubledWhenConnectionsBreak(t *testing.T) {
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{WriteBuffer: 4 << 10, MaxInFlight: 8})
	ctx := testContext(t)
	stop := make(chan struct{})
	var callers, cutter sync.WaitGroup
	cutter.Go(func() {
		for {
			n := len(g.awaitRequests(0))
			g.await("progress", func() bool {
				select {
				case <-stop:
					return true
				default:
					return len(g.requests) > n+50
				}
			})
			select {
			case <-stop:
				return
			default:
				g.cut()
			}
		}
	})
	for caller := range 8 {
		callers.Go(func() { breakingCaller(ctx, t, p, caller) })
	}
	callers.Wait()
	close(stop)
	g.mu.Lock()
	g.changed()
	g.mu.Unlock()
	cutter.Wait()
	_ = p.Close()
	seen := map[string]bool{}
	for _, r := range g.awaitRequests(0) {
		if seen[string(r.Data)] {
			t.Fatalf("event %s arrived twice", r.Data)
		}
		seen[string(r.Data)] = true
	}
}

// breakingCaller publishes in all ways and takes only losses for an answer.
func breakingCaller(ctx context.Context, t *testing.T, p *publisher.Publisher, caller int) {
	batch := p.NewBatch()
	for i := range 200 {
		data := fmt.Appendf(nil, `"%d-%d"`, caller, i)
		var err error
		switch i % 4 {
		case 0:
			_, err = p.Publish(ctx, "news", data)
		case 1:
			err = p.Send(ctx, "news", data)
		case 2:
			_ = batch.Add("news", data)
			err = batch.Send(ctx)
			batch.Reset()
		case 3:
			_ = batch.Add("news", data)
			_, err = batch.Publish(ctx)
		}
		if err != nil && !errors.Is(err, publisher.ErrDisconnected) {
			t.Errorf("caller %d, event %d: %v", caller, i, err)
			return
		}
	}
}
