package echo

import "time"

// NewImpatient is New with other time limits.
func NewImpatient(config Config, handshake, close time.Duration) (*Server, error) {
	return newServer(config, timeouts{handshake, close})
}
