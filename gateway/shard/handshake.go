package shard

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
)

// ReasonVanished counts handshakes that ended before the head was complete.
const ReasonVanished = "vanished"

// ErrDraining refuses clients that come during a drain.
var ErrDraining = &websocket.HandshakeError{
	Status: 503, Reason: "draining", Message: "the gateway is stopping; connect again",
}

// namingOption is the refusal of a head that is too long, with the option that
// decides about it.
func namingOption(refused *websocket.HandshakeError) *websocket.HandshakeError {
	switch refused.Reason {
	case websocket.ReasonHeadTooLarge, websocket.ReasonTargetTooLong:
		return &websocket.HandshakeError{Status: refused.Status, Reason: refused.Reason,
			Message: refused.Message + ", or raise --max-head of the gateway"}
	}
	return refused
}

// handshake gathers the request's head and answers it. What follows the head
// are frames already.
func (c *session) handshake(p []byte) {
	if c.awaitsProxyHeader() {
		c.proxyHeader(p)
		return
	}
	seen := 0
	if c.held != nil {
		seen = len(c.held.rest.B)
		c.hold(p)
		p = c.held.rest.B
	}
	n, refused := websocket.RequestLength(p, seen, c.shard.shared.Settings.Config().MaxHead)
	if refused != nil {
		c.refuseHandshake(namingOption(refused))
		return
	}
	if n == 0 {
		if c.held == nil {
			c.hold(p)
		}
		return
	}
	gathered := c.held
	c.held = nil
	if c.readForwarded(p[:n]) {
		if refused := c.upgrade(p[:n]); refused != nil && !c.handOver(refused, p) {
			c.handshakeRefused(refused)
		}
	}
	if c.state == sessionDeciding {
		c.early(p[n:])
	} else {
		c.read(p[n:])
	}
	if gathered != nil {
		mem.GiveBuffer(gathered.rest)
	}
}

// upgrade answers the request in the reply buffer, unless it must wait for who the client
// is. If the answer is a refusal, it is returned.
func (c *session) upgrade(head []byte) (refused *websocket.HandshakeError) {
	s := c.shard
	out, accepted, err := c.answerHead(head)
	s.replies = out
	if errors.As(err, &refused) {
		c.sampleHead(refused, head)
		return refused
	}
	window := 0
	if accepted.Deflates {
		window = accepted.Deflate.ServerWindow()
	}
	c.format = s.ledger.Formats.Of(accepted.Subprotocol, window)
	return c.identify(head, accepted)
}

// open makes a client of a session whose accepting answer is in the reply buffer, and
// welcomes it. ticket tells whether it gets a resume ticket.
func (c *session) open(origin []byte, ticket bool) {
	s := c.shard
	c.moveTo(sessionOpen)
	c.opened = tenthsOf(s.Loop.Now())
	c.commandsDue = s.shared.Settings.Load().Commands.Start(s.Loop.Now())
	c.id = s.random.Uint64()
	if c.unnamed() {
		s.Counters.AddressesUnknown++
		if key := (stats.IncidentKey{Metric: stats.MetricAddressesUnknown, Label: ""}); s.Samples.Wants(key) {
			s.Samples.Keep(key, slog.String("proxy", limits.AddressText(c.remote())))
		}
	}
	c.logConnected(origin)
	s.gapText = appendClientID(s.gapText[:0], c.id)
	in := s.shared.Settings.Load()
	s.replies = c.dialect().AppendWelcome(s.replies, dialect.Welcome{
		Client: s.gapText, PingInterval: in.Config.PingInterval, Limits: &in.Limits, Standing: c.standing(ticket),
	})
	c.subscribeItself(nil)
}

// answerHead appends the answer to the reply buffer's text and, if the client is
// accepted, notes how its messages will come.
func (c *session) answerHead(head []byte) (out []byte, accepted websocket.Handshake, err error) {
	s := c.shard
	in := s.shared.Settings.Load()
	upgrader, bits := &in.Upgrader, uint8(0)
	if in.Upgrader.Deflate != nil {
		bits = in.Upgrader.Deflate.ClientContextBits
	}
	if !s.shared.Contexts.reserve(bits, in.Config.InputMemory) {
		upgrader, bits = &in.Contextless, 0
	}
	out, accepted, err = upgrader.Upgrade(s.replies, head)
	if err == nil && accepted.Deflates {
		c.inbound = settings.InboundOf(accepted.Deflate)
	}
	s.shared.Contexts.settle(bits, c.inbound)
	return out, accepted, err
}

