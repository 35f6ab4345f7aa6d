// Package interop_test lets WebSocket clients that others wrote talk to the
// gateway and to the echo server, without any setting of either: Go libraries,
// Node's ws and Python's websockets in processes of their own (see script),
// Chromium and curl. A client that the machine does not have is skipped.
package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/echo"
	"fleetcast/gateway/publisher"
)

// patience is how long a client waits for what must happen.
const patience = time.Minute

// options are how a client connects. Scripts get them as JSON.
type options struct {
	URL          string            `json:"url,omitempty"`
	Subprotocols []string          `json:"subprotocols,omitempty"` // offered
	Header       map[string]string `json:"header,omitempty"`       // added, where the client can
	// Deflate is whether permessage-deflate is offered, where the client can
	// choose: true or false, and for scripts also the library's own options.
	Deflate any `json:"deflate,omitempty"`

	page string // what a browser opens before
}

type message struct {
	binary bool // and then the data is UTF-8 all the same
	data   string
}

// client is a connection of somebody's WebSocket client.
type client interface {
	// negotiated returns what the handshake agreed on; extensions as the
	// server's field says, or as the client shows it.
	negotiated() (subprotocol, extensions string)
	send(message) error
	receive() (message, error)
	// ping sends a ping and waits for its pong, which must be the next to come.
	ping() error
	// close closes with 1000 and returns the code of the server's close frame.
	close() (code int, err error)
}

type dialer func(t *testing.T, o options) client

// vendor is a client that others wrote. prepare skips the test where it is
// missing.
type vendor struct {
	name    string
	prepare func(t *testing.T) dialer
}

func library(dial dialer) func(*testing.T) dialer {
	return func(*testing.T) dialer { return dial }
}

var vendors = []vendor{
	{"coder", library(dialCoder)},
	{"gorilla", library(dialGorilla)},
	{"gobwas", library(dialGobwas)},
	{"ws", node.script("ws.mjs")},
	{"websockets", python.script("websockets_client.py")},
	{"chromium", chromium},
}

const subprotocol = "fleetcast.v1"

// variation is a way to connect.
type variation struct {
	name string
	options
	host, query string
	wants       string // the subprotocol
}

var variations = []variation{
	{name: "plain"},
	{name: "subprotocol", options: options{Subprotocols: []string{subprotocol}}, wants: subprotocol},
	{name: "compression and subprotocol", options: options{Subprotocols: []string{subprotocol, "other"}, Deflate: true}, wants: subprotocol},
	{name: "compression offered", options: options{Deflate: true}},
	{name: "query", query: "?token=a%20b&next=/x//y?z"},
	{name: "fields of its own", options: options{Header: map[string]string{"Cookie": "a=b; c=d", "X-Request-ID": "1"}}},
	{name: "IPv6", host: "[::1]"},
}

// eachClient runs talk with each client on a server, once for each variation.
func eachClient(t *testing.T, s *server, talk func(t *testing.T, c client)) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			dial := v.prepare(t)
			for _, way := range variations {
				t.Run(way.name, func(t *testing.T) {
					host := way.host
					if host == "" {
						host = "127.0.0.1"
					}
					if host == "[::1]" && !s.six {
						t.Skip("this machine has no IPv6")
					}
					o := way.options
					o.URL, o.page = s.url(host, way.query), s.page(host)
					c := dial(t, o)
					s.connected++
					chosen, extensions := c.negotiated()
					if chosen != way.wants {
						t.Errorf("the subprotocol is %q, want %q", chosen, way.wants)
					}
					t.Logf("extensions: %q", extensions)
					talk(t, c)
					if code, err := c.close(); err != nil || code != 1000 {
						t.Errorf("closed with %d, %v; want 1000", code, err)
					}
				})
			}
		})
	}
}

// server is what clients connect to.
type server struct {
	port      uint16
	path      string
	pages     func(host string) string // where a browser finds a page that may connect
	six       bool                     // listens on ::1 too
	connected uint64                   // so many clients
}

func (s *server) url(host, query string) string {
	return fmt.Sprintf("ws://%s:%d%s%s", host, s.port, s.path, query)
}

func (s *server) page(host string) string { return s.pages(host) }

// addresses are the loopbacks that this machine has.
func addresses() (listen []netip.AddrPort, six bool) {
	listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		l.Close()
		return append(listen, netip.MustParseAddrPort("[::1]:0")), true
	}
	return listen, false
}

func blankPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "<!doctype html><link rel=icon href=data:><title>blank</title>")
}

type gatewayServer struct {
	server
	*gateway.Gateway
}

func startGateway(t *testing.T, set ...func(*gateway.Config)) *gatewayServer {
	config := gateway.DefaultConfig(1000)
	config.HTTP = http.HandlerFunc(blankPage)
	s := &gatewayServer{}
	config.Listen, s.six = addresses()
	for _, f := range set {
		f(&config)
	}
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { g.Run(); close(ended) }()
	t.Cleanup(func() { g.Close(); <-ended })
	s.Gateway, s.port, s.path = g, g.ClientAddrs()[0].Port(), gateway.Path
	s.pages = func(host string) string { return fmt.Sprintf("http://%s:%d/", host, s.port) }
	return s
}

// Each client subscribes, gets an event, pings and closes.
func TestGateway(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := startGateway(t)
	publish, err := publisher.Dial(t.Context(), s.PublishAddrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer publish.Close()
	large := `"` + strings.Repeat("añ€😀 ", 5000) + `"`
	channels := 0
	eachClient(t, &s.server, func(t *testing.T, c client) {
		channels++
		channel := fmt.Sprintf("news.%d", channels)
		expect(t, c, "welcome", nil)
		say(t, c, fmt.Sprintf(`{"type":"subscribe","channel":%q}`, channel))
		expect(t, c, "subscribed", nil)
		for _, data := range []string{`{"a":1}`, large, `[]`} {
			if _, err := publish.Publish(t.Context(), channel, []byte(data)); err != nil {
				t.Fatal(err)
			}
			expect(t, c, "event", []byte(data))
		}
		if err := c.ping(); err != nil {
			t.Errorf("ping: %v", err)
		}
		say(t, c, `{"type":"ping"}`)
		expect(t, c, "pong", nil)
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for ; !t.Failed(); <-poll.C {
		stats, err := s.Stats(ctx)
		if err != nil {
			t.Fatalf("waiting for the end of all: %v", err)
		}
		if stats.Total.Connections > 0 {
			continue
		}
		if got := stats.Total.Disconnects["client_closed"]; got != s.connected {
			t.Errorf("%d clients have closed, want %d: %+v", got, s.connected, stats.Total)
		}
		break
	}
}

// Each client gets back what it sends to the echo server.
func TestEcho(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := &server{path: "/any/path"}
	config := echo.Config{Loops: 1}
	config.Listen, s.six = addresses()
	e, err := echo.New(config)
	if err != nil {
		t.Fatal(err)
	}
	go e.Run()
	t.Cleanup(e.Close)
	site := httptest.NewServer(http.HandlerFunc(blankPage))
	t.Cleanup(site.Close)
	s.port = e.Addrs()[0].Port()
	s.pages = func(string) string { return site.URL }
	messages := []message{
		{false, ""}, {false, "hello"}, {false, strings.Repeat("añ€😀 ", 1<<14)},
		{true, ""}, {true, "bytes"}, {true, strings.Repeat("0123456789abcdef", 1<<13)},
	}
	eachClient(t, s, func(t *testing.T, c client) {
		for _, want := range messages {
			if err := c.send(want); err != nil {
				t.Fatal(err)
			}
			got, err := c.receive()
			if err != nil || got != want {
				t.Fatalf("got %d bytes %.40q, binary %t, %v; want %d bytes, binary %t", len(got.data), got.data, got.binary, err, len(want.data), want.binary)
			}
			if err := c.ping(); err != nil {
				t.Errorf("ping: %v", err)
			}
		}
	})
}

// say sends a command.
func say(t *testing.T, c client, command string) {
	t.Helper()
	if err := c.send(message{data: command}); err != nil {
		t.Fatal(err)
	}
}

// expect receives a message of the gateway, which must be of kind, and its data
// this.
func expect(t *testing.T, c client, kind string, data []byte) {
	t.Helper()
	m, err := c.receive()
	if err != nil || m.binary {
		t.Fatalf("binary %t, %v; want %s", m.binary, err, kind)
	}
	var got struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(m.data), &got); err != nil || got.Type != kind || string(got.Data) != string(data) {
		t.Fatalf("received %.200s, %v; want %s with %.100q", m.data, err, kind, data)
	}
}
