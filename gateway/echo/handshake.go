package echo

import (
	"net/http"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
)

// errShuttingDown refuses clients that have not completed the handshake when the server
// stops.
var errShuttingDown = &websocket.HandshakeError{
	Status:  http.StatusServiceUnavailable,
	Reason:  "shutting_down",
	Message: "the server is shutting down; try again later",
}

// newUpgrader accepts every path, origin and subprotocol: an echo server has nothing to
// protect.
func newUpgrader(config *Config) websocket.Upgrader {
	u := websocket.Upgrader{CheckOrigin: func(_, _ []byte) bool { return true }, AnySubprotocol: true}
	if config.Compression {
		u.Deflate = &deflate.Policy{ClientContextBits: deflate.MaxWindowBits}
	}
	return u
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
	n, refused := websocket.RequestLength(head, kept, websocket.MaxHandshake)
	switch {
	case refused != nil:
		s.refuse(refused)
	case n > 0:
		s.upgrade(head[:n])
		return p[n-kept:]
	case kept == 0:
		s.keep(p)
	}
	return nil
}

// upgrade answers a complete request head.
func (s *session) upgrade(head []byte) {
	response, agreed, err := s.shard.upgrader.Upgrade(s.shard.batch, head)
	s.shard.batch = response
	if err != nil {
		s.finish()
		return
	}
	if agreed.Deflates {
		s.config = &s.shard.compression.readers[agreed.Deflate.ClientContext()]
		s.windowBits = uint8(agreed.Deflate.ServerWindow())
	}
	s.dropInput()
	s.enter(open)
	s.sendBatch()
}

// refuse answers a connection that sent no acceptable request.
func (s *session) refuse(e *websocket.HandshakeError) {
	s.shard.batch = websocket.AppendRefusal(s.shard.batch, e)
	s.finish()
}
