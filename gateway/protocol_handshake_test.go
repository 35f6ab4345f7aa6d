package gateway_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// TestHandshakeRefusals proves RFC 6455, 4.2.1, 4.2.2, 4.4 and 7.2.2.
func TestHandshakeRefusals(t *testing.T) {
	s := start(t)
	without := func(field string) string {
		lines := strings.SplitAfter(head, "\r\n")
		for i, line := range lines {
			if strings.HasPrefix(line, field+":") {
				return strings.Join(append(lines[:i:i], lines[i+1:]...), "")
			}
		}
		t.Fatalf("there is no %s", field)
		return ""
	}
	tests := []struct {
		name, request string
		status        int
		reason        string // in the counters
		body          string // contained in it
		header        string // contained in the response's head
	}{
		{"not HTTP", "hello\r\n", 400, "malformed_request", "request line", ""},
		{"bare LF", strings.ReplaceAll(head, "\r\n", "\n"), 400, "malformed_request", "CR LF", ""},
		{"folded field", head + " folded\r\n", 400, "malformed_request", "header line", ""},
		{"space before colon", head + "A : b\r\n", 400, "malformed_request", "header line", ""},
		{"method", strings.Replace(head, "GET", "POST", 1), 405, "bad_method", "GET request", "Allow: GET\r\n"},
		{"later version of HTTP", strings.Replace(head, "HTTP/1.1", "HTTP/1.2", 1), 505, "bad_http_version", "HTTP/1.1", ""},
		{"version of HTTP", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1), 505, "bad_http_version", "HTTP/1.1", ""},
		{"path", strings.Replace(head, "/ws", "/", 1), 404, "not_found", "/ws", ""},
		{"longer path", strings.Replace(head, "/ws", "/ws/x", 1), 404, "not_found", "/ws", ""},
		{"no Upgrade", without("Upgrade"), 426, "no_upgrade", "Upgrade: websocket", "Upgrade: websocket\r\n"},
		{"no Connection", without("Connection"), 426, "no_upgrade", "Connection: Upgrade", "Upgrade: websocket\r\n"},
		{"version", strings.Replace(head, "Version: 13", "Version: 8", 1), 426, "bad_version", "13", "Sec-WebSocket-Version: 13\r\n"},
		{"no key", without("Sec-WebSocket-Key"), 400, "bad_key", "Sec-WebSocket-Key", ""},
		{"short key", strings.Replace(head, "dGhl", "", 1), 400, "bad_key", "16 bytes", ""},
		{"two keys", head + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400, "malformed_request", "once", ""},
		{"no Host", without("Host"), 400, "bad_host", "Host", ""},
		{"two Hosts", head + "Host: other\r\n", 400, "bad_host", "Host", ""},
		{"body", head + "Content-Length: 5\r\n", 400, "unexpected_body", "no body", ""},
		{"chunked body", head + "Transfer-Encoding: chunked\r\n", 400, "unexpected_body", "no body", ""},
		{"foreign origin", head + "Origin: http://elsewhere.test\r\n", 403, "forbidden_origin", "origin", ""},
		{"null origin", head + "Origin: null\r\n", 403, "forbidden_origin", "origin", ""},
		{"too large", head + "Cookie: " + strings.Repeat("x", 8<<10) + "\r\n", 431, "head_too_large", "8192 bytes", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := s.stats().Total.HandshakeFailures[test.reason]
			p := dial(t, s.clientAddr(), 0)
			p.sends(test.request + "\r\n")
			p.refused(test.status, test.body, test.header)
			if after := s.stats().Total.HandshakeFailures[test.reason]; after != before+1 {
				t.Errorf("%d failures are counted as %s, want %d", after, test.reason, before+1)
			}
		})
	}
	s.eventually("the end of all", func(g gateway.GatewayStats) bool {
		return g.Total.Connections == 0 && g.Total.Disconnects["handshake_failed"] == uint64(len(tests))
	})
}

// refused reads a refusal and the FIN behind it, then closes.
func (p *peer) refused(status int, body, header string) {
	p.Helper()
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.Fatalf("reading a response: %v", err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || !strings.Contains(string(text), body) {
		p.Errorf("the answer is %s %q (%v), want %d %q", response.Status, text, err, status, body)
	}
	if name, value, ok := strings.Cut(strings.TrimSpace(header), ": "); ok && response.Header.Get(name) != value {
		p.Errorf("the answer's header is %v, want %s", response.Header, header)
	}
	if got := response.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" || !response.Close {
		p.Errorf("the answer's content type is %q, its Close %v", got, response.Close)
	}
	p.ends()
	p.Close()
}

