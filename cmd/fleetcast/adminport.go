package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"fleetcast/gateway"
)

// adminHeaderTimeout keeps a slow request from holding the admin port.
const adminHeaderTimeout = 10 * time.Second

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
	s.admin = &http.Server{
		Handler:           s.gateway.AdminHandler(gateway.Admin{Version: version(), Drain: stop}),
		ReadHeaderTimeout: adminHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	for _, listener := range listeners {
		s.ports.admin.bound = append(s.ports.admin.bound, listener.Addr().(*net.TCPAddr).AddrPort())
		go func() {
			if err := s.admin.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				s.logger.Error("the admin port has failed", "error", err)
			}
		}()
	}
	return nil
}
