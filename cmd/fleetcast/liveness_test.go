package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/webport"
)

// attack opens a connection to addr and does its worst with it.
type attack func(t *testing.T, addr string) net.Conn

// says sends text and reads nothing.
func says(text string) attack {
	return func(t *testing.T, addr string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, text) // it may have been cut off
		return c
	}
}

// idles gets one answer and keeps the connection.
func idles(t *testing.T, addr string) net.Conn {
	c := says("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")(t, addr)
	_, _ = io.ReadAtLeast(c, make([]byte, 1<<10), len("HTTP/1.1 200"))
	return c
}

// floods reads what it gets and asks again.
func floods(text string) attack {
	return func(t *testing.T, addr string) net.Conn {
		c := says(text)(t, addr)
		go func() {
			for err := error(nil); err == nil; {
				_, err = io.WriteString(c, text)
			}
		}()
		go func() { _, _ = io.Copy(io.Discard, c) }()
		return c
	}
}

const (
	toLocalhost = " HTTP/1.1\r\nHost: localhost\r\n"
	jsonBody    = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)

// TestLivenessUnderAttack keeps the admin port of a real process busy in each way,
// with more connections than it has room for, while another process asks whether
// it is well.
func TestLivenessUnderAttack(t *testing.T) {
	p := startProcess(t, "--listen=localhost:0", "--publish=off", "--admin=localhost:0")
	admin := p.out.await(t, `look inside at +http://([^/]+)/`)[1]
	for name, attack := range map[string]attack{
		"idle connections":   idles,
		"silent connections": says(""),
		"half heads":         says("GET /api/stats" + toLocalhost),
		"unfinished bodies":  says("POST /api/publish" + toLocalhost + jsonBody),
		"unread answers":     says(strings.Repeat("GET /dashboard/uplot/uPlot.iife.min.js"+toLocalhost+"\r\n", 100)),
		"unread metrics":     says(strings.Repeat("GET /metrics"+toLocalhost+"\r\n", 200)),
		"unread health":      says(strings.Repeat("GET /healthz"+toLocalhost+"\r\n", 2_000)),
		"unread statistics":  says(strings.Repeat("GET /api/stats"+toLocalhost+"\r\n", 200)),
		"long profiles":      says("GET /debug/pprof/heap?seconds=60" + toLocalhost + "\r\n"),
		"profiles too long":  says(strings.Repeat("GET /debug/pprof/heap?seconds=100000"+toLocalhost+"\r\n", 200)),
		"much health":        floods(strings.Repeat("GET /healthz"+toLocalhost+"\r\n", 100)),
		"many lists":         floods(strings.Repeat("GET /api/channels"+toLocalhost+"\r\n", 10)),
		"CPU profiles":       says("GET /debug/pprof/profile?seconds=60" + toLocalhost + "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 * webport.Connections {
				defer attack(t, admin).Close()
			}
			for _, args := range [][]string{{"health"}, {"health", "--ready"}} {
				h := startProcess(t, append(args, "--admin="+admin, "--timeout=1m")...) // a busy machine is no attack
				if code := h.exitCode(t); code != 0 {
					t.Errorf("%v: exit code %d: %s", args, code, h.err)
				}
			}
			if status, text := fetch(t, "http://"+admin+"/metrics"); status != http.StatusOK || !strings.Contains(text, "fleetcast_clients 0") {
				t.Errorf("/metrics is answered with %d %.200q", status, text)
			}
		})
	}
}

// TestLivenessOfTheClientPort is asked while every place for other requests is
// taken.
func TestLivenessOfTheClientPort(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := startProcess(t, "--listen=localhost:0", "--publish=off", "--admin=off")
	clients := p.out.await(t, `open in a browser +http://([^/\s]+)`)[1]
	for name, attack := range map[string]attack{
		"unread pages":      says("GET /fleetcast.js" + toLocalhost + "\r\n"),
		"unfinished bodies": says("POST /" + toLocalhost + jsonBody),
		"half heads":        says("GET /" + toLocalhost),
	} {
		t.Run(name, func(t *testing.T) {
			for range 300 {
				attack(t, clients)
			}
			for _, method := range []string{"GET", "HEAD"} {
				c := says(fmt.Sprintf("%s /healthz%s\r\n", method, toLocalhost))(t, clients)
				text, err := io.ReadAll(c)
				if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200 OK\r\n") || strings.HasSuffix(string(text), "ok\n") != (method == "GET") {
					t.Errorf("%s is answered with %q, %v", method, text, err)
				}
			}
			c := says("POST /healthz"+toLocalhost+"Content-Length: 0\r\n\r\n")(t, clients)
			if text, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 405 ") {
				t.Errorf("POST is answered with %q, %v", text, err)
			}
		})
	}
}