// TestHandshakeAccepted proves RFC 6455, 4.2.2.
func TestHandshakeAccepted(t *testing.T) {
	s := start(t)
	tests := map[string]string{
		"plain":           head,
		"query":           strings.Replace(head, "/ws", "/ws?token=x", 1),
		"absolute target": strings.Replace(head, "/ws", "http://localhost/ws", 1),
		"case":            strings.NewReplacer("Host", "hOST", "websocket", "WebSocket", "Upgrade:", "UPGRADE:").Replace(head),
		"token lists":     strings.Replace(head, "Connection: Upgrade", "Connection: keep-alive\r\nConnection: x, upgrade", 1),
		"own origin":      head + "Origin: http://LOCALhost\r\n",
		"exactly 8 KiB":   head + "A: " + strings.Repeat("x", 8<<10-len(head)-len("A: \r\n\r\n")) + "\r\n",
	}
	for name, request := range tests {
		t.Run(name, func(t *testing.T) {
			p := dial(t, s.clientAddr(), 0)
			p.sends(request + "\r\n")
			answer := p.upgraded()
			const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" // RFC 6455, 1.3
			if !strings.Contains(answer, accept) || strings.Contains(answer, "Extensions") {
				t.Errorf("the answer is %q", answer)
			}
			p.says(`{"type":"ping"}`)
			p.text()
			p.wants(`{"type":"pong"}`)
		})
	}
}

func TestHandshakeInPieces(t *testing.T) {
	s := start(t)
	request := head + "\r\n" + clientFrame(ws.OpText, true, `{"type":"ping","id":1}`)
	check := func(p *peer) {
		p.Helper()
		p.upgraded()
		p.text()
		p.wants(`{"type":"pong","id":1}`)
		p.Close()
	}
	for at := range len(request) + 1 {
		// The second half leaves when the gateway has met the first, so that
		// the two cannot arrive as one.
		p := s.dialRaw()
		before := s.stats().Total.BytesIn
		p.sends(request[:at])
		s.eventually("the first half", func(g gateway.GatewayStats) bool { return g.Total.BytesIn == before+uint64(at) })
		p.sends(request[at:])
		check(p)
	}

	p := s.dialRaw()
	for i := range len(request) {
		p.sends(request[i : i+1])
	}
	check(p)
}

// Frames may come in the same segment as the head, also those that end the
// connection.
func TestFramesBehindTheHead(t *testing.T) {
	s := start(t)
	p := s.dialRaw()
	p.sends(head + "\r\n" + clientFrame(ws.OpText, true, `{"type":"ping","id":1}`) +
		clientFrame(ws.OpPing, true, "beat") + clientFrame(ws.OpClose, true, "\x03\xe8bye"))
	p.upgraded()
	p.text()
	p.wants(`{"type":"pong","id":1}`)
	if f := p.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "beat" {
		t.Errorf("the ping was answered with %v %q", f.Header.OpCode, f.Payload)
	}
	p.closes(1000, "")
}

func TestSlowHead(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) { c.HandshakeTimeout = 200 * time.Millisecond })
	silent, slow, done := s.dialRaw(), s.dialRaw(), s.connect()
	slow.sends(head)
	silent.refused(408, "in time", "")
	slow.refused(408, "in time", "")
	done.says(`{"type":"ping"}`)
	done.wants(`{"type":"pong"}`)
	if total := s.stats().Total; total.HandshakeFailures["too_slow"] != 2 || total.Disconnects["ping_timeout"] != 0 {
		t.Errorf("the counters are %+v", total)
	}
}

// TestMaxHead counts for WebSocket and for pages alike, however the head comes.
func TestMaxHead(t *testing.T) {
	const most = 64 << 10
	s := start(t, withHTTP(echoRequest), func(c *gateway.Config) { c.MaxHead = most })
	page := "GET /page HTTP/1.1\r\nHost: localhost\r\n"
	for name, begin := range map[string]string{"WebSocket": head, "page": page} {
		padded := func(size int) string {
			return begin + "Cookie: " + strings.Repeat("c", size-len(begin)-len("Cookie: \r\n\r\n")) + "\r\n\r\n"
		}
		for _, test := range []struct {
			what, text string
			answer     string
		}{
			{"longest", padded(most), map[string]string{"WebSocket": "HTTP/1.1 101 ", "page": "HTTP/1.1 200 "}[name]},
			{"too long", padded(most + 1), "HTTP/1.1 431 "},
			{"target too long", "GET /" + strings.Repeat("x", most), "HTTP/1.1 414 "},
		} {
			t.Run(name+" "+test.what, func(t *testing.T) {
				p := s.dialRaw()
				p.TB = t
				for text := test.text; text != ""; {
					piece := min(len(text), 5000)
					p.sends(text[:piece])
					text = text[piece:]
				}
				if answer := p.responseHead(); !strings.HasPrefix(answer, test.answer) {
					t.Errorf("answered with %q", answer)
				}
			})
		}
	}
}

