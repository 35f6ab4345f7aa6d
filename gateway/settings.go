package gateway

import (
	"fmt"
	"slices"

	"fleetcast/codec/websocket"
)

// settings are a configuration and what is made of it. They are immutable; the
// loops look up those in effect for each use, so that a change takes hold at
// once and without asking any of them.
type settings struct {
	config   Config
	reader   websocket.ReaderConfig
	upgrader websocket.Upgrader
}

func newSettings(config Config) *settings {
	config.AllowedOrigins = slices.Clone(config.AllowedOrigins)
	return &settings{
		config:   config,
		reader:   websocket.ReaderConfig{MaxMessage: config.MaxMessage},
		upgrader: newUpgrader(config.AllowedOrigins),
	}
}

// config is the configuration in effect.
func (g *Gateway) config() *Config { return &g.settings.Load().config }

// Reconfigure takes over from next what can change while the gateway runs:
// AllowedOrigins, ClientPublish, the limits and RetryWindow, but neither
// addresses and loops nor the other times. Lower limits do not cut off who is
// beyond them already. The error names what is out of range; then nothing has
// changed.
func (g *Gateway) Reconfigure(next Config) error {
	g.reconfiguring.Lock()
	defer g.reconfiguring.Unlock()
	merged := *g.config()
	merged.AllowedOrigins = next.AllowedOrigins
	merged.ClientPublish = next.ClientPublish
	merged.MaxClients, merged.MaxPublishers = next.MaxClients, next.MaxPublishers
	merged.MaxChannels, merged.ClientChannels = next.MaxChannels, next.ClientChannels
	merged.MaxMessage, merged.MaxEvent = next.MaxMessage, next.MaxEvent
	merged.BacklogBytes, merged.BacklogMessages = next.BacklogBytes, next.BacklogMessages
	merged.Credits, merged.PublisherCredits = next.Credits, next.PublisherCredits
	merged.ConnectionLog = next.ConnectionLog
	merged.RetryWindow = next.RetryWindow
	if err := merged.Check(); err != nil {
		return fmt.Errorf("reconfigure gateway: %w", err)
	}
	g.settings.Store(newSettings(merged))
	g.credits.resize(merged.Credits, merged.PublisherCredits)
	g.streams.limit.Store(int64(merged.MaxChannels))
	return nil
}

func newUpgrader(origins []string) websocket.Upgrader {
	u := websocket.Upgrader{Path: Path, Subprotocols: []string{subprotocol}}
	if len(origins) > 0 {
		allowed := make(map[string]bool, len(origins))
		for _, origin := range origins {
			allowed[origin] = true
		}
		u.CheckOrigin = func(origin, host []byte) bool {
			return allowed["*"] || allowed[string(origin)] || websocket.SameOrigin(origin, host)
		}
	}
	return u
}
