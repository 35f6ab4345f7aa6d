package publisher_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/gateway/publisher"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// request is a line as the gateway understands it.
type request struct {
	ID       *uint64         `json:"id"`
	Channel  *string         `json:"channel"`
	Channels []string        `json:"channels"`
	Data     json.RawMessage `json:"data"`

	conn int    // which connection, from 1
	line uint64 // in the connection, from 1
	raw  string // without its newline
}

// gateway speaks the reply side of the publish protocol over real sockets.
type gateway struct {
	t    testing.TB
	addr string

	// answer, if set, gives the reply to a request in place of the usual one;
	// false asks for the usual one.
	answer func(r request) (reply string, ok bool)
	// write, if set, writes replies in place of the connection.
	write func(c net.Conn, replies []byte) error
	// reading, if set, is received from before every read of a connection.
	reading <-chan struct{}

	mu       sync.Mutex
	stopped  bool
	listener net.Listener
	conns    map[net.Conn]int
	accepted int
	offsets  map[string]uint64
	requests []request // those that name a channel and have data
	news     chan struct{}
	running  sync.WaitGroup
}

// newGateway starts a gateway on a port of its own. set, if not nil, changes it
// before it runs.
func newGateway(t testing.TB, set func(g *gateway)) *gateway {
	t.Helper()
	g := &gateway{
		t: t, addr: "127.0.0.1:0",
		conns: map[net.Conn]int{}, offsets: map[string]uint64{}, news: make(chan struct{}),
	}
	if set != nil {
		set(g)
	}
	g.start()
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) start() {
	listener, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.t.Fatalf("listening: %v", err)
	}
	g.mu.Lock()
	g.listener, g.addr, g.stopped = listener, listener.Addr().String(), false
	g.mu.Unlock()
	g.running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			if g.listener != listener || g.stopped {
				// Accepted just before the port was closed.
				g.mu.Unlock()
				c.Close()
				return
			}
			g.accepted++
			number := g.accepted
			g.conns[c] = number
			g.changed()
			g.mu.Unlock()
			g.running.Go(func() { g.serve(c, number) })
		}
	})
}

// stop closes the port and all connections; start opens the same port again.
func (g *gateway) stop() {
	g.mu.Lock()
	g.stopped = true
	g.listener.Close()
	g.mu.Unlock()
	g.cut()
	g.running.Wait()
}

// cut closes all connections.
func (g *gateway) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.Close()
	}
}

// changed tells those who wait. g.mu is held.
func (g *gateway) changed() {
	close(g.news)
	g.news = make(chan struct{})
}

func (g *gateway) serve(c net.Conn, number int) {
	defer func() {
		c.Close()
		g.mu.Lock()
		delete(g.conns, c)
		g.changed()
		g.mu.Unlock()
	}()
	in := bufio.NewReaderSize(c, 64<<10)
	var replies []byte
	for line := uint64(1); ; line++ {
		if g.reading != nil {
			<-g.reading
		}
		raw, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if line == 1 {
			raw = strings.TrimPrefix(raw, " ") // the greeting
		}
		replies = append(replies, g.handle(raw[:len(raw)-1], number, line)...)
		if in.Buffered() > 0 && len(replies) < 64<<10 {
			continue
		}
		if g.write != nil {
			err = g.write(c, replies)
		} else {
			_, err = c.Write(replies)
		}
		if err != nil {
			return
		}
		replies = replies[:0]
	}
}

// handle returns the reply to a line, with its newline, or "" for none.
func (g *gateway) handle(raw string, conn int, line uint64) string {
	r := request{conn: conn, line: line, raw: raw}
	err := json.Unmarshal([]byte(raw), &r)
	channels := r.Channels
	if r.Channel != nil {
		channels = append(channels, *r.Channel)
	}
	ok := err == nil && len(channels) > 0 && r.Data != nil
	if ok {
		g.mu.Lock()
		g.requests = append(g.requests, r)
		g.changed()
		g.mu.Unlock()
	}
	if g.answer != nil {
		if reply, ok := g.answer(r); ok {
			return reply
		}
	}
	switch {
	case !ok && r.ID == nil:
		return lineError(line, "bad_request")
	case !ok:
		return idError(*r.ID, "bad_request")
	}
	results := g.sequence(channels)
	if r.ID == nil {
		return ""
	}
	return fmt.Sprintf(`{"id":%d,"results":%s}`+"\n", *r.ID, results)
}

// sequence gives each channel its next offset.
func (g *gateway) sequence(channels []string) []byte {
	type result struct {
		Channel     string `json:"channel"`
		Epoch       string `json:"epoch"`
		Offset      uint64 `json:"offset"`
		Subscribers int    `json:"subscribers"`
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var results []result
	for _, channel := range channels {
		g.offsets[channel]++
		results = append(results, result{channel, "e-" + channel, g.offsets[channel], 1200})
	}
	text, err := json.Marshal(results)
	if err != nil {
		g.t.Error(err)
	}
	return text
}

func lineError(line uint64, code string) string {
	return fmt.Sprintf(`{"line":%d,"error":{"code":%q,"message":"of the test"}}`+"\n", line, code)
}

func idError(id uint64, code string) string {
	return fmt.Sprintf(`{"id":%d,"error":{"code":%q,"message":"of the test"}}`+"\n", id, code)
}

// await waits until ok, which is called with g.mu held, is true.
func (g *gateway) await(what string, ok func() bool) {
	g.t.Helper()
	deadline := time.After(patience)
	for {
		g.mu.Lock()
		done, news := ok(), g.news
		g.mu.Unlock()
		if done {
			return
		}
		select {
		case <-news:
		case <-deadline:
			g.t.Fatalf("waited too long for %s", what)
		}
	}
}

// awaitRequests waits for n requests and returns all there are.
func (g *gateway) awaitRequests(n int) []request {
	g.t.Helper()
	g.await(fmt.Sprintf("%d requests", n), func() bool { return len(g.requests) >= n })
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]request(nil), g.requests...)
}

// dial returns a Publisher connected to g, with short pauses unless cfg says
// otherwise. It is closed at the end of the test.
func dial(t testing.TB, g *gateway, cfg publisher.Config) *publisher.Publisher {
	t.Helper()
	if cfg.MinBackoff == 0 {
		cfg.MinBackoff, cfg.MaxBackoff = time.Millisecond, 20*time.Millisecond
	}
	if cfg.CloseTimeout == 0 {
		cfg.CloseTimeout = 100 * time.Millisecond
	}
	p, err := cfg.Dial(testContext(t), g.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// testContext ends when the test's patience does.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until returns a context that ends soon, for calls that must wait in vain.
func until(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// receive returns the next value of c.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
		panic("unreachable")
	}
}
