package hook_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
)

// listen starts a server that speaks as serve does, with each connection.
func listen(t *testing.T, serve func(c net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				serve(c)
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/hook?key=" + testrun.Secret
}

// TestBrokenAnswers asks servers whose answers are no HTTP, too large or cut off. Each
// call ends, fails for now, and leaves the secrets out of the log.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	endless := func(c net.Conn, head, part string) {
		if _, err := io.WriteString(c, head); err != nil {
			return
		}
		for {
			if _, err := io.WriteString(c, part); err != nil {
				return
			}
		}
	}
	for _, test := range []struct {
		name  string
		serve func(c net.Conn, request string)
		down  bool // counts for the breaker
	}{
		{"closes at once", func(net.Conn, string) {}, true},
		{"an echo", func(c net.Conn, request string) { _, _ = io.WriteString(c, request) }, true},
		{"an echo as a status", func(c net.Conn, request string) { _, _ = io.WriteString(c, "HTTP/1.1 "+request) }, true},
		{"an echo as a length", func(c net.Conn, request string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strings.Join(strings.Fields(request), "")+"\r\n\r\n")
		}, true},
		{"an echo as an encoding", func(c net.Conn, request string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "+strings.Join(strings.Fields(request), "")+"\r\n\r\n")
		}, true},
		{"an echo as the answer", func(c net.Conn, request string) {
			_, body, _ := strings.Cut(request, "\r\n\r\n")
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}, false},
		{"half a head", func(c net.Conn, _ string) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le") }, true},
		{"half a body", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"user\":\"alice\"}")
		}, true},
		{"half a chunk", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"user\":\"alice\"}\r\n")
		}, true},
		{"a wrong chunk", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{\"user\":\"alice\"}\r\n")
		}, true},
		{"a length beyond the bound", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
		}, false},
		{"an endless body", func(c net.Conn, _ string) {
			endless(c, "HTTP/1.1 200 OK\r\n\r\n{\"user\":\"", strings.Repeat("a", 4096))
		}, false},
		{"an endless head", func(c net.Conn, _ string) {
			endless(c, "HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("a", 1000)+"\r\n")
		}, true},
		{"endless interim answers", func(c net.Conn, _ string) { endless(c, "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") }, true},
		{"another protocol", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}, false},
		{"another protocol, without end", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, c) // until the gateway closes it
		}, false},
		{"TLS", func(c net.Conn, _ string) { _, _ = c.Write([]byte{0x15, 3, 1, 0, 2, 2, 10}) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := listen(t, func(c net.Conn) {
				request := make([]byte, 64<<10)
				n := 0
				for !strings.Contains(string(request[:n]), `"token":"the-token"`) {
					more, err := c.Read(request[n:])
					if n += more; err != nil {
						return
					}
				}
				test.serve(c, string(request[:n]))
			})
			o, log := options(url)
			o.Header = http.Header{"Authorization": {"Bearer " + testrun.Secret}}
			o.Breaker.AtLeast = 1
			h := newHook(t, o)
			outcome := h.Connect(t.Context(), client)
			if reasonOf(outcome) != "hook_failed" || !outcome.Refusal.Temporary {
				t.Errorf("%+v", outcome.Refusal)
			}
			if s := h.Stats(); (s.Open == 1) != test.down {
				t.Errorf("counted %+v", s)
			}
			for _, secret := range []string{"the-token", testrun.Secret, "room=7"} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("%s is in the log:\n%s", secret, log)
				}
			}
			if text := log.String(); text == "" || len(text) > 1200 {
				t.Errorf("the log has %d bytes:\n%.2000s", len(text), text)
			}
		})
	}
}