// handOver gives a request that is not for WebSocket to the HTTP server, with all bytes
// that were read. It returns true if that settles the request: the server has it, or
// has no room and the client was told so.
func (c *session) handOver(refused *websocket.HandshakeError, read []byte) bool {
	s := c.shard
	if refused.Reason != websocket.ReasonNotWebSocket {
		return false
	}
	if c.answerHealth(read) {
		return true
	}
	if s.shared.HTTP == nil {
		return false
	}
	s.replies = s.replies[:0]
	read = websocket.TrimEmptyLine(read) // net/http would not
	if !s.shared.HTTP.HandOver(c.conn.Detach, read, c.forwardedFrom()) {
		if bytes.HasPrefix(read, []byte(http.MethodHead+" ")) {
			s.replies = websocket.AppendRefusalHead(s.replies, plainhttp.ErrBusy)
		} else {
			s.replies = websocket.AppendRefusal(s.replies, plainhttp.ErrBusy)
		}
		c.handshakeRefused(plainhttp.ErrBusy)
		return true
	}
	c.reason = HTTPRequest
	c.moveTo(sessionClosing)
	return true
}

// refuseHandshake answers a request that the codec does not get to see.
func (c *session) refuseHandshake(refused *websocket.HandshakeError) {
	s := c.shard
	if refused == ErrDraining {
		s.replies = websocket.AppendRefusalRetry(s.replies, refused, s.retryLater())
	} else {
		s.replies = websocket.AppendRefusal(s.replies, refused)
	}
	c.handshakeRefused(refused)
}

// handshakeRefused ends a session whose refusal is in the reply buffer.
func (c *session) handshakeRefused(refused *websocket.HandshakeError) {
	c.shard.Counters.HandshakeFailures[refused.Reason]++
	c.sampleRefused(refused)
	c.logRefused(refused.Reason)
	c.lastWords(HandshakeFailed)
}

// appendClientID appends a client's id as clients see it: 16 hexadecimal
// digits.
func appendClientID(dst []byte, id uint64) []byte {
	var digits [16]byte
	hex := strconv.AppendUint(digits[:0], id, 16)
	for range 16 - len(hex) {
		dst = append(dst, '0')
	}
	return append(dst, hex...)
}

// healthPath is where load balancers ask for the health of the client port.
const healthPath = "/healthz"

// Answers to health requests on the client port, and the length of each answer's head,
// which is all that a HEAD request gets.
var (
	healthServing  = newHealthAnswer(http.StatusOK, "ok\n", "")
	healthDraining = newHealthAnswer(http.StatusServiceUnavailable, "draining\n", "")
	healthMethod   = newHealthAnswer(http.StatusMethodNotAllowed, "This takes GET and HEAD only.\n", "Allow: GET, HEAD\r\n")
)

type healthAnswer struct {
	text []byte
	head int
}

func newHealthAnswer(status int, body, fields string) healthAnswer {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%s"+
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n", status, http.StatusText(status), len(body), fields)
	return healthAnswer{[]byte(head + body), len(head)}
}

// answerHealth answers a request for healthPath on the loop, which never waits,
// while all places of the HTTP server may be taken. It tells whether the request
// was one. read begins with the request.
func (c *session) answerHealth(read []byte) bool {
	method, path := websocket.RequestLine(read)
	if string(path) != healthPath {
		return false
	}
	answer := &healthServing
	if !c.shard.shared.Ready() {
		answer = &healthDraining
	}
	text := answer.text
	switch string(method) {
	case http.MethodGet:
	case http.MethodHead:
		text = text[:answer.head]
	default:
		text = healthMethod.text
	}
	c.shard.replies = append(c.shard.replies[:0], text...)
	c.lastWords(HTTPRequest)
	return true
}
