package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coder "github.com/coder/websocket"

	"fleetcast/gateway"
)

// connectRate admits clients at a rate, and lets some wait.
func connectRate(perSecond float64, burst, queue int) func(*gateway.Config) {
	return func(c *gateway.Config) {
		c.Connects, c.ConnectQueue = gateway.Rate{PerSecond: perSecond, Burst: burst}, queue
	}
}

// seldom is a rate at which nobody is admitted within a test.
const seldom = 1. / 1000

// patient has who waits wait for as long as the rate takes.
func patient(c *gateway.Config) { c.HandshakeTimeout = 1000 * time.Hour }

// Those who come while the rate is used up are served in their order.
func TestConnectsWaitInOrder(t *testing.T) {
	t.Parallel() // it waits most of the time
	const interval = 100 * time.Millisecond
	s := start(t, oneShard, connectRate(float64(time.Second/interval), 1, 100))
	var peers []*peer
	began := time.Now()
	for range 8 {
		p := s.dialRaw() // the kernel keeps their order
		p.sends(head + "\r\n")
		peers = append(peers, p)
	}
	o := s.operator()
	var last time.Time
	for i, p := range peers {
		p.upgraded()
		at := o.client(decode[message](t, p.text()).Client).ConnectedAt
		if at.Before(last.Add(-50 * time.Millisecond)) { // it is known to tenths of a second
			t.Errorf("client %d was connected at %v, the one before at %v", i, at, last)
		}
		last = at
	}
	if took := last.Sub(began); took < 7*interval-100*time.Millisecond {
		t.Errorf("all were connected within %v", took)
	}
	if total := s.stats().Total; total.Clients != 8 || total.ConnectsQueued != 0 || total.Accepted != 8 {
		t.Errorf("the counters are %+v", total)
	}
}

// A loop without connections does not tick, and still admits who waits.
func TestConnectWaitsOnAnIdleLoop(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, connectRate(5, 1, 100))
	s.connect().Close()
	s.eventually("an empty loop", func(g gateway.GatewayStats) bool { return g.Total.Accepted == 1 && g.Total.Connections == 0 })
	p := s.dialRaw()
	p.sends(head + "\r\n")
	p.upgraded()
}

// Who is turned away is given a time of its own, as the rate allows, behind those
// who wait.
func TestConnectsTurnedAwayComeBackAtTheRate(t *testing.T) {
	const interval, queue = 8, 2 // seconds; connects
	s := start(t, oneShard, patient, connectRate(1./interval, 1, queue))
	s.connect()
	began := time.Now()
	for range queue {
		s.dialRaw().sends(head + "\r\n")
	}
	s.eventually("the queue", func(g gateway.GatewayStats) bool { return g.Total.ConnectsQueued == queue })
	for i := range 5 {
		p := s.dialRaw()
		p.sends(head + "\r\n")
		after, slot := p.retryAfter(503, "too many clients connect"), (queue+i)*interval
		if late := int(time.Since(began).Seconds()) + 1; after > slot || after < slot-late {
			t.Errorf("client %d is told to come back after %d s, want %d", i, after, slot)
		}
	}
}

// Who comes when a turn is free, and others wait, does not take it.
func TestConnectsDoNotJumpTheQueue(t *testing.T) {
	t.Parallel() // it waits most of the time
	const interval = 2 * time.Second
	s := start(t, oneShard, connectRate(1/interval.Seconds(), 1, 100))
	s.connect()
	first := s.dialRaw()
	first.sends(head + "\r\n")
	s.eventually("the queue", func(g gateway.GatewayStats) bool { return g.Total.ConnectsQueued == 1 })
	goOn := s.StallShards()
	second := s.dialRaw()
	second.sends(head + "\r\n")
	time.Sleep(interval) // a turn comes free while the loop does not look
	goOn()
	o := s.operator()
	var at [2]time.Time
	for i, p := range []*peer{first, second} {
		p.upgraded()
		at[i] = o.client(decode[message](t, p.text()).Client).ConnectedAt
	}
	if !at[0].Before(at[1]) {
		t.Errorf("the first was connected at %v, the second at %v", at[0], at[1])
	}
}

// The queue has a bound, and who finds it full is told when to come back: each a
// time of its own.
func TestConnectQueueIsBounded(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, patient, connectRate(seldom, 1, 3))
	s.connect()
	var queued []*peer
	for range 3 {
		p := s.dialRaw()
		p.sends(head + "\r\n")
		queued = append(queued, p)
	}
	stats := s.eventually("the queue", func(g gateway.GatewayStats) bool { return g.Total.ConnectsQueued == 3 })
	if stats.Limits.ConnectQueue != 3 || stats.Total.Connections != 4 {
		t.Errorf("the counters are %+v", stats)
	}
	for range 4 { // behind those who wait there is no room within a minute
		p := s.dialRaw()
		p.sends(head + "\r\n")
		if after := p.retryAfter(503, "too many clients connect"); after > 60 {
			t.Errorf("Retry-After is %d", after)
		}
	}
	// Without a rate nobody needs to wait.
	config := gateway.DefaultConfig(100)
	patient(&config)
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	for _, p := range queued {
		p.upgraded()
	}
	if total := s.stats().Total; total.HandshakeFailures["connect_rate"] != 4 || total.ConnectsQueued != 0 || total.Clients != 4 {
		t.Errorf("the counters are %+v", total)
	}
}

