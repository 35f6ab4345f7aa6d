package webport

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"
)

// Why a connection is refused before the handler gets a request.
const (
	ReasonTLS         = "tls"               // a TLS client's greeting
	ReasonMalformed   = "malformed_request" // not HTTP, or not as it should be
	ReasonHeadTooLong = "head_too_large"
	ReasonVersion     = "bad_http_version"
)

// conn is a connection of a port. stage and since belong to the port's mutex.
type conn struct {
	net.Conn
	port  *Port
	read  bool // it was tried to
	met   bool // bytes have come
	stage stage
	since time.Time // of the stage; zero before the first read
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (n int, err error) {
	if !c.read {
		c.read = true
		c.enter(fresh)
	}
	n, err = c.Conn.Read(b)
	if n > 0 && !c.met {
		const tlsHandshake = 22 // the type of the TLS record that holds a client's greeting
		if c.met = true; b[0] == tlsHandshake {
			c.port.refused(ReasonTLS, c.RemoteAddr().String())
			_, _ = c.Conn.Write(refuseTLS) // the client is gone if it fails
			return 0, io.EOF               // net/http would wait for a line end
		}
	}
	return n, err
}

var refuseTLS = []byte("HTTP/1.1 400 Bad Request" + string(rawRefusal) +
	"this port takes no TLS; use http:// and not https://, or a proxy that ends TLS\n")

// rawRefusal ends the head of the answers that net/http writes past the handler.
// Those of the handler have more fields.
var rawRefusal = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Write implements net.Conn. It reports refusals by net/http, and says in them what
// that does not.
func (c *conn) Write(b []byte) (n int, err error) {
	line, _, found := bytes.Cut(b, rawRefusal)
	if !found || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || bytes.Contains(line, []byte("\r\n")) {
		return c.Conn.Write(b)
	}
	reason, text := ReasonMalformed, ""
	switch status := string(line[len("HTTP/1.1 "):][:3]); {
	case status == "431":
		reason, text = ReasonHeadTooLong, headTooLong
	case status == "505":
		reason = ReasonVersion
	}
	c.port.refused(reason, c.RemoteAddr().String())
	if text == "" {
		return c.Conn.Write(b)
	}
	if _, err := c.Conn.Write(bytes.Join([][]byte{line, rawRefusal, []byte(text)}, nil)); err != nil {
		return 0, err
	}
	return len(b), nil
}

var headTooLong = fmt.Sprintf("the request head is longer than the %d bytes that this port takes (--max-head is for the client port only); send fewer or shorter header fields (cookies)\n", maxHead)

func (c *conn) Close() error {
	c.port.remove(c)
	return c.Conn.Close()
}

// enter begins a stage.
func (c *conn) enter(s stage) {
	c.port.mu.Lock()
	defer c.port.mu.Unlock()
	c.stage, c.since = s, time.Now()
}

// begin notes that a request is under way, end that it is answered.
func (c *conn) begin() {
	if c.stage == fresh { // only this goroutine changes it
		c.enter(first)
	} else {
		c.enter(later)
	}
}

func (c *conn) end() { c.enter(served) }

// safe is for how much longer the connection may not be closed for another one. Its
// time begins when it is first read, which may be late on a busy machine. The port's
// mutex is held.
func (c *conn) safe(now time.Time) time.Duration {
	if c.since.IsZero() {
		return c.stage.grace()
	}
	return c.stage.grace() - now.Sub(c.since)
}
