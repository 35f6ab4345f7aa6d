package gateway

import (
	"math/bits"
	"net/netip"
	"reflect"
	"slices"

	"fleetcast/codec/command"
	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stream"
)

// settings are a configuration and what is made of it. They are immutable; the
// loops look up those in effect for each use, so that a change takes hold at
// once and without asking any of them.
type settings struct {
	config      Config
	readers     [inboundCount]websocket.ReaderConfig
	upgrader    websocket.Upgrader
	hosts       hosts
	compression *stream.Compression
	rules       *rules.Table
	commands    limits.CommandRate
	publishes   limits.EventRate // of a client
	publisher   limits.EventRate // of a publisher
	limits      []byte           // of a client, as its welcome tells them

	connects     limits.Bucket // of clients in all
	connectQueue int           // how many wait for their turn
	perAddress   limits.QuotaBounds
}

func newSettings(config Config, work *stream.CompressionWork) *settings {
	config.AllowedOrigins = slices.Clone(config.AllowedOrigins)
	config.AllowedHosts = slices.Clone(config.AllowedHosts)
	config.TrustedProxies = slices.Clone(config.TrustedProxies)
	s := &settings{
		config:      config,
		upgrader:    newUpgrader(config.AllowedOrigins),
		hosts:       newHosts(config.AllowedHosts),
		compression: stream.NewCompression(config.CompressLevel, config.CompressFrom, work),
		rules:       config.ruleTable(),
		connects:    limits.NewBucket(config.Connects),
		perAddress:  limits.QuotaBounds{Open: config.AddressClients, Rate: limits.NewBucket(config.AddressConnects)},
	}
	s.upgrader.CheckHost = func(host []byte) *websocket.HandshakeError {
		if s.hosts.allow(host) {
			return nil
		}
		return errForbiddenHost
	}
	if s.connects.Interval > 0 {
		// Who could not be served in time need not wait.
		s.connectQueue = min(config.ConnectQueue, int(config.HandshakeTimeout/s.connects.Interval))
	}
	s.commands = limits.NewCommandRate(config.ClientCommands, config.PingInterval)
	s.publishes, s.publisher = limits.NewEventRate(config.ClientPublishes), limits.NewEventRate(config.PublisherRate)
	s.limits = command.AppendLimits(nil, clientLimits(&config))
	for i := range s.readers {
		s.readers[i] = websocket.ReaderConfig{
			MaxMessage:  config.MaxMessage,
			Deflate:     inbound(i) != inboundPlain,
			ContextBits: inbound(i).contextBits(),
		}
	}
	if s.rules.Compresses() {
		s.upgrader.Deflate = new(deflate.Policy)
		if config.ClientContext > 0 {
			s.upgrader.Deflate.ClientContextBits = uint8(bits.TrailingZeros(uint(config.ClientContext)))
		}
	}
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
		Path:         Path,
		Subprotocols: []string{subprotocol},
		CheckOrigin:  from.allow,
		KeepsContext: keepsContext,
	}
}

// inbound is how the messages of a client may come: plain, or, with 1 added, the
// bits of its context (see deflate.Params.ClientContext), 0 if it compresses each
// for itself.
type inbound uint8

const (
	inboundPlain inbound = 0
	inboundCount         = deflate.MaxWindowBits + 2
)

// inboundOf is how a client's messages come after what was agreed on.
func inboundOf(agreed deflate.Params) inbound { return inbound(agreed.ClientContext() + 1) }

// contextBits is the window of i, 0 if there is no context.
func (i inbound) contextBits() int { return max(int(i)-1, 0) }

// trusts tells whether an address is a trusted proxy's.
func (s *settings) trusts(addr netip.Addr) bool {
	for _, p := range s.config.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// counts tells whether anything is bounded per address.
func (s *settings) counts() bool {
	return s.perAddress.Open > 0 || s.perAddress.Rate.Interval > 0
}

// Path is where clients connect.
const Path = "/ws"

// subprotocol is the client protocol's name in the handshake.
const subprotocol = "fleetcast.v1"
