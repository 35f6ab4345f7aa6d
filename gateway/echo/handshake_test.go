package echo_test

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/echo"
)

// TestAnyPathAndOrigin proves RFC 6455, 4.2.2.
func TestAnyPathAndOrigin(t *testing.T) {
	server := serve(t, echo.Config{})
	for _, target := range []string{"/", "/ws", "/a/b?c=/d", "//", "/?", "http://localhost", "http://localhost/x://y", "http://localhost?q=/a"} {
		c := dial(t, server)
		request := websocket.Request{Host: "localhost", Path: target, Headers: []websocket.Header{{Name: "Origin", Value: "https://elsewhere.example"}}}
		c.send(request.Append(nil, key))
		if r := c.response(); r.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%s: status %s", target, r.Status)
		}
	}
}

// TestRefusals proves RFC 6455, 4.2.1, 4.2.2 and 7.2.2.
func TestRefusals(t *testing.T) {
	t.Parallel()
	patient := serve(t, echo.Config{})
	impatient := serveImpatiently(t, echo.Config{}, shortTime, shortTime)
	fields := "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + string(key[:]) + "\r\n"
	tests := []struct {
		name, head string
		status     int
	}{
		{"not HTTP", "hello\r\n\r\n", 400},
		{"bad target", "GET * HTTP/1.1\r\n" + fields + "Sec-WebSocket-Version: 13\r\n\r\n", 400},
		{"method", "POST / HTTP/1.1\r\n" + fields + "Sec-WebSocket-Version: 13\r\n\r\n", 405},
		{"version", "GET / HTTP/1.1\r\n" + fields + "Sec-WebSocket-Version: 8\r\n\r\n", 426},
		{"no upgrade", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426},
		{"too large", "GET / HTTP/1.1\r\nCookie: " + strings.Repeat("c", websocket.MaxHandshake), 431},
		{"too slow", "GET / HTTP/1.1\r\nHost: loc", 408},
		{"silent", "", 408},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := patient
			if test.status == http.StatusRequestTimeout {
				server = impatient
			}
			c := dial(t, server)
			c.send([]byte(test.head))
			r := c.response()
			if body, err := io.ReadAll(r.Body); err != nil || len(body) == 0 || r.StatusCode != test.status {
				t.Errorf("status %s, body %q, error %v; want %d", r.Status, body, err, test.status)
			}
			c.expectEnd()
		})
	}
}

func TestLargestHead(t *testing.T) {
	server := serve(t, echo.Config{})
	head := string(request("/"))
	pad := func(size int) []byte {
		const field = "Cookie: "
		filler := strings.Repeat("c", size-len(head)-len(field)-2)
		return []byte(strings.TrimSuffix(head, "\r\n") + field + filler + "\r\n\r\n")
	}
	for _, split := range []int{0, 1, 5000} {
		c := dial(t, server)
		p := join(pad(websocket.MaxHandshake), masked(ws.OpText, "hello"))
		c.send(p[:split])
		time.Sleep(10 * time.Millisecond)
		c.send(p[split:])
		c.upgraded()
		c.expect(ws.OpText, []byte("hello"))
	}
	c := dial(t, server)
	c.send(pad(websocket.MaxHandshake + 1))
	if r := c.response(); r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %s", r.Status)
	}
}

func TestHangUpBeforeTheRequest(t *testing.T) {
	server := serve(t, echo.Config{})
	c := dial(t, server)
	c.send([]byte("GET / HT"))
	c.CloseWrite()
	c.expectEnd()
}

// The addresses that stand for one name must share a port.
func TestOnePortForAllAddresses(t *testing.T) {
	other := netip.MustParseAddrPort("127.0.0.2:0")
	server, err := echo.New(echo.Config{Listen: []addrPort{loopback, other}, Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if addrs := server.Addrs(); len(addrs) != 2 || addrs[0].Port() != addrs[1].Port() || addrs[1].Addr() != other.Addr() {
		t.Errorf("bound to %v, want one port", addrs)
	}
}

func TestConfig(t *testing.T) {
	server := serve(t, echo.Config{})
	for name, config := range map[string]echo.Config{
		"no address":       {},
		"negative loops":   {Listen: []addrPort{loopback}, Loops: -1},
		"negative message": {Listen: []addrPort{loopback}, MaxMessage: -1},
	} {
		if _, err := echo.New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := echo.New(echo.Config{Listen: []addrPort{loopback, server.Addrs()[0]}}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("port in use: error %v", err)
	}
}
