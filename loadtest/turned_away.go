package loadtest

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// turnedAway is the end of a connection whose handshake the server has answered
// with "come back later": 503 or 429 with Retry-After (RFC 9110, 10.2.3 and
// 15.6.4; RFC 6585, 4).
type turnedAway struct {
	status int
	after  time.Duration // how long the client must stay away at least
}

func (e *turnedAway) Error() string {
	return fmt.Sprintf("handshake: the server answered %d: come back in %v", e.status, e.after)
}

const (
	// maxRetryAfter is the longest time that a server is obeyed in; more counts as
	// this long.
	maxRetryAfter = time.Hour
	// maxAway is how long a client lets itself be turned away, time and again, until
	// it is given up.
	maxAway = 2 * time.Minute
	// awayJitter is over what time clients spread that are to come back at the same
	// second, which is the grain of Retry-After.
	awayJitter = time.Second
)

// parseTurnedAway reads the head of a handshake's answer; nil if it says anything
// else than to come back later.
func parseTurnedAway(head []byte, now time.Time) *turnedAway {
	response, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(head), len(head)), nil)
	if err != nil {
		return nil
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable && response.StatusCode != http.StatusTooManyRequests {
		return nil
	}
	after, ok := parseRetryAfter(response.Header.Get("Retry-After"), now)
	if !ok {
		return nil
	}
	return &turnedAway{response.StatusCode, after}
}

// parseRetryAfter reads a number of seconds or a date.
func parseRetryAfter(text string, now time.Time) (after time.Duration, ok bool) {
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter), true
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return min(max(date.Sub(now), 0), maxRetryAfter), true
}

// comesBackAfter has a client that was turned away dial again when it may, a
// little later than the server has said, or gives it up.
func (c *client) comesBackAfter(away *turnedAway) {
	h := c.cohort
	now := h.worker.swarm.clock.now()
	if c.away == 0 {
		c.away = now
	}
	at := now + int64(away.after) + rand.Int64N(int64(awayJitter))
	if at-c.away > int64(maxAway) {
		h.tally.Refused++
		h.tally.Examples.once(kindRefused, func() (where, expected, got string) {
			return c.name(), "", fmt.Sprintf("turned away for %v, at last with %v", time.Duration(now-c.away).Round(time.Second), away)
		})
		h.settle(c)
		return
	}
	h.worker.dials.add(c, at, 0)
}
