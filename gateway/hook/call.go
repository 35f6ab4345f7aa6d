package hook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// call sends one request and reads the answer.
func (h *Hook) call(ctx context.Context, m message, read reader) (verdict, *failure) {
	limited, cancel := context.WithTimeout(ctx, h.options.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodPost, h.options.URL, bytes.NewReader(m.body))
	if err != nil {
		return verdict{}, &failure{reason: ReasonFailed, err: errors.New("the URL makes no request")} // the error would show it
	}
	request.Header = m.header
	request.GetBody = bodyOnceMore(m.body)
	response, err := h.transport.RoundTrip(request)
	if err != nil {
		return verdict{}, broken(ctx, limited, err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status >= 200 && status < 300:
		v, _, failed := h.readAnswer(ctx, limited, response, read)
		return v, failed
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return h.readRefusal(ctx, limited, response, read)
	default:
		return verdict{}, statusFailure(response, cancel)
	}
}

// bodyOnceMore is for a request that net/http sends again: once. Otherwise one request
// that makes a server close the connection would be sent on every idle one.
func bodyOnceMore(body []byte) func() (io.ReadCloser, error) {
	again := false
	return func() (io.ReadCloser, error) {
		if again {
			return nil, errors.New("the server closes connections without an answer")
		}
		again = true
		return io.NopCloser(bytes.NewReader(body)), nil
	}
}

// broken is the failure of a call that has ended with an error of the connection.
func broken(ctx, limited context.Context, err error) *failure {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	var timeout net.Error
	reason := ReasonFailed
	if limited.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		reason = ReasonTimeout
	}
	return &failure{reason: reason, down: true, err: unquoted(err)}
}

// unquoted is an error of a connection for a log line. net/http's errors quote what the
// server has sent, which may repeat the request with its secrets, so they end there.
func unquoted(err error) error {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return err
	}
	text, _, _ := strings.Cut(err.Error(), `"`)
	return errors.New(strings.TrimSpace(text))
}

// readAnswer reads an answer that is to have a body, which is text. An answer that is wrong
// says nothing about the answers to others.
func (h *Hook) readAnswer(ctx, limited context.Context, response *http.Response, read reader) (v verdict, text []byte, failed *failure) {
	text, err := h.readBody(response)
	switch {
	case errors.Is(err, errTooLarge):
		return verdict{}, text, &failure{reason: ReasonFailed, err: fmt.Errorf("the answer has more than %d bytes", h.options.MaxAnswer), answer: text}
	case err != nil:
		return verdict{}, text, broken(ctx, limited, fmt.Errorf("read the answer: %w", err))
	}
	if v, err = read(text, time.Now()); err != nil {
		return verdict{}, text, &failure{reason: ReasonFailed, err: fmt.Errorf("status %d: %w", response.StatusCode, err), answer: text}
	}
	return v, text, nil
}

// readRefusal reads the answer with a status of refusal. It is a refusal if it says so in the
// way of the other answers. Without that, the status may be meant for the gateway, whose
// secret is wrong: then a refusal would send all clients away for good. It says nothing about
// the answers to others either, because one client's cookie may have led to it.
func (h *Hook) readRefusal(ctx, limited context.Context, response *http.Response, read reader) (verdict, *failure) {
	v, text, failed := h.readAnswer(ctx, limited, response, read)
	if failed == nil && v.refusal != nil {
		return v, nil
	}
	if failed != nil && failed.down {
		return verdict{}, failed
	}
	return verdict{}, &failure{
		reason: ReasonFailed, answer: text,
		err: fmt.Errorf("status %d without an answer that refuses the client, such as {\"refuse\":{}}; is the gateway's secret right?", response.StatusCode),
	}
}

var errTooLarge = errors.New("too large")

func (h *Hook) readBody(response *http.Response) ([]byte, error) {
	limit := h.options.MaxAnswer
	if response.ContentLength > limit {
		return nil, errTooLarge
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if int64(len(text)) > limit {
		return text, errTooLarge
	}
	return text, err
}

// smallBody is how much of a body that does not matter is read: for the log, and so that the
// connection can serve the next call.
const smallBody = 4 << 10

// bodyPatience is how long such a body may take.
const bodyPatience = 100 * time.Millisecond

// statusFailure is the failure of a call with another status, which cancel ends.
func statusFailure(response *http.Response, cancel context.CancelFunc) *failure {
	f := &failure{reason: ReasonFailed, err: fmt.Errorf("status %d", response.StatusCode)}
	// Behind a 101 comes another protocol, which may have no end and heeds no deadline.
	if response.StatusCode != http.StatusSwitchingProtocols {
		defer time.AfterFunc(bodyPatience, cancel).Stop()
		f.answer, _ = io.ReadAll(io.LimitReader(response.Body, smallBody+1)) // it may fail: then the connection is closed
	}
	switch status := response.StatusCode; {
	case status >= 300 && status < 400:
		f.err = fmt.Errorf("status %d: redirects are not followed", status)
	case status == http.StatusTooManyRequests, status >= 500:
		f.down = true
		f.retryAfter = retryAfter(response.Header)
	}
	return f
}

// maxRetryAfter is the longest time that a server may ask for.
const maxRetryAfter = time.Minute

// retryAfter is the time that a server asks for, 0 if it names none in seconds.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// loopbackOnly lets a socket connect to this machine only. A name such as localhost may
// resolve to another address.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err != nil || !to.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%s is not this machine, and the URL is http", address)
	}
	return nil
}
