package gateway

import (
	"fmt"
	"net/http"

	"fleetcast/codec/websocket"
)

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
	if !c.shard.shared.ready() {
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
	c.lastWords(httpRequest)
	return true
}
