package gateway

import (
	"fmt"

	"fleetcast/gateway/settings"
)

// config is the configuration in effect.
func (g *Gateway) config() *settings.Config { return g.settings.Config() }

// Reconfigure takes over the fields of next that are tagged reload:"live"; the
// others stay as they were at the start. Lower limits do not cut off clients
// that are beyond them already, and compression counts for the events and
// clients to come. The error names what is out of range; then nothing has
// changed.
func (g *Gateway) Reconfigure(next settings.Config) error {
	g.reconfiguring.Lock()
	defer g.reconfiguring.Unlock()
	merged := g.config().WithLive(&next)
	if err := merged.Check(); err != nil {
		return fmt.Errorf("reconfigure gateway: %w", err)
	}
	before := *g.config()
	g.settings.Store(settings.New(merged, &g.compressed))
	// When the next one is due was laid out by the old rate.
	if merged.Connects != before.Connects {
		g.admission.forgive()
	}
	if merged.AddressConnects != before.AddressConnects {
		g.addresses.Forgive()
	}
	g.credits.Resize(merged.Credits, merged.PublisherCredits)
	g.backlogs.Limit.Store(merged.BacklogMemory)
	g.clientInput.Limit.Store(merged.InputMemory)
	g.publishInput.Limit.Store(merged.InputMemory)
	g.streams.SetLimit(merged.MaxChannels)
	for _, s := range g.shards {
		s.post(func() {}) // clients may wait that need not any more; it must look
	}
	return nil
}
