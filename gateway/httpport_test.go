package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// withHTTP has the gateway serve other requests than WebSocket's.
func withHTTP(handler http.HandlerFunc) func(*gateway.Config) {
	return func(c *gateway.Config) { c.HTTP = handler }
}

// echoRequest answers with what was asked, and the body.
func echoRequest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %d %v", r.Method, r.URL.Path, len(body), err)
}

// responds reads a response to its end, which is that of the connection.
func (p *peer) responds(status int, body string) {
	p.Helper()
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || !strings.Contains(string(got), body) {
		p.Errorf("answered with %d %q, %v; want %d %q", response.StatusCode, got, err, status, body)
	}
	if !response.Close {
		p.Error("the connection is to go on")
	}
	p.ends()
}

func TestHTTPOnTheClientPort(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, withHTTP(echoRequest))
	large := strings.Repeat("x", 1<<20)
	tests := []struct {
		name    string
		sends   []string // in separate writes
		status  int
		answers string
	}{
		{"GET", []string{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"}, 200, "GET / 0 <nil>"},
		{"HTTP/1.0", []string{"GET /x HTTP/1.0\r\n\r\n"}, 200, "GET /x 0 <nil>"},
		{"absolute form", []string{"GET http://localhost/y HTTP/1.1\r\nHost: localhost\r\n\r\n"}, 200, "GET /y 0 <nil>"},
		{"byte by byte", strings.Split("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ""), 200, "GET / 0 <nil>"},
		{"HEAD", []string{"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"}, 200, ""},
		{"body with the head", []string{"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"}, 200, "POST /p 5 <nil>"},
		{"body later", []string{"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe", "llo"}, 200, "POST /p 5 <nil>"},
		{"large body", []string{"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + strconv.Itoa(len(large)) + "\r\n\r\n" + large}, 200, "POST /p 1048576 <nil>"},
		{"chunks", []string{"POST /p HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0\r\n\r\n"}, 200, "POST /p 3 <nil>"},
		{"upgrade elsewhere", []string{strings.Replace(head, "/ws", "/wss", 1) + "\r\n"}, 404, "WebSocket clients connect to /ws"},
		// One connection carries one request: neither a second one nor a
		// handshake behind it is listened to.
		{"pipelined", []string{"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n"}, 200, "GET /1 0 <nil>"},
		{"handshake behind it", []string{"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n" + head + "\r\n"}, 200, "GET /1 0 <nil>"},

		{"two lengths", []string{"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"}, 400, ""},
		{"length and chunks", []string{"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, 400, "where the request ends"},
		{"bad escape", []string{"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"}, 400, ""},
		{"coding that is not known", []string{"POST /p HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"}, 501, ""},
		{"no host", []string{"GET / HTTP/1.1\r\n\r\n"}, 400, ""},
		{"huge head", []string{"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + strings.Repeat("x", 9<<10)}, 431, "head is longer"},
		{"not HTTP", []string{"hello\r\n\r\n"}, 400, ""},
		// What is meant for WebSocket stays with the loop.
		{"no upgrade", []string{"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n"}, 426, "this is a WebSocket endpoint"},
		{"POST", []string{"POST /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"}, 405, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialRaw()
			p.TB = t
			for _, part := range test.sends {
				p.sends(part)
			}
			if test.name == "HEAD" {
				if head := p.responseHead(); !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
					t.Errorf("answered with %q", head)
				}
				p.ends()
				return
			}
			p.responds(test.status, test.answers)
		})
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if got := stats.Total.Disconnects["http_request"]; got != 13 {
		t.Errorf("%d requests were handed over, want 13", got)
	}
	if got := stats.Total.HandshakeFailures["not_found"]; got != 1 {
		t.Errorf("%d clients on a wrong path were counted, want 1", got)
	}
}

// TestHTTPIsCapped holds all requests that are served and all that wait, so that
// the next one is refused; and clients notice none of it.
func TestHTTPIsCapped(t *testing.T) {
	t.Parallel() // it waits most of the time
	release := make(chan struct{})
	s := start(t, withHTTP(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		io.WriteString(w, "at last")
	}))
	s.KeepHTTPPlaces()
	client := s.connect()
	client.subscribe("news")
	var held []*peer
	for range gateway.HTTPConnections {
		p := s.dialRaw()
		p.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		held = append(held, p)
	}
	s.eventually("the hand-over of all", func(g gateway.GatewayStats) bool {
		return g.Total.Disconnects["http_request"] == gateway.HTTPConnections
	})
	refused := s.dialRaw()
	refused.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	refused.responds(503, "too many requests")
	bodiless := s.dialRaw()
	bodiless.sends("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if answer := bodiless.responseHead(); !strings.HasPrefix(answer, "HTTP/1.1 503 ") {
		t.Errorf("HEAD was answered with %q", answer)
	}
	bodiless.ends()
	for i := range 100 {
		s.publish("news", strconv.Itoa(i))
		client.wants(event("news", uint64(i+1), strconv.Itoa(i)))
	}
	close(release)
	for _, p := range held {
		p.responds(200, "at last")
	}
	again := s.dialRaw()
	again.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	again.responds(200, "at last")
	if n := s.stats().Total.HandshakeFailures["http_busy"]; n != 2 {
		t.Errorf("%d refusals were counted, want 2", n)
	}
}

// TestHTTPBesideFanOut sends all kinds of requests while events flow: clients
// get every event, and no descriptor is lost.
func TestHTTPBesideFanOut(t *testing.T) {
	s := start(t, withHTTP(echoRequest))
	clients := []*peer{s.connect(), s.connect(), s.connect()}
	for _, c := range clients {
		c.subscribe("news")
	}
	before := descriptors(t)
	const rounds = 50
	for i := range rounds {
		quick, slow, gone, upgraded := s.dialRaw(), s.dialRaw(), s.dialRaw(), s.dialRaw()
		quick.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		slow.sends("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
		gone.sends("GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
		gone.Close()
		upgraded.sends(head + "\r\n")
		s.publish("news", strconv.Itoa(i))
		for _, c := range clients {
			c.wants(event("news", uint64(i+1), strconv.Itoa(i)))
		}
		quick.responds(200, "GET / 0")
		slow.sends("67890")
		slow.responds(200, "POST / 10")
		upgraded.upgraded()
		upgraded.sends(clientFrame(ws.OpClose, true, ""))
		for _, p := range []*peer{quick, slow, upgraded} {
			p.Close()
		}
	}
	s.eventually("the end of all others", func(g gateway.GatewayStats) bool { return g.Total.Connections == 3 })
	if after := descriptors(t); after > before+10 {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

// A request that is served when the gateway stops does not hold it up.
func TestHTTPDoesNotHoldTheEndUp(t *testing.T) {
	serving, release := make(chan struct{}, 1), make(chan struct{})
	defer close(release)
	s := start(t, withHTTP(func(http.ResponseWriter, *http.Request) { serving <- struct{}{}; <-release }))
	p := s.dialRaw()
	p.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-serving
	s.Close()
	s.awaitEnd()
	p.ends()
}