func TestConnectsWaitNoLongerThanTheHandshake(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, connectRate(2, 1, 100), func(c *gateway.Config) { c.HandshakeTimeout = 1500 * time.Millisecond })
	if n := s.stats().Limits.ConnectQueue; n != 3 { // that the rate serves in that time
		t.Errorf("%d may wait", n)
	}
	s.connect()
	var queued []*peer
	for range 3 {
		p := s.dialRaw()
		p.sends(head + "\r\n")
		queued = append(queued, p)
	}
	s.eventually("the queue", func(g gateway.GatewayStats) bool { return g.Total.ConnectsQueued == 3 })
	// Their turn does not come any more when the rate is lowered.
	config := gateway.DefaultConfig(100)
	config.Connects, config.ConnectQueue = gateway.Rate{PerSecond: seldom, Burst: 1}, 100
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	for _, p := range queued[1:] { // the first may have had its turn
		p.retryAfter(503, "too many clients connect")
	}
	if n := s.stats().Total.ConnectsQueued; n != 0 {
		t.Errorf("%d wait behind it", n)
	}
}

// Who goes away while waiting takes no turn of others, and gets an answer if it
// has only closed its side.
func TestGoneWhileWaiting(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, connectRate(5, 1, 40))
	s.connect()
	half := s.dialRaw()
	half.sends(head + "\r\n")
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		p := s.dialRaw()
		p.sends(head + "\r\n")
		p.Close()
	}
	last := s.dialRaw()
	last.sends(head + "\r\n")
	last.upgraded()
	half.retryAfter(503, "too many clients connect")
	// Those who left before they were accepted may be among them.
	if total := s.stats().Total; total.Accepted > 2+4 || total.HandshakeFailures["vanished"] < 16 {
		t.Errorf("the counters are %+v", total)
	}
}

func TestDrainWhileConnectsWait(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, patient, connectRate(seldom, 1, 100))
	s.connect()
	var queued []*peer
	for range 20 {
		p := s.dialRaw()
		p.sends(head + "\r\n")
		queued = append(queued, p)
	}
	s.eventually("the queue", func(g gateway.GatewayStats) bool { return g.Total.ConnectsQueued == 20 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	for _, p := range queued {
		p.retryAfter(503, "the gateway is stopping")
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// A gateway that is closed leaves no socket behind of those who wait.
func TestCloseWhileConnectsWait(t *testing.T) {
	before := descriptors(t)
	s := start(t, patient, connectRate(seldom, 1, 100))
	queued := []*peer{s.connect()}
	for range 10 {
		queued = append(queued, s.dialRaw())
	}
	s.eventually("the queue", func(g gateway.GatewayStats) bool { return g.Total.ConnectsQueued == 10 })
	s.Gateway.Close()
	s.awaitEnd()
	for _, p := range queued {
		p.Close()
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open, %d before", n, before)
	}
}

// Who is turned away before its request has arrived can read why.
func TestTurnedAwayBeforeTheRequest(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, test := range map[string]struct {
		set    func(*gateway.Config)
		reason string
		words  string
	}{
		"full": {func(c *gateway.Config) { c.MaxClients = 1 }, "full", "no room"},
		"full, with more shards than may linger": {
			func(c *gateway.Config) { c.MaxClients, c.Shards = 1, gateway.LingeringConnections+1 }, "full", "no room",
		},
		"rate": {connectRate(seldom, 1, 0), "connect_rate", "too many clients connect"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, test.set)
			s.connect()
			p := s.dialRaw()
			s.eventually("the answer", func(g gateway.GatewayStats) bool { return g.Total.HandshakeFailures[test.reason] == 1 })
			// Where this takes long, the gateway has closed by now. The answer is there.
			_, _ = io.WriteString(p, head+"\r\n")
			p.comesBack(503, test.words)
		})
	}
}

// Who is refused for want of room comes back at another time than others, though
// a gateway that stops lets its clients return at once.
func TestRefusalsAreSpread(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxClients, c.RetryWindow = 1, 0 })
	s.connect()
	seconds := make(map[int]bool)
	for range 30 {
		p := s.dialRaw()
		p.sends(head + "\r\n")
		after := p.retryAfter(503, "no room")
		if after > 10 {
			t.Errorf("Retry-After is %d", after)
		}
		seconds[after] = true
	}
	if len(seconds) < 3 {
		t.Errorf("30 clients are told to come back after %v", seconds)
	}
}

