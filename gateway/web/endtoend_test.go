package web_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/publisher"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// TestEndToEnd takes a client through a cut connection and a drained gateway.
func TestEndToEnd(t *testing.T) {
	path := node(t)
	first := startGateway(t)
	line := newProxy(t, first.ClientAddrs()[0].String())
	client := startClient(t, path, "endtoend.mjs", "ws://"+line.addr()+gateway.Path)

	client.expect("open", "error bad_channel no channel")
	// The refusal is the last reply, so both channels are subscribed.
	publish(t, first, `{"echo":"wörld"}`)
	client.expect(`event news 1 {"echo":"wörld"}`)
	// The event and the answer of the same publish may come in either order.
	client.expectAnyOrder(`event chat 1 {"echo":"wörld"}`, "published 1")
	client.expect("refused permission_denied secret")

	line.cut()
	publish(t, first, `2`)
	publish(t, first, `3`)
	line.route(first.ClientAddrs()[0].String())
	// The answers to the other channels may come ahead of events.
	client.expect("open")
	client.expectAnyOrder("error bad_channel no channel", "recovered news 2 2", "recovered news 3 3")
	publish(t, first, `4`)
	client.expect("event news 4 4")

	second := startGateway(t)
	line.route(second.ClientAddrs()[0].String())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := first.Drain(ctx); err != nil {
		t.Fatalf("draining: %v", err)
	}
	client.expect("waiting 1001 draining", "open", "reset news 4 0", "gap news 1 0 reset", "reset chat 1 0", "gap chat 1 0 reset", "error bad_channel no channel")
	publish(t, second, `"new"`)
	client.expect(`event news 1 "new"`)
	client.end()
}

// startGateway runs a gateway until the test ends. set may change the
// configuration before.
func startGateway(t *testing.T, set ...func(*gateway.Config)) *gateway.Gateway {
	t.Helper()
	g := newGateway(t, set...)
	runGateway(t, g)
	return g
}

func newGateway(t *testing.T, set ...func(*gateway.Config)) *gateway.Gateway {
	t.Helper()
	config := gateway.DefaultConfig(1000)
	config.Shards = 1
	config.ClientPublish = gateway.Patterns{"chat"}
	config.RetryWindow = 50 * time.Millisecond
	config.AllowedOrigins = []string{"*"} // pages of these tests come from servers of their own
	for _, f := range set {
		f(&config)
	}
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatalf("starting a gateway: %v", err)
	}
	return g
}

// runGateway runs a gateway until stop is called or the test ends.
func runGateway(t *testing.T, g *gateway.Gateway) (stop func()) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(g.Run)
	stop = sync.OnceFunc(func() {
		g.Close()
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func publish(t *testing.T, g *gateway.Gateway, data string) {
	t.Helper()
	publishTo(t, g, "news", data)
}

func publishTo(t *testing.T, g *gateway.Gateway, channel, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := publisher.Dial(ctx, g.PublishAddrs()[0].String())
	if err != nil {
		t.Fatalf("connecting to publish: %v", err)
	}
	defer p.Close()
	if _, err := p.Publish(ctx, channel, []byte(data)); err != nil {
		t.Fatalf("publishing %s: %v", data, err)
	}
}

// nodeClient is a process that uses the client, as a script of testdata does.
type nodeClient struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr *bufferedLines
	lines  chan string // closed at the end of its output
}

// bufferedLines collects what a process complains of.
type bufferedLines struct {
	mu   sync.Mutex
	text []byte
}

func (b *bufferedLines) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *bufferedLines) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

func startClient(t *testing.T, node, script string, args ...string) *nodeClient {
	t.Helper()
	return startProgram(t, ".", node, append([]string{"--experimental-websocket", "--no-warnings", "testdata/" + script}, args...)...)
}

