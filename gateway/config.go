package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"time"
)

// Config is how a gateway is set up. Use [DefaultConfig] and change what
// should differ.
type Config struct {
	// Listen are the addresses for clients. Port 0 lets the kernel choose.
	Listen []netip.AddrPort
	// Publish are the addresses of the publish port; without any, and without
	// PublishFiles, it is off.
	Publish []netip.AddrPort
	// ListenFiles and PublishFiles are listening TCP sockets that were opened by
	// another process, as by systemd, and are used besides. New copies them; the
	// caller may close them when it has returned.
	ListenFiles, PublishFiles []*os.File

	// Shards is the number of loops that serve clients, IngestLoops of those
	// that serve publishers.
	Shards      int
	IngestLoops int

	// HTTP serves the requests on the client port that are not for [Path]. It is
	// called on goroutines of its own, for at most [HTTPConnections] at once.
	// Without it they are refused with 404.
	HTTP http.Handler

	// AllowedOrigins are those from which web pages may connect, as browsers
	// send them (https://example.com), besides pages from the gateway's own
	// host; "*" allows all.
	AllowedOrigins []string
	// ClientPublish are the channels to which clients may publish.
	ClientPublish Patterns

	MaxClients     int // connections of clients; more are answered 503
	MaxPublishers  int // connections of publishers; more are closed
	MaxChannels    int // streams kept, with subscribers or not
	ClientChannels int // subscriptions of one client
	MaxMessage     int // bytes of a client's message
	MaxEvent       int // bytes of an event's data

	BacklogBytes    int // that may wait for one client; beyond, it is disconnected
	BacklogMessages int // events that may wait for one client

	// Credits is how many bytes of events may be under way in the process,
	// published and not yet served by every shard.
	Credits int64
	// PublisherCredits is how many of them one connection may use.
	PublisherCredits int64
	// ChannelRetention is how long the position of a channel that nobody
	// uses is kept.
	ChannelRetention time.Duration

	// ConnectionLog is how many lines a second the log may have about clients and
	// publishers that come and go; 0 is none. It says how many it left out.
	ConnectionLog int

	HandshakeTimeout time.Duration // for the whole request
	PingInterval     time.Duration
	PongTimeout      time.Duration // for any byte after a ping
	// RetryWindow is the time over which clients are told to come back when
	// the gateway drains.
	RetryWindow time.Duration
}

// Default limits and times.
const (
	DefaultMaxChannels      = 1_000_000
	DefaultClientChannels   = 128
	DefaultMaxMessage       = 64 << 10
	DefaultMaxEvent         = 64 << 10
	DefaultBacklogBytes     = 1 << 20
	DefaultBacklogMessages  = 1024
	DefaultCredits          = 64 << 20
	DefaultPublisherCredits = 1 << 20
	DefaultChannelRetention = 5 * time.Minute
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultPingInterval     = 25 * time.Second
	DefaultPongTimeout      = 10 * time.Second
	DefaultRetryWindow      = 10 * time.Second
)

// DefaultConfig returns the defaults: both ports on loopback, chosen by the
// kernel, a shard for every processor, and as many clients as descriptors
// allow if maxConnections says how many those are.
func DefaultConfig(maxConnections int) Config {
	loopback := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	publishers := min(10_000, maxConnections/8)
	return Config{
		Listen:           []netip.AddrPort{loopback},
		Publish:          []netip.AddrPort{loopback},
		Shards:           runtime.GOMAXPROCS(0),
		IngestLoops:      1,
		MaxClients:       maxConnections - publishers,
		MaxPublishers:    publishers,
		MaxChannels:      DefaultMaxChannels,
		ClientChannels:   DefaultClientChannels,
		MaxMessage:       DefaultMaxMessage,
		MaxEvent:         DefaultMaxEvent,
		BacklogBytes:     DefaultBacklogBytes,
		BacklogMessages:  DefaultBacklogMessages,
		Credits:          DefaultCredits,
		PublisherCredits: DefaultPublisherCredits,
		ChannelRetention: DefaultChannelRetention,
		HandshakeTimeout: DefaultHandshakeTimeout,
		PingInterval:     DefaultPingInterval,
		PongTimeout:      DefaultPongTimeout,
		RetryWindow:      DefaultRetryWindow,
	}
}

// publishes tells whether there is a publish port.
func (c *Config) publishes() bool { return len(c.Publish)+len(c.PublishFiles) > 0 }

// check names everything that is out of range.
func (c *Config) check() error {
	var errs []error
	atLeast := func(name string, value, least int64) {
		if value < least {
			errs = append(errs, fmt.Errorf("%s is %d, must be at least %d", name, value, least))
		}
	}
	atLeast("number of listen addresses", int64(len(c.Listen)+len(c.ListenFiles)), 1)
	atLeast("shards", int64(c.Shards), 1)
	if c.publishes() {
		atLeast("ingest loops", int64(c.IngestLoops), 1)
		atLeast("max publishers", int64(c.MaxPublishers), 1)
	}
	atLeast("max clients", int64(c.MaxClients), 1)
	atLeast("max channels", int64(c.MaxChannels), 1)
	atLeast("client channels", int64(c.ClientChannels), 1)
	atLeast("max message", int64(c.MaxMessage), 128)
	atLeast("max event", int64(c.MaxEvent), 1)
	atLeast("backlog bytes", int64(c.BacklogBytes), 1)
	atLeast("backlog messages", int64(c.BacklogMessages), 1)
	atLeast("credits", c.Credits, 1)
	atLeast("publisher credits", c.PublisherCredits, 1)
	atLeast("connection log", int64(c.ConnectionLog), 0)
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"channel retention", c.ChannelRetention},
		{"handshake timeout", c.HandshakeTimeout},
		{"ping interval", c.PingInterval},
		{"pong timeout", c.PongTimeout},
	} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("%s is %v, must be positive", d.name, d.value))
		}
	}
	if c.RetryWindow < 0 {
		errs = append(errs, fmt.Errorf("retry window is %v, must not be negative", c.RetryWindow))
	}
	return errors.Join(errs...)
}