// A handshake that is under way when the gateway stops is told when to come back.
func TestHandshakesRefusedByDrain(t *testing.T) {
	s := start(t)
	p := s.dialRaw()
	p.sends(head)
	s.eventually("the handshake", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	result := s.drain(patience)
	p.retryAfter(503, "the gateway is stopping")
	if err := s.drained(result); err != nil {
		t.Error(err)
	}
}

// stormAnswers counts how clients of a storm were answered.
type stormAnswers struct {
	connected, turnedAway, broken atomic.Int64
	early                         atomic.Int64 // turned away before the request was sent
	latest                        atomic.Int64 // Retry-After in seconds
	failure                       atomic.Value
}

// unsolicited is the error of net/http where an answer has come before the request was
// sent, as to a client that is turned away when it is accepted. net/http does not show
// the answer then. It happens where the client has to wait for a processor.
const unsolicited = "readLoopPeekFailLocked: %!w(<nil>)"

// take counts one answer.
func (a *stormAnswers) take(response *http.Response, err error) {
	if err == nil {
		a.connected.Add(1)
		return
	}
	if err != nil && strings.Contains(err.Error(), unsolicited) {
		a.early.Add(1)
		return
	}
	if response == nil || response.StatusCode != http.StatusServiceUnavailable {
		a.broken.Add(1)
		a.failure.Store(fmt.Sprint(err))
		return
	}
	after, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || after < 1 || after > 60 {
		a.broken.Add(1)
		a.failure.Store(fmt.Sprintf("Retry-After is %q", response.Header.Get("Retry-After")))
		return
	}
	a.turnedAway.Add(1)
	for was := a.latest.Load(); int64(after) > was && !a.latest.CompareAndSwap(was, int64(after)); was = a.latest.Load() {
	}
}

// TestConnectStorm has many clients connect at once, of which few are admitted
// a second and few may wait. Each is connected or told when to come back, and
// those who are connected already get every event meanwhile.
func TestConnectStorm(t *testing.T) {
	const clients, rate, queue = 2_000, 100, 50
	s := start(t, connectRate(rate, rate, queue), func(c *gateway.Config) { c.ClientCommands = gateway.Rate{} })
	settled, upstream := s.connect(), s.publisher()
	settled.subscribe("news")

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var answers stormAnswers
	var storm sync.WaitGroup
	for range clients {
		storm.Go(func() {
			conn, response, err := coder.Dial(ctx, s.url(), nil)
			if answers.take(response, err); err == nil {
				conn.CloseNow()
			}
		})
	}
	over := make(chan struct{})
	go func() { storm.Wait(); close(over) }()
	events := uint64(0)
	for going := true; going; {
		select {
		case <-over:
			going = false
		default:
		}
		events++
		upstream.publishes("news", "1")
		settled.wants(event("news", events, "1"))
		settled.says(ping)
		settled.wants(pong)
	}
	connected, turnedAway, broken := answers.connected.Load(), answers.turnedAway.Load()+answers.early.Load(), answers.broken.Load()
	t.Logf("%d connected, %d turned away for up to %d s, %d without an answer; %d events meanwhile; %v", connected, turnedAway, answers.latest.Load(), broken, events, answers.failure.Load())
	if connected+turnedAway+broken != clients || connected < rate || turnedAway == 0 {
		t.Errorf("%d connected, %d turned away", connected, turnedAway)
	}
	// One whose request comes late, when many linger already, may be reset.
	if broken > clients/100 {
		t.Errorf("%d got no answer: %v", broken, answers.failure.Load())
	}
	if total := s.stats().Total; total.HandshakeFailures["connect_rate"] < uint64(turnedAway) || total.ConnectsQueued != 0 {
		t.Errorf("the counters are %+v", total)
	}
	if err := ctx.Err(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("some hung: %v", err)
	}
}

// TestSendTimeout has a client that stops reading for good. The kernel finds out,
// although the gateway itself would wait for long.
func TestSendTimeout(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) { c.SendTimeout = 400 * time.Millisecond })
	p, upstream := s.connectNarrow(), s.publisher()
	p.subscribe("news")
	s.stall(upstream, "news")
	stats := s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if stats.Total.Disconnects["send_timeout"] != 1 || stats.Total.BacklogBytes != 0 {
		t.Errorf("the counters are %+v", stats.Total)
	}
}

// What the kernel cannot count is out of range, or, where it follows from other
// times, as near as it can.
func TestSendTimeoutBounds(t *testing.T) {
	start(t, func(c *gateway.Config) { c.PingInterval = 1000 * time.Hour }).connect()
	for _, timeout := range []time.Duration{-time.Second, 1, time.Millisecond - 1, 1 << 31 * time.Millisecond} {
		config := gateway.DefaultConfig(100)
		config.SendTimeout = timeout
		if err := config.Check(); err == nil || !strings.Contains(err.Error(), "SendTimeout is "+timeout.String()) {
			t.Errorf("%v: %v", timeout, err)
		}
	}
}
