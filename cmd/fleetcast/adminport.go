package main

import (
	"fmt"
	"net"

	"fleetcast/gateway"
	"fleetcast/gateway/webport"
)

// openAdmin serves the admin port in the background, if there is one. Whoever
// asks it for a drain makes stop be called.
func (s *server) openAdmin(stop func()) error {
	if !s.ports.admin.on() {
		return nil
	}
	listeners, err := s.ports.admin.listen()
	if err != nil {
		return fmt.Errorf("open the admin port: %w", err)
	}
	s.admin = webport.New(s.gateway.AdminHandler(gateway.Admin{Version: version(), Drain: stop, LogLinesLost: s.log.lost.Load}),
		s.logger, s.gateway.AdminConnectionRefused)
	for _, listener := range listeners {
		s.ports.admin.bound = append(s.ports.admin.bound, listener.Addr().(*net.TCPAddr).AddrPort())
		go func() {
			if err := s.admin.Serve(listener); err != nil {
				s.logger.Error("the admin port has failed", "error", err)
			}
		}()
	}
	return nil
}
