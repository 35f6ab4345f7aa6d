package plainhttp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/netutil"
)

// serveOne serves h to one connection at a time.
func serveOne(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Listener = netutil.LimitListener(s.Listener, 1)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// A request whose client does nothing more must leave its place to the next.
func TestAdminPortIsNotHeld(t *testing.T) {
	junk := make([]byte, 1<<20)
	const short = 50 * time.Millisecond
	for name, test := range map[string]struct {
		body, answer time.Duration
		request      string
	}{
		"a body that nobody waits for": {time.Hour, time.Hour, "GET /ok HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"},
		"a body that is waited for":    {short, time.Hour, "POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n1"},
		"an answer that is not read":   {time.Hour, short, "GET /junk HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
			mux.HandleFunc("/read", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })
			mux.HandleFunc("/junk", func(w http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := w.Write(junk); err != nil {
						return
					}
				}
			})
			s := serveOne(t, BoundBody(test.body, BoundAnswer(test.answer, mux)))
			holder, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer holder.Close()
			fmt.Fprint(holder, test.request)
			client := http.Client{Timeout: 20 * time.Second}
			response, err := client.Get(s.URL + "/ok")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		})
	}
}

// Connections go on after requests whose bodies were sent.
func TestBoundsKeepConnections(t *testing.T) {
	s := httptest.NewUnstartedServer(BoundBody(time.Hour, BoundAnswer(time.Hour, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		if r.Context().Err() != nil {
			t.Error("a request that was not given up is cancelled")
		}
	}))))
	var opened atomic.Int64
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	for range 5 {
		response, err := s.Client().Post(s.URL, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != "hello" {
			t.Errorf("answered with %q, %v", body, err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections were opened", n)
	}
}
