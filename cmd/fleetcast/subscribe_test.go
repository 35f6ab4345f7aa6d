package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func TestSubscribePrintsOneLineAMessage(t *testing.T) {
	t.Parallel() // it waits most of the time
	const message = "{\"type\":\"event\",\r\n\"channel\":\"news\",\"offset\":1,\n\"data\":{\r\"a\" :\t\"b\\n\"}}"
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = wsutil.WriteServerText(conn, []byte(message))
		_, _ = io.Copy(io.Discard, conn)
	}))
	defer gateway.Close()
	url := "ws" + strings.TrimPrefix(gateway.URL, "http")
	for _, test := range []struct {
		flags []string
		want  string
	}{
		{nil, "{\"type\":\"event\",  \"channel\":\"news\",\"offset\":1, \"data\":{ \"a\" :\t\"b\\n\"}}\n"},
		{[]string{"--data"}, "{ \"a\" :\t\"b\\n\"}\n"},
	} {
		c := start(t, nil, append([]string{"subscribe", "--url=" + url, "news"}, test.flags...)...)
		c.out.await(t, `b\\n"\}+\n`)
		if got := c.out.String(); got != test.want {
			t.Errorf("%v: printed %q, want %q", test.flags, got, test.want)
		}
		c.stop()
		c.wait(t)
	}
}

// TestSubscribeGivesUpOnAnHTTPRefusal proves RFC 6455, 4.1.
func TestSubscribeGivesUpOnAnHTTPRefusal(t *testing.T) {
	for _, test := range []struct {
		status int
		final  bool
	}{{400, true}, {403, true}, {404, true}, {408, false}, {429, false}, {500, false}, {503, false}} {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") != "" { // else it is a look at what is there
					requests.Add(1)
				}
				w.WriteHeader(test.status)
				fmt.Fprint(w, "no \x1b[31mentry\nand more\n")
			}))
			defer gateway.Close()
			c := start(t, nil, "subscribe", "--url=ws"+strings.TrimPrefix(gateway.URL, "http"), "news")
			said := fmt.Sprintf(`%d %s: no \[31mentry`, test.status, http.StatusText(test.status))
			if !test.final {
				c.err.await(t, `(?s)`+said+`; connecting again.*`+said+`; connecting again`)
				return
			}
			if code := c.wait(t); code != exitFailure {
				t.Errorf("exit code %d, want %d", code, exitFailure)
			}
			c.err.await(t, said)
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

// The body of a refusal may never end; its status still counts.
func TestSubscribeRefusalWithoutEnd(t *testing.T) {
	t.Parallel() // it waits most of the time
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		fmt.Fprint(conn, "HTTP/1.1 404 Nothing\r\nContent-Length: 100\r\n\r\nnot here")
		_, _ = io.Copy(io.Discard, conn)
	}()
	c := start(t, nil, "subscribe", "--timeout=300ms", "--url=ws://"+listener.Addr().String(), "news")
	if code := c.wait(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	c.err.await(t, "404 Not Found: not here")
}

// TestSubscribeWaitsAsTold: the pause that a refusal asks for is kept, in whatever
// form it comes; a pause with any other status is nothing to wait for.
func TestSubscribeWaitsAsTold(t *testing.T) {
	for _, test := range []struct {
		status      int
		after, said string
	}{
		{503, "120", `503 Service Unavailable: full; connecting again in (2m0s|1m59\.\d+s), as the gateway asks`},
		{429, "3", `429 Too Many Requests: full; connecting again in (3s|2\.\d+s), as the gateway asks`},
		{503, "99999999999999999999999", `connecting again in (1h0m0s|59m59\.\d+s), as the gateway asks`},
		{503, "Fri, 31 Dec 9999 23:59:59 GMT", `connecting again in (1h0m0s|59m59\.\d+s), as the gateway asks`},
		{503, "Thu, 01 Jan 1970 00:00:00 GMT", `connecting again in \d+ms\n`},
		{503, "soon", `connecting again in \d+ms\n`},
		{503, "-5", `connecting again in \d+ms\n`},
		{500, "120", `connecting again in \d+ms\n`},
	} {
		t.Run(fmt.Sprint(test.status, " ", test.after), func(t *testing.T) {
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", test.after)
				http.Error(w, "full", test.status)
			}))
			defer gateway.Close()
			c := start(t, nil, "subscribe", "--url=ws"+strings.TrimPrefix(gateway.URL, "http"), "news")
			c.err.await(t, test.said)
			c.stop() // also ends the wait
			if code := c.wait(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// The second attempt comes when the pause is over.
func TestSubscribeReturnsAfterAPause(t *testing.T) {
	t.Parallel() // it waits most of the time
	var refused atomic.Pointer[time.Time]
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		if refused.CompareAndSwap(nil, &now) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "full", http.StatusServiceUnavailable)
			return
		}
		if paused := now.Sub(*refused.Load()); paused < time.Second {
			t.Errorf("the second attempt comes after %v", paused)
		}
		http.Error(w, "never", http.StatusForbidden)
	}))
	defer gateway.Close()
	c := start(t, nil, "subscribe", "--url=ws"+strings.TrimPrefix(gateway.URL, "http"), "news")
	if code := c.wait(t); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	c.err.await(t, "403 Forbidden: never")
}
