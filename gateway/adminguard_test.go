package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway"
)

// adminPaths is one path of each handler of the admin port.
var adminPaths = []string{
	"/", "/dashboard/dashboard.js", "/healthz", "/readyz", "/metrics", "/api/stats", "/api/channels", "/api/publish", "/api/drain", "/api/none",
	"/api/openapi.yaml", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile", "/debug/pprof/symbol", "/none", "*",
}

// asksAdmin sends a request of these header lines and returns the answer's status
// and body.
func asksAdmin(t *testing.T, o *operator, line string, fields ...string) (status int, body string) {
	t.Helper()
	p := dial(t, o.web.Listener.Addr().String(), 0)
	defer p.Close()
	p.sends(line + "\r\n" + strings.Join(append(fields, "Content-Type: application/json"), "\r\n") + "\r\n\r\n")
	response, err := http.ReadResponse(p.in, &http.Request{Method: strings.Fields(line)[0]})
	if err != nil {
		t.Errorf("%s %q: %v", line, fields, err)
		return 0, ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// TestAdminGuard has every path refuse what a web page of another origin, or one
// whose name was pointed here, makes a browser send.
func TestAdminGuard(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.AllowedHosts = []string{"admin.test", "*.many.test"} })
	var drains atomic.Int32
	o := operate(t, s.Gateway, gateway.Admin{Drain: func() { drains.Add(1) }})
	for _, test := range []struct {
		name, version string
		fields        []string
		status        int
	}{
		{"rebound name", "1.1", []string{"Host: evil.example"}, 421},
		{"rebound name with a port", "1.1", []string{"Host: evil.example:8081"}, 421},
		{"rebound name of HTTP/1.0", "1.0", []string{"Host: evil.example"}, 421},
		{"forwarded name", "1.1", []string{"Host: evil.example", "X-Forwarded-Host: localhost"}, 421},
		{"name of the pattern itself", "1.1", []string{"Host: many.test"}, 421},
		{"name that ends alike", "1.1", []string{"Host: notlocalhost"}, 421},
		{"name of a wildcard DNS service", "1.1", []string{"Host: 127.0.0.1.nip.io"}, 421},
		{"no name", "1.1", []string{"Host:"}, 421},
		{"cross-site", "1.1", []string{"Host: localhost", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"same-site", "1.1", []string{"Host: localhost", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"foreign origin", "1.1", []string{"Host: localhost", "Origin: http://evil.example"}, 403},
		{"another port", "1.1", []string{"Host: localhost:8081", "Origin: http://localhost:3000"}, 403},
		{"two origins", "1.1", []string{"Host: localhost", "Origin: http://localhost", "Origin: http://evil.example"}, 403},
		{"two sites", "1.1", []string{"Host: localhost", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, 403},
		{"null origin", "1.1", []string{"Host: localhost", "Origin: null"}, 403},
		{"later HTTP", "1.2", []string{"Host: localhost"}, 505},
		{"body over every limit", "1.1", []string{"Host: localhost", "Content-Length: 1000000"}, 413},
	} {
		for _, path := range adminPaths {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS"} {
				status, body := asksAdmin(t, o, method+" "+path+" HTTP/"+test.version, test.fields...)
				if path == "*" && status == 400 {
					continue // net/http takes it for OPTIONS only
				}
				if status != test.status {
					t.Errorf("%s, %s %s: answered with %d %.200q, want %d", test.name, method, path, status, body, test.status)
				}
				if status == 421 && method != "HEAD" && !strings.Contains(body, "--allow-host") {
					t.Errorf("%s: the answer does not name the option: %q", test.name, body)
				}
			}
		}
	}
	// An absolute target stands above Host.
	if status, _ := asksAdmin(t, o, "GET http://evil.example/api/stats HTTP/1.1", "Host: localhost"); status != 421 {
		t.Errorf("a rebound target is answered with %d", status)
	}
	if drains.Load() != 0 || s.stats().Publish.Events != 0 {
		t.Errorf("a refused request had an effect")
	}
	for _, fields := range [][]string{
		{"Host: localhost"}, {"Host: LOCALHOST.:8081"}, {"Host: 127.0.0.1"}, {"Host: 192.0.2.7:1"}, {"Host: [::1]:8081"}, {"Host: gw.localhost"},
		{"Host: admin.test"}, {"Host: Admin.Test.:80"}, {"Host: a.many.test"}, {"Host: a.b.many.test:1"},
		{"Host: localhost", "Sec-Fetch-Site: same-origin"}, {"Host: localhost", "Sec-Fetch-Site: none"},
		{"Host: localhost", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"},
	} {
		if status, body := asksAdmin(t, o, "GET / HTTP/1.1", fields...); status != 200 {
			t.Errorf("%q is answered with %d %.200q", fields, status, body)
		}
	}
	if status, _ := asksAdmin(t, o, "GET /healthz HTTP/1.0"); status != 200 {
		t.Errorf("HTTP/1.0 without a host is answered with %d", status)
	}
}

// TestEndlessBodies has 16 connections send bodies that do not end to each path: memory
// does not grow by them. (pprof.Symbol keeps three bytes for each.)
func TestEndlessBodies(t *testing.T) {
	o := start(t).operator()
	for _, path := range []string{"/debug/pprof/symbol", "/debug/pprof/profile", "/api/publish", "/api/drain", "/metrics", "/healthz", "/none"} {
		t.Run(path, func(t *testing.T) {
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			var senders sync.WaitGroup
			for range 16 {
				senders.Go(func() { sendAtLength(t, o.web.Listener.Addr().String(), path, 6<<20) })
			}
			senders.Wait()
			runtime.ReadMemStats(&now)
			// 96 MiB were sent. On a busy machine the collector is late, in the sender too.
			if grown := int64(now.Sys) - int64(before.Sys); grown > 160<<20 {
				t.Errorf("the process grew by %d MiB", grown>>20)
			}
		})
	}
}

// sendAtLength sends total bytes as bodies of requests for symbols, on a new
// connection whenever one is cut.
func sendAtLength(t *testing.T, addr, path string, total int) {
	body := strings.Repeat("0x401000+", 4<<10)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
	for sent := 0; sent < total; {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		c.SetDeadline(time.Now().Add(patience))
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", path)
		for ; err == nil && sent < total; sent += len(chunk) {
			_, err = io.WriteString(c, chunk)
		}
		c.Close()
	}
}

// TestSymbols are looked up for a body within the limit.
func TestSymbols(t *testing.T) {
	o := start(t).operator()
	if reply := o.call("POST", "/debug/pprof/symbol", "0x401000+0x402000"); reply.status != 200 || !strings.Contains(reply.body, "num_symbols") {
		t.Errorf("answered with %d %q", reply.status, reply.body)
	}
	request, _ := http.NewRequest("POST", o.web.URL+"/debug/pprof/symbol", io.MultiReader(strings.NewReader(strings.Repeat("0x401000+", 8<<10))))
	if response, err := o.web.Client().Do(request); err != nil || response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over the limit, of no declared length, is answered with %v, %v", response, err)
	}
	if reply := o.call("POST", "/debug/pprof/symbol", strings.Repeat("0x401000+", 8<<10)); reply.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over the limit is answered with %d", reply.status)
	}
}

// TestProfilesAreBounded in time and number.
func TestProfilesAreBounded(t *testing.T) {
	t.Parallel() // it waits most of the time
	o := start(t).operator()
	for _, path := range []string{"profile?seconds=61", "trace?seconds=61", "heap?seconds=100000", "goroutine?seconds=99999999999999999999",
		"trace?seconds=1e9", "trace?seconds=NaN", "profile?seconds=-1", "profile?seconds=", "heap?seconds=61&seconds=1", "profile?seconds=1;x"} {
		if reply := o.get("/debug/pprof/" + path); reply.status != http.StatusBadRequest {
			t.Errorf("%s is answered with %d %.100q", path, reply.status, reply.body)
		}
	}
	addr := o.web.Listener.Addr().String()
	profile := func(seconds int) *peer {
		p := dial(t, addr, 0)
		p.sends(fmt.Sprintf("GET /debug/pprof/heap?seconds=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", seconds))
		return p
	}
	// busy waits until the places are taken, or not.
	busy := func(want bool) (reply apiReply) {
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			if reply = o.get("/debug/pprof/cmdline"); reply.status == http.StatusServiceUnavailable == want {
				return reply
			}
		}
		t.Fatalf("the places for profiles are taken: %v", !want)
		return reply
	}
	first, second := profile(60), profile(60)
	if reply := busy(true); reply.header.Get("Retry-After") == "" {
		t.Errorf("refused without a time to come back: %v", reply.header)
	}
	// Others do not wait for profiles, and a client that goes gives its place back.
	if status, _ := asksAdmin(t, o, "GET /api/stats HTTP/1.1", "Host: localhost"); status != 200 {
		t.Errorf("/api/stats is answered with %d", status)
	}
	first.Close()
	second.Close()
	busy(false)
	short := profile(1)
	if response, err := http.ReadResponse(bufio.NewReader(short.TCPConn), nil); err != nil || response.StatusCode != 200 {
		t.Errorf("a short profile is answered with %v, %v", response, err)
	}
}

// TestPlacesOfTheAPI are not held by those who neither send nor read; metrics and
// health need none.
func TestPlacesOfTheAPI(t *testing.T) {
	t.Parallel() // it waits most of the time
	o := start(t).operator()
	addr := o.web.Listener.Addr().String()
	for range 40 {
		dial(t, addr, 0).sends("POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, _ := asksAdmin(t, o, "GET "+path+" HTTP/1.1", "Host: localhost"); status != 200 {
			t.Errorf("%s is answered with %d", path, status)
		}
	}
	for deadline := time.Now().Add(patience); ; {
		reply := o.get("/api/stats")
		if reply.status == 200 {
			break
		}
		if reply.status != 503 || reply.header.Get("Retry-After") != "1" || time.Now().After(deadline) {
			t.Fatalf("answered with %d %v %s", reply.status, reply.header, reply.body)
		}
	}
}
