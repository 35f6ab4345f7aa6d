package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// hostile is a request that someone sends who means no good, or whose proxy is
// broken.
type hostile struct {
	name, request string
	status        int
	reason        string // as which the failure is counted
}

// page is a request for a page with more fields and a body.
func page(line, fields, body string) string {
	return line + "\r\nHost: localhost\r\n" + fields + "\r\n" + body
}

// handshakeWith is a handshake with more fields.
func handshakeWith(fields string) string { return head + fields + "\r\n" }

// handshakeOf is a handshake with another request line.
func handshakeOf(line string) string {
	return strings.Replace(head, "GET /ws HTTP/1.1", line, 1) + "\r\n"
}

var hostiles = []hostile{
	// What a proxy in front could take for another number of requests than we do.
	{"length and chunks", handshakeWith("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400, "malformed_request"},
	{"length and chunks for a page", page("POST / HTTP/1.1", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"two lengths", handshakeWith("Content-Length: 0\r\nContent-Length: 40\r\n"), 400, "malformed_request"},
	{"two lengths for a page", page("POST / HTTP/1.1", "Content-Length: 0\r\nContent-Length: 0\r\n", ""), 400, "malformed_request"},
	{"joined lengths for a page", page("POST / HTTP/1.1", "Content-Length: 0, 40\r\n", ""), 400, "malformed_request"},
	{"signed length for a page", page("POST / HTTP/1.1", "Content-Length: +4\r\n", "abcd"), 400, "malformed_request"},
	{"huge length for a page", page("POST / HTTP/1.1", "Content-Length: 18446744073709551617\r\n", "a"), 400, "malformed_request"},
	{"chunks, oddly spelled, for a page", page("POST / HTTP/1.1", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"chunks and more for a page", page("POST / HTTP/1.1", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"chunks twice for a page", page("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"chunks in HTTP/1.0 for a page", page("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"vertical tab before chunked", page("POST / HTTP/1.1", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"space before the colon", page("POST / HTTP/1.1", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"folded field", page("POST / HTTP/1.1", "X: a\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"field behind a bare LF", page("POST / HTTP/1.1", "X: a\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"field behind a bare CR", page("POST / HTTP/1.1", "X: a\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "malformed_request"},
	{"NUL in a field", page("GET / HTTP/1.1", "X: a\x00b\r\n", ""), 400, "malformed_request"},
	{"body of a handshake", handshakeWith("Content-Length: 10\r\n"), 400, "unexpected_body"},
	{"chunked body of a handshake", handshakeWith("Transfer-Encoding: Chunked\r\n") + "0\r\n\r\n", 400, "unexpected_body"},
	{"expectation and body", handshakeWith("Expect: 100-continue\r\nContent-Length: 10\r\n"), 400, "unexpected_body"},

	// What reaches another host or path than a proxy has checked.
	{"no Host for a page", "GET / HTTP/1.1\r\n\r\n", 400, "bad_host"},
	{"empty Host for a page", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "bad_host"},
	{"two Hosts for a page", page("GET / HTTP/1.1", "HOST: other.test\r\n", ""), 400, "bad_host"},
	{"two Hosts", handshakeWith("Host: other.test\r\n"), 400, "bad_host"},
	{"list of Hosts", strings.Replace(head, "localhost", "localhost, other.test", 1) + "\r\n", 400, "bad_host"},
	{"Host with a user", strings.Replace(head, "localhost", "localhost@other.test", 1) + "\r\n", 400, "bad_host"},
	{"target with a user", handshakeOf("GET http://localhost@other.test/ws HTTP/1.1"), 400, "malformed_request"},
	{"target of another host, origin of Host", strings.Replace(handshakeOf("GET http://127.0.0.1/ws HTTP/1.1"), "\r\n\r\n", "\r\nOrigin: http://localhost\r\n\r\n", 1), 403, "forbidden_origin"},
	{"two origins", handshakeWith("Origin: http://localhost\r\nOrigin: http://localhost\r\n"), 403, "forbidden_origin"},
	{"authority for a target", handshakeOf("GET localhost:80 HTTP/1.1"), 400, "malformed_request"},
	{"CONNECT", handshakeOf("CONNECT localhost:80 HTTP/1.1"), 405, "bad_method"},
	{"asterisk for a target", handshakeOf("OPTIONS * HTTP/1.1"), 405, "bad_method"},
	{"escaped path", handshakeOf("GET /%77s HTTP/1.1"), 404, "not_found"},
	{"two slashes", handshakeOf("GET //ws HTTP/1.1"), 404, "not_found"},
	{"slash behind the path", handshakeOf("GET /ws/ HTTP/1.1"), 404, "not_found"},
	{"dots in the path", handshakeOf("GET /ws/../ws HTTP/1.1"), 404, "not_found"},
	{"NUL in the path", handshakeOf("GET /ws\x00 HTTP/1.1"), 400, "malformed_request"},
	{"blanks in the line", handshakeOf("GET /ws HTTP/1.1 HTTP/1.1"), 400, "malformed_request"},

	// What is another protocol, or another version of this one.
	{"HTTP/1.0", handshakeOf("GET /ws HTTP/1.0"), 505, "bad_http_version"},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505, "bad_http_version"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "tls"},
	{"PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1111 80\r\n" + head + "\r\n", 400, "proxy_header"},
	{"PROXY protocol, binary", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 400, "proxy_header"},
	{"two empty lines first", "\r\n\r\n" + head + "\r\n", 400, "malformed_request"},
	{"version twice", handshakeWith("Sec-WebSocket-Version: 13\r\n"), 400, "malformed_request"},
	{"versions in a list", strings.Replace(head, "Version: 13", "Version: 8, 13", 1) + "\r\n", 426, "bad_version"},
	{"key twice", handshakeWith("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400, "malformed_request"},

	// What is too much.
	{"one byte too many", handshakeWith("A: " + strings.Repeat("x", 8<<10-len(head)-len("A: \r\n\r\n")+1) + "\r\n"), 431, "head_too_large"},
	{"thousands of fields", handshakeWith(strings.Repeat("a:\r\n", 4<<10)), 431, "head_too_large"},
	{"field without end", head + "Cookie: " + strings.Repeat("x", 64<<10), 431, "head_too_large"},
	{"target without end", "GET /ws?" + strings.Repeat("x", 64<<10), 414, "target_too_long"},
}

// Each hostile request gets one answer, and then the connection ends: what looks
// like a second request behind it gets none. And it leaves nothing.
func TestHostileHandshakes(t *testing.T) {
	s := start(t, withHTTP(echoRequest))
	before, total := descriptors(t), 0
	for _, test := range hostiles {
		for pace, size := range map[string]int{"whole": 1 << 20, "in pieces": 1000, "byte by byte": 1} {
			if size < 1000 && len(test.request) > 32<<10 {
				continue
			}
			total++
			t.Run(test.name+"/"+pace, func(t *testing.T) {
				failures := s.stats().Total.HandshakeFailures[test.reason]
				p := s.dialRaw()
				p.TB = t
				p.trickles(test.request+head+"\r\n", size)
				p.refused(test.status, "", "")
				if got := s.stats().Total.HandshakeFailures[test.reason]; got != failures+1 {
					t.Errorf("%d failures are counted as %s, want %d", got, test.reason, failures+1)
				}
			})
		}
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if got := stats.Total.Disconnects["handshake_failed"]; got != uint64(total) {
		t.Errorf("%d failed handshakes are counted, want %d: %+v", got, total, stats.Total)
	}
	s.eventually("the return of the descriptors", func(gateway.GatewayStats) bool { return descriptors(t) <= before })
}

// trickles sends text in writes of size. The gateway may have ended the
// connection before all of it is sent.
func (p *peer) trickles(text string, size int) {
	p.Helper()
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := io.WriteString(p.TCPConn, text[:n]); err != nil {
			return
		}
		text = text[n:]
	}
}

// These look odd and are legal.
func TestOddHandshakesAccepted(t *testing.T) {
	s := start(t, withHTTP(echoRequest))
	for _, test := range []struct{ name, request string }{
		{"empty line first", "\r\n" + head + "\r\n"},
		{"any order", "GET /ws HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
			"Connection: Upgrade\r\nUpgrade: websocket\r\nHost: localhost\r\n\r\n"},
		{"capitals", "GET /ws HTTP/1.1\r\nHOST: LOCALHOST\r\nUPGRADE: WEBSOCKET\r\nCONNECTION: UPGRADE\r\n" +
			"SEC-WEBSOCKET-VERSION: 13\r\nSEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
		{"small letters", "GET /ws HTTP/1.1\r\nhost:localhost\r\nupgrade:websocket\r\nconnection:upgrade\r\n" +
			"sec-websocket-version:13\r\nsec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\r\norigin:http://localhost\r\n\r\n"},
		{"absolute target of another host", handshakeOf("GET http://127.0.0.1/ws HTTP/1.1")},
		{"absolute target, its own origin", strings.Replace(handshakeOf("GET http://127.0.0.1/ws?a HTTP/1.1"), "\r\n\r\n", "\r\nOrigin: http://127.0.0.1\r\n\r\n", 1)},
		{"query with all sorts", handshakeOf("GET /ws?a=/../%00&b=//x?y HTTP/1.1")},
		{"lists", strings.NewReplacer("Connection: ", "Connection: keep-alive, ", "Upgrade: ", "Upgrade: h2c, ").Replace(head) + "\r\n"},
		{"several of each", handshakeWith("Connection: keep-alive\r\nUpgrade: h2c\r\nConnection:\r\n")},
		{"extensions and subprotocols in several fields", handshakeWith("Sec-WebSocket-Extensions: x-a\r\nSec-WebSocket-Protocol: other\r\nSec-WebSocket-Extensions: x-b; c=\"d\"\r\nSec-WebSocket-Protocol: more, fleetcast.v1\r\n")},
		{"body of no bytes", handshakeWith("Content-Length: 0\r\n")},
		{"expectation", handshakeWith("Expect: 100-continue\r\n")},
		{"as many fields as fit", handshakeWith(strings.Repeat("a:\r\n", (8<<10-len(head)-2)/4))},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialRaw()
			p.TB = t
			p.sends(test.request + clientFrame(ws.OpText, true, `{"type":"ping","id":1}`) + clientFrame(ws.OpClose, true, ""))
			answer := p.upgraded()
			if wants := strings.Contains(test.request, "fleetcast.v1"); strings.Contains(answer, "Sec-WebSocket-Protocol: fleetcast.v1\r\n") != wants {
				t.Errorf("answered with %q", answer)
			}
			p.text()
			p.wants(`{"type":"pong","id":1}`)
			p.closes(0, "")
			p.Close()
		})
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if got := stats.Total.Disconnects["client_closed"]; got != stats.Total.Accepted {
		t.Errorf("the counters are %+v", stats.Total)
	}
}

// An empty line before a request for a page is skipped too.
func TestEmptyLineBeforeAPage(t *testing.T) {
	s := start(t, withHTTP(echoRequest))
	for _, size := range []int{1, 3, 1000} {
		p := s.dialRaw()
		p.trickles("\r\n"+page("POST /x HTTP/1.1", "Content-Length: 2\r\n", "ab"), size)
		p.responds(200, "POST /x 2 <nil>")
	}
}

// slowness is how someone sends a request that does not come to its end in
// time. parts are sent one at a time, the last over and over.
type slowness struct {
	name  string
	parts []string
}

var slownesses = []slowness{
	{"silent", nil},
	{"byte by byte", append(strings.Split(head+"X: ", ""), "x")},
	{"header by header", append(strings.SplitAfter(strings.TrimSuffix(head, "\r\n"), "\r\n"), "\r\nX: y")},
	{"stalled in the request line", []string{"GET /w", ""}},
	{"stalled in a field", []string{head + "Cookie: ", ""}},
	{"stalled in the last line end", []string{head + "\r", ""}},
	{"empty line, then nothing", []string{"\r\n", ""}},
}

// Many who are slow at once are each told so, once, when their time is up, and
// leave nothing; nobody else notices.
func TestManySlowHeads(t *testing.T) {
	t.Parallel() // it waits most of the time
	const each = 20
	s := start(t, func(c *gateway.Config) { c.HandshakeTimeout = 500 * time.Millisecond }, withHTTP(echoRequest))
	quick := s.connect()
	before := descriptors(t)
	ended := make(chan error)
	for _, slow := range slownesses {
		for range each {
			p := s.dialRaw()
			go func() { ended <- p.isTooSlow(slow) }()
		}
	}
	for range each * len(slownesses) {
		quick.says(`{"type":"ping"}`)
		quick.wants(`{"type":"pong"}`)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	if got := stats.Total.HandshakeFailures; got["too_slow"] != each*uint64(len(slownesses)) || len(got) != 1 {
		t.Errorf("the failures are counted as %v", got)
	}
	s.eventually("the return of the descriptors", func(gateway.GatewayStats) bool { return descriptors(t) <= before })
}

// isTooSlow sends slowly until it is answered, which must be with 408 and the
// FIN. It leaves the connection closed.
func (p *peer) isTooSlow(slow slowness) error {
	answered := make(chan struct{})
	go func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for i := 0; len(slow.parts) > 0; i++ {
			if _, err := io.WriteString(p.TCPConn, slow.parts[min(i, len(slow.parts)-1)]); err != nil {
				return
			}
			select {
			case <-answered:
				return
			case <-pace.C:
			}
		}
	}()
	defer p.Close()
	defer close(answered)
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", slow.name, err)
	}
	if _, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusRequestTimeout || !response.Close {
		return fmt.Errorf("%s: answered with %s, %v", slow.name, response.Status, err)
	}
	if rest, err := io.ReadAll(p.in); err != nil || len(rest) > 0 {
		return fmt.Errorf("%s: %.200q and %v behind the answer", slow.name, rest, err)
	}
	return nil
}

// Who is refused and neither hangs up nor falls silent is cut off.
func TestRefusedWhoStay(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t)
	var stayers []*peer
	for i := range 20 {
		p := s.dialRaw()
		p.sends("GET /ws HTTP/1.1\r\n\r\n")
		if answer := p.responseHead(); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Fatalf("answered with %q", answer)
		}
		if i%2 == 0 {
			go func() { // until the connection is cut off
				for {
					if _, err := p.Write([]byte(head + "\r\n")); err != nil {
						return
					}
				}
			}()
		}
		stayers = append(stayers, p)
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if got := stats.Total.HandshakeFailures["bad_host"]; got != uint64(len(stayers)) || stats.Total.Clients != 0 {
		t.Errorf("the counters are %+v", stats.Total)
	}
}
