package plainhttp

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/codec/testrun"
)

// TestHTTPTimeouts gives the server connections whose peers neither send what
// they promised nor read what they asked for: both are cut off.
func TestHTTPTimeouts(t *testing.T) {
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			ended <- err
			return
		}
		junk := make([]byte, 1<<20)
		for {
			if _, err := w.Write(junk); err != nil {
				ended <- err
				return
			}
		}
	})
	h := NewPort(handler, testrun.Log(t))
	h.server.Handler, h.server.WriteTimeout = BoundBody(50*time.Millisecond, handler), 50*time.Millisecond
	served := make(chan struct{})
	go func() { h.Run(); close(served) }()
	for name, request := range map[string]string{
		"a body that never ends":      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n1",
		"an answer that nobody reads": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		handedPeer(t, h, request)
		if err := <-ended; err == nil {
			t.Errorf("%s is not cut off", name)
		}
	}
	h.Stop()
	<-served
}

// handedPeer hands a request over and returns its peer.
func handedPeer(t *testing.T, h *Port, request string) net.Conn {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(pair[1]), "peer")
	peer, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	if !h.HandOver(func() (int, bool) { return pair[0], true }, []byte(request), netip.AddrPort{}) {
		t.Fatal("not taken")
	}
	return peer
}

// Whoever promises a body and sends none is answered and holds no place.
func TestHTTPBodyThatIsNotSent(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	h := NewPort(handler, testrun.Log(t))
	h.server.Handler = BoundBody(time.Hour, handler)
	served := make(chan struct{})
	go func() { h.Run(); close(served) }()
	for range Connections / 2 {
		handedPeer(t, h, "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
	}
	honest := handedPeer(t, h, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	honest.SetReadDeadline(time.Now().Add(time.Minute))
	if text, err := io.ReadAll(honest); err != nil || !strings.HasSuffix(string(text), "ok") {
		t.Errorf("answered with %q, %v", text, err)
	}
	h.Stop()
	<-served
}

// TestHTTPPlaceOfTheLongest takes all places with peers that do not read what they
// asked for. One more is served all the same, and the first is cut off.
func TestHTTPPlaceOfTheLongest(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/honest" {
			io.WriteString(w, "ok")
			return
		}
		for junk := make([]byte, 64<<10); ; {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	h := NewPort(handler, testrun.Log(t))
	h.server.WriteTimeout, h.sure = 0, 0
	served := make(chan struct{})
	go func() { h.Run(); close(served) }()
	defer func() { h.Stop(); <-served }()
	var held []net.Conn
	for range Connections {
		peer := handedPeer(t, h, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		peer.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		held = append(held, peer)
	}
	honest := handedPeer(t, h, "GET /honest HTTP/1.1\r\nHost: localhost\r\n\r\n")
	honest.SetReadDeadline(time.Now().Add(time.Minute))
	if text, err := io.ReadAll(honest); err != nil || !strings.HasSuffix(string(text), "ok") {
		t.Errorf("answered with %q, %v", text, err)
	}
	if _, err := io.Copy(io.Discard, held[0]); err != nil {
		t.Errorf("the first that took a place is not cut off: %v", err)
	}
}
