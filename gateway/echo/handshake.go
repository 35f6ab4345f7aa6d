package echo

import (
	"bytes"
	"net/http"

	"fleetcast/codec/websocket"
)

// errShuttingDown refuses who has not completed the handshake when the server
// stops.
var errShuttingDown = &websocket.HandshakeError{
	Status:  http.StatusServiceUnavailable,
	Reason:  "shutting_down",
	Message: "the server is shutting down; try again later",
}

// shakeHands gathers the request head and answers it. It returns the bytes of p
// that follow the head.
func (s *session) shakeHands(p []byte) (rest []byte) {
	kept := 0
	head := p
	if s.kept != nil {
		kept = len(s.kept.B)
		s.keep(p[:min(len(p), websocket.MaxHandshake-kept)])
		head = s.kept.B
	}
	head = head[:min(len(head), websocket.MaxHandshake)]
	n := websocket.HeadLength(head)
	switch {
	case n > 0:
		s.upgrade(head[:n])
		return p[n-kept:]
	case len(head) == websocket.MaxHandshake:
		s.refuse(websocket.ErrHeadTooLarge)
	case kept == 0:
		s.keep(p)
	}
	return nil
}

// upgrade answers a complete request head.
func (s *session) upgrade(head []byte) {
	upgrader := websocket.Upgrader{Path: requestPath(head), CheckOrigin: anyOrigin}
	response, _, err := upgrader.Upgrade(s.shard.batch, head)
	s.shard.batch = response
	if err != nil {
		s.finish()
		return
	}
	s.dropInput()
	s.enter(open)
	s.sendBatch()
}

// refuse answers for want of a request head that could be.
func (s *session) refuse(e *websocket.HandshakeError) {
	s.shard.batch = websocket.AppendRefusal(s.shard.batch, e)
	s.finish()
}

func anyOrigin(_, _ []byte) bool { return true }

// requestPath returns the path of the request's target, whatever that is: an
// echo server has no paths of its own, and the upgrader wants one to compare
// with. What it cannot make out the upgrader refuses.
func requestPath(head []byte) string {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first < 0 || first == last {
		return "/"
	}
	target, _, _ := bytes.Cut(line[first+1:last], []byte("?"))
	if len(target) > 0 && target[0] == '/' {
		return string(target)
	}
	_, rest, _ := bytes.Cut(target, []byte("://"))
	if slash := bytes.IndexByte(rest, '/'); slash >= 0 {
		return string(rest[slash:])
	}
	return ""
}
