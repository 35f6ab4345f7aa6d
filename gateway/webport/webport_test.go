package webport_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/webport"
)

const patience = time.Minute

// serve runs a port until its test ends.
func serve(t *testing.T, handler http.HandlerFunc) (addr string) {
	t.Helper()
	_, addr = open(t, handler)
	return addr
}

func open(t *testing.T, handler http.HandlerFunc) (port *webport.Port, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = webport.New(handler, testrun.Log(t), func(string, string) {})
	ended := make(chan error, 1)
	go func() { ended <- port.Serve(l) }()
	t.Cleanup(func() {
		port.Close()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return port, l.Addr().String()
}

// connect opens a connection and sends text.
func connect(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// answered reads one answer.
func answered(t *testing.T, c net.Conn) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
}

const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// TestNobodyHoldsThePort takes every place in each way, twice over, and then asks.
func TestNobodyHoldsThePort(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			<-r.Context().Done()
		case "/endless":
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 64<<10))
			}
		case "/body":
			_, _ = io.ReadAll(r.Body)
		default:
			fmt.Fprint(w, "ok")
		}
	}
	sends := func(text string) func(*testing.T, string) {
		return func(t *testing.T, addr string) { connect(t, addr, text) }
	}
	for name, take := range map[string]func(t *testing.T, addr string){
		"idle":        func(t *testing.T, addr string) { answered(t, connect(t, addr, request)) },
		"silent":      sends(""),
		"half a head": sends("GET / HTTP/1.1\r\nHost: loc"),
		"half a body": sends("POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"),
		"unread":      sends("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"under way":   sends("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"half a head later": func(t *testing.T, addr string) {
			c := connect(t, addr, request)
			answered(t, c)
			io.WriteString(c, "GET ")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			addr := serve(t, handler)
			for range 2 * webport.Connections {
				take(t, addr)
			}
			answered(t, connect(t, addr, request))
		})
	}
}

// TestIdleConnectionsGoFirst keeps a request under way while others come and go.
func TestIdleConnectionsGoFirst(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			begun <- true
			<-goOn
		}
		fmt.Fprint(w, "ok")
	})
	long := connect(t, addr, "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-begun
	first := connect(t, addr, request)
	answered(t, first)
	for range 2 * webport.Connections {
		answered(t, connect(t, addr, request))
	}
	if n, err := first.Read(make([]byte, 1)); err == nil {
		t.Errorf("the connection that is idle longest sent %d bytes more", n)
	}
	close(goOn)
	answered(t, long)
}

// TestCloseAnswersRequests closes a port while a request is under way.
func TestCloseAnswersRequests(t *testing.T) {
	begun := make(chan bool)
	port, addr := open(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		for { // until the port is closing
			c, err := net.Dial("tcp", r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
			if err != nil {
				break
			}
			c.Close()
		}
		fmt.Fprint(w, "ok")
	})
	c := connect(t, addr, request)
	<-begun
	closed := make(chan error)
	go func() { closed <- port.Close() }()
	answered(t, c)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
