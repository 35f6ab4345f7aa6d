package gateway

import (
	"fmt"

	"fleetcast/gateway/settings"
)

// config is the configuration in effect.
func (g *Gateway) config() *settings.Config { return g.settings.Config() }

// Reconfigure takes over the fields of config that are tagged reload:"live". The others
// stay as they were at the start. A lower limit does not cut off clients that are
// already beyond it. Changes of compression count for later events and clients. If a
// value is out of range, the error names it, and nothing has changed.
func (g *Gateway) Reconfigure(config settings.Config) error {
	g.reconfiguring.Lock()
	defer g.reconfiguring.Unlock()
	merged := g.config().WithLive(&config)
	if err := merged.Check(); err != nil {
		return fmt.Errorf("reconfigure gateway: %w", err)
	}
	before := *g.config()
	if err := g.setAuthority(&merged); err != nil {
		return fmt.Errorf("reconfigure gateway: %w", err)
	}
	next := settings.New(merged, &g.compressed)
	next.PublishKeys.Continue(g.settings.Load().PublishKeys)
	g.settings.Store(next)
	// When the next one is due was laid out by the old rate.
	if merged.Connects != before.Connects {
		g.clients.Admission.Forgive()
	}
	if merged.AddressConnects != before.AddressConnects {
		g.clients.Addresses.Forgive()
	}
	if merged.UserConnects != before.UserConnects {
		g.clients.Users.Forgive()
	}
	g.credits.Resize(merged.Credits, merged.PublisherCredits)
	g.setLimits(&merged)
	g.streams.SetLimit(merged.MaxChannels)
	for _, in := range g.publish.Loops {
		in.Post(in.CheckKeys)
	}
	for _, s := range g.clients.Shards {
		s.Post(func() {}) // clients may wait that need not any more; it must look
	}
	return nil
}

// setLimits puts the limits on what is held in memory into effect: of what clients and
// publishers send and get, and of what is kept of events.
func (g *Gateway) setLimits(c *settings.Config) {
	g.streams.SetHistory(g.settings.Load().Rules, c.HistoryMemory)
	g.clients.Backlogs.Limit.Store(c.BacklogMemory)
	g.clients.ClientInput.Limit.Store(c.InputMemory)
	g.publish.Input.Limit.Store(c.InputMemory)
}
