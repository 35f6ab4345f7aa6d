package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fleetcast/cmd/internal/options"
	"fleetcast/cmd/internal/stdio"
)

// gatewayURL is the value of --url.
type gatewayURL string

// UnmarshalText checks that the URL is one that can be connected to.
func (g *gatewayURL) UnmarshalText(text []byte) error {
	u, err := url.ParseRequestURI(string(text))
	switch {
	case bytes.ContainsRune(text, utf8.RuneError): // the parser puts it where a flag is no UTF-8
		return options.ErrNotText
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
// refusedError if the request itself was at fault, a laterError if the gateway was. The first line of the body
// usually says why. With 429 and 503 the answer may ask for a pause.
func refusal(status int, response io.Reader) (retryAfter time.Duration, err error) {
	code := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	message := "the gateway refused the connection"
	if r, err := http.ReadResponse(bufio.NewReader(response), nil); err == nil {
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			retryAfter = parseRetryAfter(r.Header.Get("Retry-After"), time.Now())
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, maxRefusal)) // what there is
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		switch line = strings.TrimSpace(stdio.Printable(line)); {
		case strings.HasPrefix(line, "<"):
			message = "the answer is a web page"
		case line != "":
			message = line
		}
	}
	switch {
	case status/100 == 5, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return retryAfter, laterError{refusedError{code, message}}
	case status/100 == 4:
		return 0, refusedError{code, message}
	}
	return 0, fmt.Errorf("%s: %s", code, message)
}

// laterError is a refusal that may be none the next time.
type laterError struct{ refused refusedError }

func (e laterError) Error() string { return e.refused.Error() }

// maxRetryAfter is the longest pause that a gateway can ask for.
const maxRetryAfter = time.Hour

// parseRetryAfter reads the header Retry-After, seconds or a date (RFC 9110,
// 10.2.3). It is 0 if there is none, or one that cannot be understood.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if strings.Trim(value, "0123456789") == "" && value != "" {
		seconds, err := strconv.ParseUint(value, 10, 64)
		if err != nil || seconds > uint64(maxRetryAfter/time.Second) { // err: more than fits
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// pauseOf is a pause that a message of the gateway asks for.
func pauseOf(milliseconds uint64) time.Duration {
	return time.Duration(min(milliseconds, uint64(maxRetryAfter.Milliseconds()))) * time.Millisecond
}
