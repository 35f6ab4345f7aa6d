package settings

import (
	"math/bits"
	"net/netip"
	"reflect"
	"slices"
	"sync/atomic"

	"fleetcast/codec/command"
	"fleetcast/codec/deflate"
	"fleetcast/codec/publish"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stream"
)

// Settings are a configuration and what is derived from it. They are immutable. The
// loops look up the settings in effect at each use, so that a change takes effect at
// once and no loop must be asked.
type Settings struct {
	Config      Config
	Readers     [inboundCount]websocket.ReaderConfig
	Upgrader    websocket.Upgrader
	Contextless websocket.Upgrader // the same for clients that may have no context
	Hosts       hosts
	Compression *stream.Compression
	Rules       *rules.Table
	Commands    limits.CommandRate
	Publishes   limits.EventRate // of a client
	Publisher   limits.EventRate // of a publisher
	Limits      command.Limits   // of a client, as in its welcome

	PublishKeys *keys.Set // nil: publishers need none
	AdminKeys   *keys.Set // nil: operators need none

	Connects     limits.Bucket // of clients in all
	ConnectQueue int           // how many wait for their turn
	PerAddress   limits.QuotaBounds
	PerUser      limits.QuotaBounds
	// Anonymous tells whether a client that does not say who it is may do anything.
	Anonymous bool
}

// Live holds the settings in effect. Any goroutine may call its methods.
type Live struct{ atomic.Pointer[Settings] }

// Config is the configuration in effect.
func (l *Live) Config() *Config { return &l.Load().Config }

// RequestLimits are those of requests to publish.
func (l *Live) RequestLimits() publish.RequestLimits {
	c := l.Config()
	return publish.RequestLimits{Data: c.MaxEvent, Channel: c.MaxChannelName}
}

// New derives the settings of a configuration that Check has accepted. What is
// compressed is counted in work.
func New(config Config, work *stream.CompressionWork) *Settings {
	config.AllowedOrigins = slices.Clone(config.AllowedOrigins)
	config.AllowedHosts = slices.Clone(config.AllowedHosts)
	config.TrustedProxies = slices.Clone(config.TrustedProxies)
	s := &Settings{
		Config:      config,
		Upgrader:    newUpgrader(&config),
		Hosts:       newHosts(config.AllowedHosts),
		Compression: stream.NewCompression(config.CompressLevel, config.CompressFrom, work),
		Rules:       config.ruleTable(),
		PublishKeys: keys.NewSet(config.PublishKeys),
		AdminKeys:   keys.NewSet(config.AdminKeys),
		Anonymous:   config.allowsAnyone(),
		Connects:    limits.NewBucket(config.Connects),
		PerAddress:  limits.QuotaBounds{Open: config.AddressClients, Rate: limits.NewBucket(config.AddressConnects)},
		PerUser:     limits.QuotaBounds{Open: config.UserClients, Rate: limits.NewBucket(config.UserConnects)},
	}
	s.Upgrader.CheckHost = func(host []byte) *websocket.HandshakeError {
		if s.Hosts.Allow(host) {
			return nil
		}
		return ErrForbiddenHost
	}
	if s.Connects.Interval > 0 {
		// Who could not be served in time need not wait.
		s.ConnectQueue = min(config.ConnectQueue, int(config.HandshakeTimeout/s.Connects.Interval))
	}
	s.Commands = limits.NewCommandRate(config.ClientCommands, config.PingInterval)
	s.Publishes, s.Publisher = limits.NewEventRate(config.ClientPublishes), limits.NewEventRate(config.PublisherRate)
	s.Limits = clientLimits(&config)
	for i := range s.Readers {
		s.Readers[i] = websocket.ReaderConfig{
			MaxMessage:  config.MaxMessage,
			Deflate:     Inbound(i) != InboundPlain,
			ContextBits: Inbound(i).contextBits(),
		}
	}
	s.Contextless = s.Upgrader
	if s.Rules.Compresses() {
		s.Upgrader.Deflate, s.Contextless.Deflate = new(deflate.Policy), new(deflate.Policy)
		if config.ClientContext > 0 {
			s.Upgrader.Deflate.ClientContextBits = uint8(bits.TrailingZeros(uint(config.ClientContext)))
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

// WithLive is a copy of c with the live fields of next.
func (c *Config) WithLive(next *Config) Config {
	merged := *c
	to, from := reflect.ValueOf(&merged).Elem(), reflect.ValueOf(next).Elem()
	for i := range to.NumField() {
		if to.Type().Field(i).Tag.Get("reload") == "live" {
			to.Field(i).Set(from.Field(i))
		}
	}
	return merged
}

func newUpgrader(c *Config) websocket.Upgrader {
	from := newOrigins(c.AllowedOrigins)
	var subprotocols []string
	for _, d := range c.Dialects {
		subprotocols = append(subprotocols, d.Subprotocol())
	}
	return websocket.Upgrader{
		Path:            Path,
		Subprotocols:    subprotocols,
		CheckOrigin:     from.allow,
		ForbiddenOrigin: errForbiddenOrigin,
		KeepsContext:    keepsContext,
	}
}

// Inbound is how the messages of a client may come: 0 for plain, otherwise 1 more than
// the bits of its context (see deflate.Params.ClientContext), which are 0 if it
// compresses each message for itself.
type Inbound uint8

const (
	InboundPlain Inbound = 0
	inboundCount         = deflate.MaxWindowBits + 2
)

// InboundOf is how a client's messages may come after the negotiation.
func InboundOf(agreed deflate.Params) Inbound { return Inbound(agreed.ClientContext() + 1) }

// contextBits is the window of i, 0 if there is no context.
func (i Inbound) contextBits() int { return max(int(i)-1, 0) }

// Trusts tells whether an address is a trusted proxy's.
func (s *Settings) Trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.Config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Counts tells whether anything is bounded per address.
func (s *Settings) Counts() bool { return s.PerAddress.Open > 0 || s.PerAddress.Rate.Interval > 0 }

// Path is where clients connect.
const Path = "/ws"

// ContextBytes is the size of the window of i, 0 if there is no context.
func (i Inbound) ContextBytes() int64 {
	if i.contextBits() == 0 {
		return 0
	}
	return 1 << i.contextBits()
}
