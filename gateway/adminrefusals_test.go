package gateway_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/webport"
)

// TestAdminRefusals has the admin port refuse in each way: the log tells of it, the
// answer says what to do, and each is counted.
func TestAdminRefusals(t *testing.T) {
	for _, test := range []struct {
		reason, text string
		status       string // of the answer
		answer, log  string // what it says
	}{
		{"forbidden_host", "GET /api/stats HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421", "--allow-host",
			`level=WARN .*hosts=evil\.example example\.address=127\.0\.0\.1:\d+ example\.request="GET /api/stats" advice=.*--allow-host`},
		{"forbidden_origin", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: https://shop.example\r\n\r\n", "403", "--allow-host",
			`level=WARN .*origins=https://shop\.example .*advice=.*--allow-host`},
		{"too_large", "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n", "413", "the body is longer", `level=WARN .*--max-event`},
		{"too_large", "POST /api/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000),
			"413", "the body is longer", `level=WARN .*POST /api/drain`},
		{"bad_http_version", "GET / HTTP/1.7\r\nHost: localhost\r\n\r\n", "505", "HTTP/1.1", `level=WARN .*HTTP/1\.1`},
		{"bad_http_version", "GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", "505", "", `level=WARN .*HTTP/1\.1`},
		{"head_too_large", "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + strings.Repeat("c", 100_000) + "\r\n\r\n", "431", "--max-head", `level=WARN .*64 KiB`},
		{"malformed_request", "GET / HTTP/1.1\r\n\r\n", "400", "", `level=INFO .*no HTTP request`},
		{"malformed_request", "nonsense\r\n\r\n", "400", "", `level=INFO .*no HTTP request`},
		{"malformed_request", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501", "", `level=INFO .*no HTTP request`},
		{"tls", "\x16\x03\x01", "400", "https://", `level=WARN .*https://`}, // without a line end
		{"not_available", "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n" +
			`{"channel":"x","data":1}`, "503", "the gateway is stopping", `level=WARN .*POST /api/publish`},
	} {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			s, log := startLogged(t)
			if test.reason == "not_available" {
				s.EndAPIPublisher()
			}
			addr := serveAdmin(t, s.Gateway)
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			go io.WriteString(c, test.text) // it may be cut off
			var answer []byte
			for buffer := make([]byte, 4096); !strings.Contains(string(answer), "\r\n\r\n") || !strings.Contains(string(answer), test.answer); {
				n, err := c.Read(buffer)
				if answer = append(answer, buffer[:n]...); err != nil {
					break
				}
			}
			if !strings.HasPrefix(string(answer), "HTTP/1.1 "+test.status+" ") || !strings.Contains(string(answer), test.answer) {
				t.Errorf("answered with %q, want %s with %q", answer, test.status, test.answer)
			}
			line := log.await(t, `msg="requests to the admin port were refused" reason=`+test.reason+` count=1 total=1 `)
			if !regexp.MustCompile(test.log).MatchString(line) {
				t.Errorf("the line is %s, want %s", line, test.log)
			}
			if n := s.stats().AdminRefused[test.reason]; n != 1 {
				t.Errorf("%d are counted", n)
			}
		})
	}
}

// serveAdmin serves the admin port as the process does.
func serveAdmin(t *testing.T, g *gateway.Gateway) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := webport.New(g.AdminHandler(gateway.Admin{}), testrun.Log(t), g.AdminConnectionRefused)
	ended := make(chan struct{})
	go func() { _ = port.Serve(l); close(ended) }()
	t.Cleanup(func() { port.Close(); <-ended })
	return l.Addr().String()
}

// A readiness check that fails is no refusal: the drain has lines of its own.
func TestUnreadyIsNoRefusal(t *testing.T) {
	s := start(t)
	o := s.operator()
	s.Unready()
	if status, _ := asksAdmin(t, o, "GET /readyz HTTP/1.1", "Host: localhost"); status != 503 {
		t.Errorf("answered with %d", status)
	}
	if refused := s.stats().AdminRefused; len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

// TestRefusalsNameTheOption sends the client port what some option forbids.
func TestRefusalsNameTheOption(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		text, option string
		status       int
	}{
		{head + "Origin: https://shop.example\r\n\r\n", "--allow-origin", 403},
		{strings.Replace(head, "localhost", "evil.example", 1) + "\r\n", "--allow-host", 421},
		{head + "Cookie: " + strings.Repeat("c", 9000) + "\r\n\r\n", "--max-head", 431},
		{"GET /ws?" + strings.Repeat("q", 9000) + " HTTP/1.1\r\n\r\n", "--max-head", 414},
	} {
		p := s.dialRaw()
		p.sends(test.text)
		text, _ := io.ReadAll(p)
		if !strings.HasPrefix(string(text), fmt.Sprintf("HTTP/1.1 %d ", test.status)) || !strings.Contains(string(text), test.option) {
			t.Errorf("%.60q is answered with %q, want %d with %s", test.text, text, test.status, test.option)
		}
	}
}

// TestCreditWaitsAreLogged has a publisher wait for credit while nobody serves its
// events: the log says so, and who it is.
func TestCreditWaitsAreLogged(t *testing.T) {
	t.Parallel() // it waits most of the time
	s, log := startLogged(t, func(c *gateway.Config) { c.Shards, c.Credits, c.PublisherCredits = 1, 2000, 2000 })
	p := s.connect()
	p.subscribe("news")
	upstream := s.publisher()
	upstream.sends(array("CLIENT", "SETNAME", "billing"))
	goOn := s.StallShards()
	for range 20 {
		upstream.sends(array("PUBLISH", "news", strings.Repeat("x", 200)))
	}
	time.Sleep(1500 * time.Millisecond) // for which it waits
	goOn()
	log.await(t, `level=INFO msg="publishers were not read for so many seconds in all.*" count=1 total=1 example\.address=127\.0\.0\.1:\d+ example\.name=billing advice=.*/api/publishers.*--publisher-credits`)
	if waited := s.stats().Publish.CreditWait; waited < 1 || waited > patience.Seconds() {
		t.Errorf("%v s are counted", waited)
	}
}