// TestAllowedOrigins proves RFC 6455, 4.2.2 and 10.2.
func TestAllowedOrigins(t *testing.T) {
	for _, test := range []struct {
		allowed []string
		origin  string
		allows  bool
	}{
		{nil, "http://localhost", true},
		{nil, "http://localhost:8080", false},
		{nil, "https://app.test", false},
		{[]string{"https://app.test"}, "https://app.test", true},
		{[]string{"https://app.test"}, "http://app.test", false},
		{[]string{"https://app.test"}, "http://localhost", true}, // its own host
		{[]string{"https://app.test"}, "", true},                 // no web page
		{[]string{"*"}, "https://any.test", true},
		{[]string{"https://app.test"}, "null", false},
		{[]string{"null"}, "null", true},
		{[]string{"null"}, "https://app.test", false},
		{[]string{"https://*.app.test"}, "https://a.app.test", true},
		{[]string{"https://*.app.test"}, "https://a.b-c.app.test", true},
		{[]string{"https://*.app.test"}, "https://app.test", false},
		{[]string{"https://*.app.test"}, "https://.app.test", false},
		{[]string{"https://*.app.test"}, "https://evilapp.test", false},
		{[]string{"https://*.app.test"}, "https://a.app.test.evil.test", false},
		{[]string{"https://*.app.test"}, "https://evil.test/.app.test", false},
		{[]string{"https://*.app.test"}, "https://evil.test:1.app.test", false},
		{[]string{"https://*.app.test"}, "https://[::1].app.test", false},
		{[]string{"https://*.app.test"}, "http://a.app.test", false},
		{[]string{"https://*.app.test"}, "https://a.app.test:8443", false},
		{[]string{"https://*.app.test:8443"}, "https://a.app.test:8443", true},
		{[]string{"https://*.app.test:8443"}, "https://a.app.test", false},
	} {
		s := start(t, func(c *gateway.Config) { c.AllowedOrigins = test.allowed })
		p := s.dialRaw()
		request := head
		if test.origin != "" {
			request += "Origin: " + test.origin + "\r\n"
		}
		p.sends(request + "\r\n")
		answer := p.responseHead()
		if allowed := strings.HasPrefix(answer, "HTTP/1.1 101 "); allowed != test.allows ||
			!allowed && !strings.HasPrefix(answer, "HTTP/1.1 403 ") {
			t.Errorf("with %q allowed, %q is answered with %.40q", test.allowed, test.origin, answer)
		}
	}
}

func TestMaxClients(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) { c.MaxClients = 2 })
	first := s.connect()
	s.connect()
	third := s.dialRaw()
	third.refused(503, "no room", "")
	if total := s.stats().Total; total.HandshakeFailures["full"] != 1 || total.Connections != 2 || total.Accepted != 2 {
		t.Errorf("the counters are %+v", total)
	}
	first.Close()
	s.eventually("room", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	s.connect()
}

// A client that goes away in the middle of its handshake leaves nothing.
func TestVanishInHandshake(t *testing.T) {
	s := start(t)
	for at := 0; at < len(head); at += 40 {
		p := s.dialRaw()
		p.sends(head[:at])
		if at%80 == 0 {
			p.SetLinger(0)
		}
		p.Close()
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool {
		return g.Total.Accepted == uint64((len(head)+39)/40) && g.Total.Connections == 0
	})
	if stats.Total.Disconnects["handshake_failed"] != stats.Total.Accepted {
		t.Errorf("the counters are %+v", stats.Total)
	}
}

// Both address families may share a port that the kernel chose.
func TestSeveralAddresses(t *testing.T) {
	six, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	six.Close()
	s := start(t, func(c *gateway.Config) {
		c.Listen = append(c.Listen, loopback6)
		c.Publish = append(c.Publish, loopback6)
	})
	addrs, publish := s.ClientAddrs(), s.PublishAddrs()
	if len(addrs) != 2 || addrs[0].Port() != addrs[1].Port() || len(publish) != 2 || publish[0].Port() != publish[1].Port() {
		t.Fatalf("bound to %v and %v", addrs, publish)
	}
	p := s.upgrade(dial(t, addrs[1].String(), 0))
	epoch, _ := p.subscribe("news")
	if r := dial(t, publish[1].String(), 0).publishes("news", "1"); r.Epoch != epoch {
		t.Errorf("published with %+v", r)
	}
	p.wants(event("news", 1, "1"))
}
