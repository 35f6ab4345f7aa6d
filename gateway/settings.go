package gateway

import (
	"fmt"
	"math/bits"
	"reflect"
	"slices"

	"fleetcast/codec/command"
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
	contextless websocket.Upgrader // the same for clients that may have no context
	hosts       hosts
	compression *compression
	rules       allRules
	commands    commandRate
	publishes   eventRate // of a client
	publisher   eventRate // of a publisher
	limits      []byte    // of a client, as its welcome tells them

	connects     bucket // of clients in all
	connectQueue int    // how many wait for their turn
	perAddress   quotaBounds
}

func newSettings(config Config, work *compressionWork) *settings {
	config.AllowedOrigins = slices.Clone(config.AllowedOrigins)
	config.AllowedHosts = slices.Clone(config.AllowedHosts)
	config.TrustedProxies = slices.Clone(config.TrustedProxies)
	s := &settings{
		config:      config,
		upgrader:    newUpgrader(config.AllowedOrigins),
		hosts:       newHosts(config.AllowedHosts),
		compression: newCompression(&config, work),
		connects:    newBucket(config.Connects),
		perAddress:  quotaBounds{config.AddressClients, newBucket(config.AddressConnects)},
	}
	s.upgrader.CheckHost = func(host []byte) *websocket.HandshakeError {
		if s.hosts.allow(host) {
			return nil
		}
		return errForbiddenHost
	}
	if s.connects.interval > 0 {
		// Who could not be served in time need not wait.
		s.connectQueue = min(config.ConnectQueue, int(config.HandshakeTimeout/s.connects.interval))
	}
	s.rules = newAllRules(s)
	s.commands = newCommandRate(config.ClientCommands, config.PingInterval)
	s.publishes, s.publisher = newEventRate(config.ClientPublishes), newEventRate(config.PublisherRate)
	s.limits = command.AppendLimits(nil, clientLimits(&config))
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
	s.withoutContext()
	return s
}

// clientLimits are what a client has to know to stay within its bounds.
func clientLimits(c *Config) command.Limits {
	return command.Limits{
		CommandsPerSecond: c.ClientCommands.PerSecond, CommandsBurst: c.ClientCommands.Burst,
		PublishesPerSecond: c.ClientPublishes.PerSecond, PublishesBurst: c.ClientPublishes.Burst,
		Channels: c.ClientChannels, NamesPerCommand: command.MaxChannels,
		MessageBytes: c.MaxMessage, EventBytes: c.MaxEvent, ChannelBytes: c.MaxChannelName,
	}
}

// config is the configuration in effect.
func (g *Gateway) config() *Config { return &g.settings.Load().config }

// requestLimits are those of requests to publish.
func (g *Gateway) requestLimits() publish.RequestLimits {
	c := g.config()
	return publish.RequestLimits{Data: c.MaxEvent, Channel: c.MaxChannelName}
}

// Reconfigure takes over the fields of next that are tagged reload:"live"; the
// others stay as they were at the start. Lower limits do not cut off clients
// that are beyond them already, and compression counts for the events and
// clients to come. The error names what is out of range; then nothing has
// changed.
func (g *Gateway) Reconfigure(next Config) error {
	g.reconfiguring.Lock()
	defer g.reconfiguring.Unlock()
	merged := g.config().withLive(&next)
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
	g.clientInput.limit.Store(merged.InputMemory)
	g.publishInput.limit.Store(merged.InputMemory)
	g.streams.limit.Store(int64(merged.MaxChannels))
	for _, s := range g.shards {
		s.post(func() {}) // clients may wait that need not any more; it must look
	}
	return nil
}

// liveFields are the indexes of the fields of Config that Reconfigure changes.
var liveFields = func() (indexes []int) {
	config := reflect.TypeFor[Config]()
	for i := range config.NumField() {
		if config.Field(i).Tag.Get("reload") == "live" {
			indexes = append(indexes, i)
		}
	}
	return indexes
}()

// withLive is a copy of c with the live fields of next.
func (c *Config) withLive(next *Config) Config {
	merged := *c
	to, from := reflect.ValueOf(&merged).Elem(), reflect.ValueOf(next).Elem()
	for _, i := range liveFields {
		to.Field(i).Set(from.Field(i))
	}
	return merged
}

func newUpgrader(allowed []string) websocket.Upgrader {
	from := newOrigins(allowed)
	return websocket.Upgrader{
		Path:            Path,
		Subprotocols:    []string{subprotocol},
		CheckOrigin:     from.allow,
		ForbiddenOrigin: errForbiddenOrigin,
		KeepsContext:    keepsContext,
	}
}
