package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// gatewayURL is the value of --url.
type gatewayURL string

// UnmarshalText checks that the URL is one that can be connected to.
func (g *gatewayURL) UnmarshalText(text []byte) error {
	u, err := url.ParseRequestURI(string(text))
	switch {
	case err != nil || u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("%q is not a WebSocket URL; write for example ws://localhost:8080/ws", text)
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host; write for example ws://localhost:8080/ws", text)
	case strings.Contains(string(text), "#"):
		return fmt.Errorf("%q has a fragment (#), which a WebSocket URL cannot have", text)
	}
	if _, port, found := strings.Cut(u.Host[strings.LastIndexByte(u.Host, ']')+1:], ":"); found {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q: the port must be a number from 1 to 65535", text)
		}
	}
	*g = gatewayURL(text)
	return nil
}

// maxRefusal is how much of a refusal's body is read, in bytes.
const maxRefusal = 4 << 10

// refusal turns the answer to a handshake that was not accepted into an error: a
// refusedError if the request itself was at fault. The first line of the body
// usually says why.
func refusal(status int, response io.Reader) error {
	code := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	message := "the gateway refused the connection"
	if r, err := http.ReadResponse(bufio.NewReader(response), nil); err == nil {
		body, _ := io.ReadAll(io.LimitReader(r.Body, maxRefusal)) // what there is
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		if line = strings.TrimSpace(printable(line)); line != "" {
			message = line
		}
	}
	if status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests {
		return refusedError{code, message}
	}
	return fmt.Errorf("%s: %s", code, message)
}

// printable leaves out what a terminal would obey instead of show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