// startProgram starts a program that uses the client, in dir.
func startProgram(t *testing.T, dir, program string, args ...string) *nodeClient {
	t.Helper()
	c := &nodeClient{t: t, stderr: &bufferedLines{}, lines: make(chan string, 100)}
	c.cmd = exec.CommandContext(t.Context(), program, args...)
	c.cmd.Dir, c.cmd.Stderr = dir, c.stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatalf("opening the client's input: %v", err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("opening the client's output: %v", err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("starting the client: %v", err)
	}
	c.stdin = stdin
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	return c
}

func (c *nodeClient) next() string {
	c.t.Helper()
	return c.nextWithin(patience)
}

func (c *nodeClient) nextWithin(patience time.Duration) string {
	c.t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			c.t.Fatalf("the client has ended; it says %q", c.stderr)
		}
		return line
	case <-time.After(patience):
		c.t.Fatalf("the client is silent; it says %q", c.stderr)
	}
	return ""
}

func (c *nodeClient) expect(want ...string) {
	c.t.Helper()
	for _, line := range want {
		if got := c.next(); got != line {
			c.t.Fatalf("the client wrote %q, want %q", got, line)
		}
	}
}

func (c *nodeClient) expectAnyOrder(want ...string) {
	c.t.Helper()
	missing := map[string]bool{}
	for _, line := range want {
		missing[line] = true
	}
	for range want {
		got := c.next()
		if !missing[got] {
			c.t.Fatalf("the client wrote %q, want one of %v", got, missing)
		}
		delete(missing, got)
	}
}

// end closes the client, which must leave nothing that keeps its process.
func (c *nodeClient) end() {
	c.t.Helper()
	c.stdin.Close()
	c.expect("closed")
	select {
	case line, ok := <-c.lines:
		if ok {
			c.t.Fatalf("the client wrote %q after it was closed", line)
		}
	case <-time.After(patience):
		c.t.Fatal("the client does not end")
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the client failed: %v: %s", err, c.stderr)
	}
}

// proxy is a line between client and gateway that can be cut. Its methods may be
// called from any goroutine.
type proxy struct {
	listener net.Listener

	mu     sync.Mutex
	routed sync.Cond // on mu: target or held has changed
	target string    // none: connections are closed at once
	held   bool      // without target, connections wait for one
	conns  []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	p := &proxy{listener: listener, target: target}
	p.routed.L = &p.mu
	t.Cleanup(func() {
		listener.Close()
		p.cut()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.join(client)
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// route leads connections to come to target.
func (p *proxy) route(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	p.routed.Broadcast()
}

// cut ends all connections, and those to come until route is called.
func (p *proxy) cut() { p.interrupt(false) }

// hold ends all connections. Those to come wait until route is called: the WebSocket of Node 20
// does not always say that an attempt has failed.
func (p *proxy) hold() { p.interrupt(true) }

func (p *proxy) interrupt(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target, p.held = "", held
	p.routed.Broadcast()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) join(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.target == "" && p.held {
		p.routed.Wait()
	}
	if p.target == "" {
		client.Close()
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	p.conns = append(p.conns, client, server)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			defer way[0].Close()
			defer way[1].Close()
			_, _ = io.Copy(way[0], way[1]) // its end is the end of the connection
		}()
	}
}

// TestLimitsEndToEnd takes a client through the limits of a real gateway: what is too
// much is refused, the connection stays, and what has no room gets it later.
func TestLimitsEndToEnd(t *testing.T) {
	path := node(t)
	g := startGateway(t, func(c *gateway.Config) {
		c.ClientChannels, c.MaxMessage, c.MaxEvent = 2, 1000, 500
		c.ClientPublishes = gateway.Rate{PerSecond: 1.0 / 3600, Burst: 3}
	})
	client := startClient(t, path, "limits.mjs", "ws://"+g.ClientAddrs()[0].String()+gateway.Path)
	client.expect("connecting", "open", "subscribed a 0 new", "subscribed b 0 new", "error limit_exceeded c", "subscribed c 0 new")
	client.expect("published 1", "not published: limit_exceeded ", "not published: limit_exceeded ", "not published: limit_exceeded ",
		"not published: aborted ", "published 2", "published 3", "not published: rate_limited later")
	client.expect("paused", "connecting", "open", "has 2 of 2", "subscribed b 0 recovered", "subscribed c 0 recovered")
	stats, err := g.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if refused := stats.Total.CommandErrors; len(refused) > 0 && refused["limit_exceeded"]+refused["rate_limited"] > 0 {
		t.Errorf("the gateway refused %v, want nothing: the client knows the limits", refused)
	}
	client.end()
}
