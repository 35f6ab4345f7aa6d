package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/publisher"
)

func TestStalledGatewayBoundsMemory(t *testing.T) {
	reading := make(chan struct{})
	g := newGateway(t, func(g *gateway) { g.reading = reading })
	t.Cleanup(func() {
		select {
		case <-reading:
		default:
			close(reading)
		}
	})
	p := dial(t, g, publisher.Config{WriteBuffer: 256 << 10})
	data := []byte(`"` + strings.Repeat("x", 64<<10) + `"`)
	before := heap()
	sent := 0
	var err error
	fill := func() {
		for err = nil; err == nil; sent++ {
			err = p.Send(until(t, 300*time.Millisecond), "news", data)
		}
		sent--
	}
	fill()
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, publisher.ErrNotSent) {
		t.Fatalf("error %v, want DeadlineExceeded and ErrNotSent", err)
	}
	// What the kernel's buffers hold is not ours. Two buffers of 256 KiB, with
	// slack for the growth of slices and the runtime.
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("%d bytes of heap for 512 KiB of buffers", grown)
	}
	// Publish waits just the same. On a busy machine the kernel may take more meanwhile.
	for tries := 0; ; tries++ {
		_, err := p.Publish(until(t, 10*time.Millisecond), "news", data)
		if errors.Is(err, publisher.ErrNotSent) {
			break
		}
		if sent++; tries == 20 {
			t.Fatalf("Publish: %v, want ErrNotSent", err)
		}
		fill()
	}
	close(reading)
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if n := len(g.awaitRequests(sent)); n != sent {
		t.Errorf("%d events arrived of %d accepted", n, sent)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestGatewayThatTakesNothingIsGivenUp(t *testing.T) {
	reading := make(chan struct{})
	g := newGateway(t, func(g *gateway) { g.reading = reading })
	t.Cleanup(func() { close(reading) })
	lost := make(chan *publisher.SendError, 10)
	p := dial(t, g, publisher.Config{
		WriteTimeout: 50 * time.Millisecond, WriteBuffer: 1 << 20,
		OnError: func(err *publisher.SendError) {
			select {
			case lost <- err:
			default:
			}
		},
	})
	data := []byte(`"` + strings.Repeat("x", 500_000) + `"`)
	for range 50 {
		if err := p.Send(testContext(t), "news", data); err != nil {
			t.Fatal(err)
		}
	}
	if err := receive(t, lost, "the loss"); !errors.Is(err, publisher.ErrDisconnected) {
		t.Errorf("error %v", err)
	}
	g.await("the next connection", func() bool { return g.accepted >= 2 })
}

func TestMaxInFlight(t *testing.T) {
	const most = 8
	silent := true
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) { return "", silent && r.conn == 1 }
	})
	p := dial(t, g, publisher.Config{MaxInFlight: most})
	ctx, cancel := context.WithCancel(testContext(t))
	failed := make(chan error)
	for range most {
		go func() {
			_, err := p.Publish(ctx, "news", []byte(`1`))
			failed <- err
		}()
	}
	g.awaitRequests(most)
	// Requests whose callers have gone await their replies all the same.
	cancel()
	for range most {
		if err := receive(t, failed, "a cancelled call"); errors.Is(err, publisher.ErrNotSent) {
			t.Errorf("error %v of a request that was sent", err)
		}
	}
	_, err := p.Publish(until(t, 20*time.Millisecond), "news", []byte(`1`))
	if !errors.Is(err, publisher.ErrNotSent) {
		t.Errorf("error %v, want ErrNotSent", err)
	}
	// A Send awaits no reply and passes.
	if err := p.Send(testContext(t), "news", []byte(`1`)); err != nil {
		t.Error(err)
	}
	g.awaitRequests(most + 1)
	g.cut()
	if _, err := p.Publish(testContext(t), "news", []byte(`1`)); err != nil {
		t.Errorf("on the next connection: %v", err)
	}
}

