package echo

import "time"

// NewImpatient is New with other time limits.
func NewImpatient(config Config, handshake, close time.Duration) (*Server, error) {
	return newServer(config, timeouts{handshake, close})
}

// InputBytes is what the unfinished input of all clients holds.
func (s *Server) InputBytes() int64 { return s.shards[0].input.held.Load() }
