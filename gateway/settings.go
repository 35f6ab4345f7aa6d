package gateway

import (
	"fmt"
	"math/bits"
	"slices"

	"fleetcast/codec/deflate"
	"fleetcast/codec/publish"
	"fleetcast/codec/websocket"
)

// settings are a configuration and what is made of it. They are immutable; the
// loops look up those in effect for each use, so that a change takes hold at
// once and without asking any of them.
type settings struct {
	config      Config
	readers     [inboundCount]websocket.ReaderConfig
	upgrader    websocket.Upgrader
	compression *compression
	rules       allRules
	commands    commandRate
	publishes   eventRate // of a client
	publisher   eventRate // of a publisher

	connects     bucket // of clients in all
	connectQueue int    // how many wait for their turn
	perAddress   quotaBounds
}

func newSettings(config Config, work *compressionWork) *settings {
	config.AllowedOrigins = slices.Clone(config.AllowedOrigins)
	config.TrustedProxies = slices.Clone(config.TrustedProxies)
	s := &settings{
		config:      config,
		upgrader:    newUpgrader(config.AllowedOrigins),
		compression: newCompression(&config, work),
		connects:    newBucket(config.Connects),
		perAddress:  quotaBounds{config.AddressClients, newBucket(config.AddressConnects)},
	}
	if s.connects.interval > 0 {
		// Who could not be served in time need not wait.
		s.connectQueue = min(config.ConnectQueue, int(config.HandshakeTimeout/s.connects.interval))
	}
	s.rules = newAllRules(s)
	s.commands = newCommandRate(config.ClientCommands, config.PingInterval)
	s.publishes, s.publisher = newEventRate(config.ClientPublishes), newEventRate(config.PublisherRate)
	for i := range s.readers {
		s.readers[i] = websocket.ReaderConfig{
			MaxMessage:  config.MaxMessage,
			Deflate:     inbound(i) != inboundPlain,
			ContextBits: inbound(i).contextBits(),
		}
	}
	if s.compression.on() {
		s.upgrader.Deflate = new(deflate.Policy)
		if config.ClientContext > 0 {
			s.upgrader.Deflate.ClientContextBits = uint8(bits.TrailingZeros(uint(config.ClientContext)))
		}
	}
	return s
}

// config is the configuration in effect.
func (g *Gateway) config() *Config { return &g.settings.Load().config }

// requestLimits are those of requests to publish.
func (g *Gateway) requestLimits() publish.RequestLimits {
	c := g.config()
	return publish.RequestLimits{Data: c.MaxEvent, Channel: c.MaxChannelName}
}

// Reconfigure takes over from next what can change while the gateway runs:
// AllowedOrigins, ClientPublish, compression (for the events and clients to come),
// the limits, DrainWindow, RetryWindow, and who may connect how often and from where, but neither addresses and loops nor the other times. Lower limits do not cut off who is
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
	merged.MaxSubscriptions, merged.MaxChannelName = next.MaxSubscriptions, next.MaxChannelName
	merged.ClientCommands, merged.ClientPublishes, merged.PublisherRate = next.ClientCommands, next.ClientPublishes, next.PublisherRate
	merged.BacklogBytes, merged.BacklogMessages = next.BacklogBytes, next.BacklogMessages
	merged.BacklogMemory = next.BacklogMemory
	merged.SlowPolicy, merged.SlowRules = next.SlowPolicy, next.SlowRules
	merged.Credits, merged.PublisherCredits = next.Credits, next.PublisherCredits
	merged.Compress, merged.CompressLevel, merged.CompressFrom = next.Compress, next.CompressLevel, next.CompressFrom
	merged.ClientContext = next.ClientContext
	merged.ConnectionLog = next.ConnectionLog
	merged.DrainWindow = next.DrainWindow
	merged.RetryWindow = next.RetryWindow
	merged.TrustedProxies, merged.ProxyHeader = next.TrustedProxies, next.ProxyHeader
	merged.AddressClients, merged.AddressConnects = next.AddressClients, next.AddressConnects
	merged.Connects, merged.ConnectQueue = next.Connects, next.ConnectQueue
	if err := merged.Check(); err != nil {
		return fmt.Errorf("reconfigure gateway: %w", err)
	}
	before := *g.config()
	g.settings.Store(newSettings(merged, &g.compressed))
	// When the next one is due was laid out by the old rate.
	if merged.Connects != before.Connects {
		g.admission.forgive()
	}
	if merged.AddressConnects != before.AddressConnects {
		g.addresses.forgive()
	}
	g.credits.resize(merged.Credits, merged.PublisherCredits)
	g.backlogs.limit.Store(merged.BacklogMemory)
	g.streams.limit.Store(int64(merged.MaxChannels))
	for _, s := range g.shards {
		s.post(func() {}) // clients may wait that need not any more; it must look
	}
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
