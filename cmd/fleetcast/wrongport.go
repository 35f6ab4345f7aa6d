package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/publisher"
)

// found is what answers at an address.
type found string

const (
	foundUnknown found = ""
	foundClients found = "the client port of a gateway"
	foundPublish found = "the publish port of a gateway"
	foundAdmin   found = "the admin port of a gateway"
	foundWeb     found = "an HTTP server that is no gateway, or passes nothing on to one here"
	foundRedis   found = "a Redis server"
	foundTLS     found = "a server that speaks TLS"
)

const (
	// nobodyThere is the advice if a connection is refused.
	nobodyThere = "is a gateway running there? Start one with: fleetcast serve"
	// lookPatience is how long a look at a server may take. The failure is told after it.
	lookPatience = 3 * time.Second
	// maxLook is how much of an answer is read, in bytes.
	maxLook = 64 << 10
)

// lookAt asks what answers at an address, by requests that change nothing and have nothing of
// the user's in them: what was meant for TLS must not go out in clear text. secure tells that
// TLS is likely.
func lookAt(ctx context.Context, address string, secure bool, patience time.Duration) found {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if secure && lookForTLS(ctx, address) == foundTLS {
		return foundTLS
	}
	for _, request := range []string{
		fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: fleetcast\r\nConnection: close\r\n\r\n", gateway.Path, address),
		"PING\r\n", // Redis answers no request that has a Host
	} {
		if what := lookPlainly(ctx, address, request); what != foundUnknown {
			return what
		}
	}
	if secure {
		return foundUnknown
	}
	return lookForTLS(ctx, address)
}

// lookForTLS tells whether an address speaks TLS.
func lookForTLS(ctx context.Context, address string) found {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // nothing is sent, and nothing believed
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
		return foundTLS
	}
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" { // it has ended the handshake with an alert
		return foundTLS
	}
	return foundUnknown
}

func lookPlainly(ctx context.Context, address, request string) found {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return foundUnknown
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// If it cannot be written, there may be an answer all the same.
	_, _ = io.WriteString(conn, request)
	in := bufio.NewReader(io.LimitReader(conn, maxLook))
	switch first, _ := in.Peek(len("HTTP/")); {
	case string(first) == "HTTP/":
		return lookAtResponse(in)
	case len(first) > 1 && first[0] == 21 && first[1] == 3: // an alert of TLS (RFC 8446, 5.1)
		return foundTLS
	case string(first) == "+PONG":
		return foundRedis
	case bytes.HasPrefix(first, []byte("-")):
		// A publish port that is full, or stops, says so as Redis does.
		line, _ := in.ReadString('\n')
		if !strings.Contains(line, "max number of clients") && !strings.Contains(line, "the gateway is stopping") {
			return foundRedis
		}
	}
	return foundUnknown
}

func lookAtResponse(in *bufio.Reader) found {
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return foundUnknown
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal)) // what there is
	says := func(text string) bool { return bytes.Contains(body, []byte(text)) }
	switch {
	case says("publish port of fleetcast"):
		return foundPublish
	case says("admin port of fleetcast"):
		return foundAdmin
	case says("this is a WebSocket endpoint"), says("WebSocket clients connect to"):
		return foundClients
	case response.StatusCode == http.StatusBadRequest && (says("HTTPS") || says("SSL-enabled")): // Go and nginx; Apache
		return foundTLS
	case response.StatusCode >= 500, response.StatusCode == http.StatusRequestTimeout, response.StatusCode == http.StatusTooManyRequests, says("--allow-host"):
		return foundUnknown
	}
	return foundWeb
}

// wrongPortError ends a command, because something else answers than what it needs.
type wrongPortError struct{ error }

// Unwrap returns the error itself.
func (e wrongPortError) Unwrap() error { return e.error }

// explain adds to the failure to connect what is wrong with the address, if that can be told.
func (c *clientFlags) explain(ctx context.Context, timeout time.Duration, err error) error {
	var none tokenError
	var later laterError
	var refused refusedError
	var dialling *net.OpError
	var certificate *tls.CertificateVerificationError
	u, parseErr := url.Parse(string(c.URL))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w; %s", err, nobodyThere)
	case parseErr != nil, errors.As(err, &none), errors.As(err, &later), errors.As(err, &certificate),
		errors.As(err, &dialling) && dialling.Op == "dial",
		errors.As(err, &refused) && (refused.is(http.StatusUnauthorized) || refused.is(http.StatusForbidden)):
		return err
	}
	secure := u.Scheme == "wss"
	switch what := lookAt(ctx, hostPort(u), secure, min(timeout, lookPatience)); {
	case what == foundUnknown, what == foundClients && !secure, what == foundTLS && secure:
		return err
	case what == foundTLS:
		return wrongPortError{fmt.Errorf("connect to %s: it speaks TLS; write wss:// in place of ws://", c.URL)}
	case what == foundClients:
		return wrongPortError{fmt.Errorf("connect to %s: it is the client port of a gateway, which takes no TLS; write ws:// in place of wss://, or name the proxy that ends TLS", c.URL)}
	case what == foundWeb && !secure:
		return wrongPortError{fmt.Errorf("%w; it is %s; %s", err, what, whereClients)}
	default:
		return wrongPortError{fmt.Errorf("connect to %s: it is %s; %s", c.URL, what, whereClients)}
	}
}

const (
	whereClients = "clients connect to the client port (--listen of the gateway), by default ws://localhost:8080" + gateway.Path
	whereEvents  = "events go to the publish port (--publish of the gateway), by default localhost:8082; nothing was published"
)

// hostPort is where a WebSocket URL is connected to.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "wss":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// wrongPort says what is wrong with the address behind a failure to publish anything. It is nil
// if that cannot be told.
func (c *publishCommand) wrongPort(ctx context.Context, err error) error {
	var refused *publisher.Error
	if err == nil || errors.As(err, &refused) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	switch what := lookAt(ctx, c.To, false, min(c.Timeout, lookPatience)); what {
	case foundUnknown, foundPublish:
		return nil
	case foundTLS:
		return wrongPortError{fmt.Errorf("%s is %s, which publish does not; %s", c.To, what, whereEvents)}
	default:
		return wrongPortError{fmt.Errorf("%s is %s; %s", c.To, what, whereEvents)}
	}
}