func TestFlushReportsRefusals(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			if r.ID == nil && r.line%3 == 0 {
				return lineError(r.line, "limit_exceeded"), true
			}
			return "", false
		}
	})
	var refused []uint64
	var log bytes.Buffer
	p := dial(t, g, publisher.Config{
		OnError: func(err *publisher.SendError) { refused = append(refused, err.First) },
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	ctx := testContext(t)
	for range 7 {
		if err := p.Send(ctx, "news", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	err := p.Flush(ctx)
	var flush *publisher.FlushError
	var gatewayError *publisher.Error
	if !errors.As(err, &flush) || flush.Refused != 2 || flush.Lost != 0 || flush.First.First != 3 ||
		!errors.As(err, &gatewayError) || gatewayError.Code != "limit_exceeded" {
		t.Errorf("Flush: %v", err)
	}
	// No lock: Flush returns after OnError has.
	if fmt.Sprint(refused) != "[3 6]" {
		t.Errorf("OnError was told of %v, want [3 6]", refused)
	}
	if !strings.Contains(log.String(), "first=3") || strings.Count(log.String(), "limit_exceeded") != 2 {
		t.Errorf("log: %s", log.String())
	}
	if err := p.Flush(ctx); err != nil {
		t.Errorf("second Flush: %v", err)
	}
}

// Refusals in a row with one code are one report, as far as they wait for OnError.
func TestRefusalsInARow(t *testing.T) {
	const events = 5000
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) { return lineError(r.line, "rate_limited"), r.ID == nil }
	})
	release := make(chan struct{})
	var reports []publisher.SendError
	var log bytes.Buffer
	p := dial(t, g, publisher.Config{
		OnError: func(err *publisher.SendError) {
			<-release
			reports = append(reports, *err)
		},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	ctx := testContext(t)
	for range events {
		if err := p.Send(ctx, "news", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Publish(ctx, "news", []byte(`1`)); err != nil { // behind them all
		t.Fatal(err)
	}
	close(release)
	var flush *publisher.FlushError
	if err := p.Flush(ctx); !errors.As(err, &flush) || flush.Refused != events || flush.First.First != 1 {
		t.Errorf("Flush: %v", err)
	}
	next := uint64(1)
	for _, report := range reports {
		if report.First != next {
			t.Errorf("behind event %d comes a report of %d to %d", next-1, report.First, report.Last)
		}
		next = report.Last + 1
	}
	// The first may be on its way before there is a second, as may what waited then.
	if len(reports) > 3 || next != events+1 || strings.Count(log.String(), "rate_limited") != len(reports) {
		t.Errorf("%d reports came, up to event %d; log: %.500s", len(reports), next-1, log.String())
	}
}

func TestBlockedCallbackStopsNobody(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			return lineError(r.line, []string{"internal", "not_available"}[r.line%2]), r.ID == nil
		}
	})
	release := make(chan struct{})
	p := dial(t, g, publisher.Config{OnError: func(*publisher.SendError) { <-release }})
	t.Cleanup(func() { close(release) })
	ctx := testContext(t)
	for range 5000 {
		if err := p.Send(ctx, "news", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Publish(ctx, "news", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	// So many reports are queued that the rest was dropped: Flush counts them.
	var flush *publisher.FlushError
	if err := p.Flush(ctx); !errors.As(err, &flush) || flush.Refused != 5000 {
		t.Errorf("Flush: %v, want 5000 refused", err)
	}
}

func TestFlushWaitsNoLongerThanItsContext(t *testing.T) {
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) { return "", true }
	})
	p := dial(t, g, publisher.Config{})
	if err := p.Send(testContext(t), "news", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(until(t, 10*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush: %v", err)
	}
}

func TestBatch(t *testing.T) {
	const events = 500
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) {
			if r.ID != nil && string(r.Data) == "7" {
				return idError(*r.ID, "rate_limited"), true
			}
			return "", false
		}
	})
	// Smaller than the batch, so that it goes out in pieces.
	p := dial(t, g, publisher.Config{WriteBuffer: 512, MaxInFlight: 3})
	ctx := testContext(t)
	batch := p.NewBatch()
	fill := func() {
		for i := range events {
			if err := batch.Add("news", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	if err := batch.Send(ctx); err != nil {
		t.Fatal(err)
	}
	fill()
	outcomes, err := batch.Publish(ctx)
	var refused *publisher.Error
	if !errors.As(err, &refused) || refused.Code != "rate_limited" {
		t.Errorf("error %v, want that of event 7", err)
	}
	if batch.Len() != 0 || len(outcomes) != events {
		t.Fatalf("%d events left, %d outcomes", batch.Len(), len(outcomes))
	}
	for i, o := range outcomes {
		offset := uint64(events + i + 1)
		if i > 7 {
			offset--
		}
		if (o.Err != nil) != (i == 7) || o.Err == nil && o.Offset != offset {
			t.Fatalf("outcome %d: %+v", i, o)
		}
	}
	for i, r := range g.awaitRequests(2 * events) {
		if string(r.Data) != fmt.Sprint(i%events) {
			t.Fatalf("event %d is %s", i, r.Data)
		}
	}
	if outcomes, err := batch.Publish(ctx); err != nil || outcomes != nil {
		t.Errorf("an empty batch: %v, %v", outcomes, err)
	}
}

// Events that did not fit before the context ended stay in the batch.
func TestBatchKeepsWhatWasNotSent(t *testing.T) {
	g := newGateway(t, nil)
	p := dial(t, g, publisher.Config{})
	batch := p.NewBatch()
	for i := range 10 {
		_ = batch.Add(fmt.Sprint("c", i), fmt.Append(nil, i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := batch.Send(ctx); !errors.Is(err, publisher.ErrNotSent) || batch.Len() != 10 {
		t.Errorf("error %v, %d left", err, batch.Len())
	}
	if err := batch.Send(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for i, r := range g.awaitRequests(10) {
		if *r.Channel != fmt.Sprint("c", i) || string(r.Data) != fmt.Sprint(i) {
			t.Errorf("event %d is %s", i, r.raw)
		}
	}
}

// A batch that was begun on one connection is not continued on the next.
func TestBatchEndsWithItsConnection(t *testing.T) {
	const inFlight = 4
	g := newGateway(t, func(g *gateway) {
		g.answer = func(r request) (string, bool) { return "", r.conn == 1 }
	})
	p := dial(t, g, publisher.Config{MaxInFlight: inFlight})
	batch := p.NewBatch()
	for i := range 10 {
		_ = batch.Add("news", fmt.Append(nil, i))
	}
	done := make(chan []publisher.Outcome)
	go func() {
		outcomes, _ := batch.Publish(testContext(t))
		done <- outcomes
	}()
	g.awaitRequests(inFlight)
	g.cut()
	for i, o := range receive(t, done, "the batch") {
		if !errors.Is(o.Err, publisher.ErrDisconnected) || errors.Is(o.Err, publisher.ErrNotSent) != (i >= inFlight) {
			t.Errorf("outcome %d: %v", i, o.Err)
		}
	}
	if _, err := p.Publish(testContext(t), "news", []byte(`10`)); err != nil {
		t.Fatal(err)
	}
	if got := g.awaitRequests(inFlight + 1); len(got) != inFlight+1 || string(got[inFlight].Data) != `10` {
		t.Errorf("requests %+v", got)
	}
}

func TestBatchPublishLeavesWithItsContext(t *testing.T) {
	late := make(chan struct{})
	g := newGateway(t, func(g *gateway) {
		g.write = func(c net.Conn, b []byte) error {
			<-late
			_, err := c.Write(b)
			return err
		}
	})
	p := dial(t, g, publisher.Config{})
	batch := p.NewBatch()
	_ = batch.Add("news", []byte(`1`))
	_ = batch.Add("news", []byte(`2`))
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan []publisher.Outcome)
	go func() {
		outcomes, _ := batch.Publish(ctx)
		done <- outcomes
	}()
	g.awaitRequests(2)
	cancel()
	outcomes := receive(t, done, "the batch")
	// Replies that come later must leave them alone.
	close(late)
	if _, err := p.Publish(testContext(t), "news", []byte(`3`)); err != nil {
		t.Error(err)
	}
	for i, o := range outcomes {
		if !errors.Is(o.Err, context.Canceled) || errors.Is(o.Err, publisher.ErrNotSent) {
			t.Errorf("outcome %d: %+v", i, o)
		}
	}
}
