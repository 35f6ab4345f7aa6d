package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"fleetcast/gateway"
)

// adminHeaderTimeout keeps a slow request from holding the admin port.
const adminHeaderTimeout = 10 * time.Second

const (
	// adminIdleTimeout ends connections that nobody uses any more.
	adminIdleTimeout = time.Minute
	// adminConnections is how many the admin port serves at a time; more wait.
	// Their descriptors must not be missing for clients.
	adminConnections = 32
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
	s.admin = &http.Server{
		Handler:           s.gateway.AdminHandler(gateway.Admin{Version: version(), Drain: stop, LogLinesLost: s.log.lost.Load}),
		ReadHeaderTimeout: adminHeaderTimeout,
		IdleTimeout:       adminIdleTimeout,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	for _, listener := range listeners {
		s.ports.admin.bound = append(s.ports.admin.bound, listener.Addr().(*net.TCPAddr).AddrPort())
		go func() {
			if err := s.admin.Serve(netutil.LimitListener(listener, adminConnections)); !errors.Is(err, http.ErrServerClosed) {
				s.logger.Error("the admin port has failed", "error", err)
			}
		}()
	}
	return nil
}
