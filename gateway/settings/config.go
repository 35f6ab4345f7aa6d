package settings

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/deflate"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/dialect/fleetcastv1"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stream"
	"fleetcast/gateway/token"
)

// Config is how a gateway is set up. Use [DefaultConfig] and change what
// should differ. The tag reload of each field says whether
// [Gateway.Reconfigure] changes it (live) or not (restart), the tag least what it must
// be at least.
type Config struct {
	// Listen are the addresses for clients. Port 0 lets the kernel choose.
	Listen []netip.AddrPort `reload:"restart"`
	// Publish are the addresses of the publish port; without any, and without
	// PublishFiles, it is off.
	Publish []netip.AddrPort `reload:"restart"`
	// ListenFiles and PublishFiles are further listening TCP sockets, which another
	// process such as systemd has opened. New copies them. The caller may close them
	// when New has returned.
	ListenFiles, PublishFiles []*os.File `reload:"restart"`

	// Shards is the number of loops that serve clients, IngestLoops of those
	// that serve publishers.
	Shards      int `reload:"restart" least:"1"`
	IngestLoops int `reload:"restart" least:"1"`

	// Dialects are the protocols that clients may speak: their handshakes choose one by its
	// subprotocol, and those that name none of them speak the first.
	Dialects []dialect.Dialect `reload:"restart"`

	// HTTP serves the requests on the client port that are not for [Path]. It is
	// called on goroutines of its own, for at most [HTTPConnections] connections.
	// Without it they are refused with 404.
	HTTP http.Handler `reload:"restart"`
	// Decider decides who may connect, beside what this configuration says; nil is
	// nobody else.
	Decider *Decider `reload:"restart"`

	// Issuers sign the tokens by which clients say who they are. With an issuer or a
	// ConnectHook, a client may do what its token, the hook's answer or a rule for the
	// channel grants, and nothing else.
	Issuers []token.Issuer `reload:"live"`
	// ConnectHook is asked who each client is that shows no resume ticket; nil is nobody.
	ConnectHook *hook.Options `reload:"live"`
	// SubscribeHooks are asked about subscriptions, by the names by which [rules.Entry] has them.
	SubscribeHooks map[string]hook.Options `reload:"live"`
	// TokenCookie is the name of the cookie in which requests to connect may show a token.
	// They need an Origin then. Empty is no cookie.
	TokenCookie string `reload:"live"`
	// TicketKeys sign resume tickets, of at least [identity.MinTicketKey] bytes each: the
	// first signs, all verify. Without any, there is a random one.
	TicketKeys [][]byte `reload:"live"`
	KeysDir    string   `reload:"restart"` // for the last good keys of each URL; empty is none
	// UserClients is how many connections one user may have; 0 is no bound. UserConnects
	// is how often one user may connect.
	UserClients  int         `reload:"live" least:"0"`
	UserConnects limits.Rate `reload:"live"`
	// Clock is what time it is, for the ends of tokens; nil is [time.Now].
	Clock func() time.Time `reload:"restart"`

	// AllowedOrigins are the origins whose web pages may connect, as browsers send them
	// (https://example.com). Pages from the gateway's own host may always connect.
	// https://*.example.com stands for every host below example.com, "null" for pages
	// without an origin, "*" for all.
	AllowedOrigins []string `reload:"live"`
	// AllowedHosts are the host names for which requests are answered, on the client
	// port and by [Gateway.AdminHandler]. IP addresses, localhost and names below it
	// are always answered. Names have no port. *.example.com stands for every name
	// below example.com, * for all.
	AllowedHosts []string `reload:"live"`
	// Channels are the rules for channels. Of the rules that match a channel, the first
	// one that sets a key decides it. SlowRules, HistoryRules, Compress and ClientPublish
	// count behind them; they are short for rules that set one key. A rule with Final ends
	// the search for its channels: then SlowPolicy counts, History, ** in Compress, and for
	// clients that subscribe and publish what [Config.Identifies] says.
	Channels []rules.Entry `reload:"live"`
	// DefaultSubscribe is who may subscribe where no rule says so, while clients cannot say
	// who they are. It should be Nobody if other machines can reach the client port.
	DefaultSubscribe rules.Audience `reload:"restart"`
	// ClientPublish are the channels to which any client may publish.
	ClientPublish rules.Patterns `reload:"live"`

	// PublishKeys are the keys of publishers, AdminKeys those of operators. Without any,
	// whoever reaches the publish port may publish, and whoever reaches
	// [Gateway.AdminHandler] may do all that it offers. With either, POST /api/publish
	// takes keys of publishers only. A key that is removed ends its connections.
	PublishKeys []keys.Key `reload:"live"`
	AdminKeys   []keys.Key `reload:"live"`

	MaxClients     int `reload:"live" least:"1"`   // connections of clients; more are answered 503
	MaxPublishers  int `reload:"live" least:"1"`   // connections of publishers; more are closed
	MaxChannels    int `reload:"live" least:"1"`   // streams kept, with subscribers or not
	ClientChannels int `reload:"live" least:"1"`   // subscriptions of one client
	MaxHead        int `reload:"live"`             // bytes of a request on the client port, 1,024 to 65,536, without a body
	MaxMessage     int `reload:"live" least:"128"` // bytes of a client's message; a subscription to a short name must fit
	MaxEvent       int `reload:"live" least:"1"`   // bytes of an event's data

	MaxSubscriptions int `reload:"live" least:"1"` // of all clients together
	MaxChannelName   int `reload:"live"`           // bytes of a channel's name, at most 255

	ClientCommands  limits.Rate `reload:"live"` // of one client: its messages, and each name of those that name several channels
	ClientPublishes limits.Rate `reload:"live"` // events of one client
	PublisherRate   limits.Rate `reload:"live"` // events of one publisher; all requests to the API together count as one

	// SlowAfter is how long an event may wait for a client: from 100 ms to 5 minutes, in
	// steps of 100 ms. Then the policy of its channel counts. Time in which the gateway
	// itself is held up does not count.
	SlowAfter time.Duration `reload:"live"`
	// BacklogBytes and BacklogMessages bound what may wait for one client on channels
	// whose policy drops events: bytes, and events (0 for any number). Beyond that, the
	// oldest of these events are dropped. The newest one is kept, however large. These
	// bounds disconnect no client.
	BacklogBytes    int `reload:"live" least:"1"`
	BacklogMessages int `reload:"live" least:"0"`
	// BacklogMemory is how many bytes all backlogs together may hold alive, an event
	// that waits for many clients counted once. Beyond, the clients with the largest
	// backlogs are disconnected.
	BacklogMemory int64 `reload:"live" least:"1"`
	// InputMemory is how many bytes the unfinished messages and handshakes of all
	// clients may hold, and as many again the unfinished requests of publishers.
	// Beyond, those that have held the most for the longest are closed.
	InputMemory int64 `reload:"live" least:"1"`
	// SlowPolicy is what becomes of the events for a subscriber that does not keep
	// up, SlowRules the exceptions by channel: the first rule that matches counts.
	SlowPolicy rules.SlowPolicy `reload:"live"`
	SlowRules  []SlowRule       `reload:"live"`

	// History is what is kept of a channel's events for clients that come back, HistoryRules
	// the exceptions by channel: the first rule that matches counts. Channels that are not used
	// for long lose theirs first if all together would take more than HistoryMemory, in bytes;
	// 0 keeps nothing.
	History       rules.History `reload:"live"`
	HistoryRules  []HistoryRule `reload:"live"`
	HistoryMemory int64         `reload:"live" least:"0"`

	// Compress are the channels whose events are compressed for clients that offer
	// permessage-deflate (RFC 7692). The offer is declined if neither these nor Channels
	// let any event be compressed.
	Compress rules.Patterns `reload:"live"`
	// CompressLevel is deflate.MinLevel, the fastest, to deflate.MaxLevel.
	CompressLevel int `reload:"live"`
	// CompressFrom is the size in bytes of the smallest event, as clients see it,
	// that is compressed.
	CompressFrom int `reload:"live" least:"0"`
	// ClientContext is the largest window in bytes in which clients may compress
	// with context from one message to the next, a power of two from 512 to 32,768.
	// Each such client then costs up to that much memory. 0 is none: they compress
	// each message for itself.
	ClientContext int `reload:"live"`

	// Credits is how many bytes of events may be under way in the process,
	// published and not yet served by every shard.
	Credits int64 `reload:"live" least:"1"`
	// PublisherCredits is how many of them one connection may use.
	PublisherCredits int64 `reload:"live" least:"1"`
	// ChannelRetention is how long the position of an unused channel is kept.
	ChannelRetention time.Duration `reload:"restart" least:"1ns"`

	// TrustedProxies are the addresses of proxies that are believed when they say, in
	// the way that ProxyHeader names, whose connection they pass on. They never count
	// as clients' addresses.
	TrustedProxies []netip.Prefix `reload:"live"`
	ProxyHeader    ProxyHeader    `reload:"live"`
	// AddressClients is how many connections of clients one address may have; 0 is
	// no bound. AddressConnects is how often one may connect. Beyond, 429. Of IPv6
	// the first 64 bits count as an address.
	AddressClients  int         `reload:"live" least:"0"`
	AddressConnects limits.Rate `reload:"live"`
	// Connects is how many clients are admitted in all. ConnectQueue is how many
	// may wait for their turn, no longer than HandshakeTimeout; more are answered
	// 503.
	Connects     limits.Rate `reload:"live"`
	ConnectQueue int         `reload:"live" least:"0"`
	// SendBuffer is how many bytes the kernel keeps of what is sent to a client, capped
	// by net.core.wmem_max. With 0 the kernel chooses.
	SendBuffer int `reload:"restart"`
	// SendTimeout is how long a client may leave sent bytes unacknowledged, or keep its
	// receive window shut. 0 stands for PingInterval and PongTimeout together.
	SendTimeout time.Duration `reload:"restart"`

	// ConnectionLog is how many lines a second the log may have about clients and
	// publishers that come and go; 0 is none. It says how many it left out.
	ConnectionLog int `reload:"live" least:"0"`

	HandshakeTimeout time.Duration `reload:"restart" least:"1ns"` // for the whole request
	PingInterval     time.Duration `reload:"restart" least:"1ns"`
	PongTimeout      time.Duration `reload:"restart" least:"1ns"` // for any byte after a ping
	// MessageTimeout is the time from the first byte of a client's message, or a
	// publisher's request, to its last one. It is also the time for a publisher's first
	// byte.
	MessageTimeout time.Duration `reload:"restart" least:"1ns"`
	// DrainWindow is the time over which clients are closed when the gateway drains. It
	// takes less if there are so few that closing 100 a second is faster. 0 closes all
	// at once.
	DrainWindow time.Duration `reload:"live" least:"0s"`
	// RetryWindow is the time over which clients are told to come back when the gateway
	// drains, counted for each from its own goodbye. Clients that are refused with 503
	// or 429 because there is no room are told to come back over it too, but over no
	// less than 10 s.
	RetryWindow time.Duration `reload:"live" least:"0s"`
}

// Defaults that others show or check.
const (
	DefaultMaxMessage       = 64 << 10
	DefaultMaxSubscriptions = 10_000_000
	DefaultSlowAfter        = 30 * time.Second
	DefaultBacklogMemory    = 1 << 30
	DefaultInputMemory      = 64 << 20
	DefaultHistoryMemory    = 512 << 20
	DefaultCompressFrom     = 256
	DefaultPingInterval     = 25 * time.Second
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
		Dialects:         []dialect.Dialect{fleetcastv1.Dialect{}},
		Shards:           runtime.GOMAXPROCS(0),
		IngestLoops:      1,
		MaxClients:       maxConnections - publishers,
		MaxPublishers:    publishers,
		MaxChannels:      1_000_000,
		ClientChannels:   128,
		MaxHead:          8 << 10,
		MaxMessage:       DefaultMaxMessage,
		MaxEvent:         64 << 10,
		MaxSubscriptions: DefaultMaxSubscriptions,
		MaxChannelName:   command.MaxChannel,
		ClientCommands:   limits.Rate{PerSecond: 100, Burst: 2000}, // for a page that subscribes to all its channels again, a few times in a row
		ClientPublishes:  limits.Rate{PerSecond: 100, Burst: 200},  // enough to share the position of a pointer with each frame of a screen
		BacklogBytes:     1 << 20,
		SlowAfter:        DefaultSlowAfter,
		BacklogMemory:    DefaultBacklogMemory,
		InputMemory:      DefaultInputMemory,
		History:          rules.DefaultHistory,
		HistoryMemory:    DefaultHistoryMemory,
		MessageTimeout:   30 * time.Second,
		Compress:         rules.Patterns{"**"},
		CompressLevel:    1,
		CompressFrom:     DefaultCompressFrom,
		Credits:          64 << 20,
		PublisherCredits: 1 << 20,
		ChannelRetention: 5 * time.Minute,
		HandshakeTimeout: 10 * time.Second,
		PingInterval:     DefaultPingInterval,
		PongTimeout:      10 * time.Second,
		DrainWindow:      5 * time.Second,
		RetryWindow:      10 * time.Second,
		ConnectQueue:     1024,
	}
}

// Publishes tells whether there is a publish port.
func (c *Config) Publishes() bool { return len(c.Publish)+len(c.PublishFiles) > 0 }

// OptionError is a field of a [Config] that is out of range.
type OptionError struct {
	Field   string // as Config names it
	Problem string // "is 0, must be at least 1"
}

// Error implements error.
func (e OptionError) Error() string { return e.Field + " " + e.Problem }

// OptionErrors is all that is out of range.
type OptionErrors []OptionError

// Error gives each its line.
func (e OptionErrors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

func (e *OptionErrors) add(field, problem string, values ...any) {
	*e = append(*e, OptionError{field, fmt.Sprintf(problem, values...)})
}

// minMaxHead and MaxMaxHead are the bounds of MaxHead in bytes: what a browser
// sends without cookies must fit, and each unfinished request may hold as much.
const (
	minMaxHead = 1 << 10
	MaxMaxHead = 64 << 10
)

// Check names everything that is out of range. The error is an [OptionErrors].
func (c *Config) Check() error {
	var errs OptionErrors
	if len(c.Listen)+len(c.ListenFiles) == 0 {
		errs.add("Listen", "must name an address")
	}
	c.checkTags(&errs)
	if n := len(c.Dialects); n < 1 || n > stream.MaxDialects {
		errs.add("Dialects", "are %d, must be 1 to %d", n, stream.MaxDialects)
	}
	if n := c.MaxHead; n < minMaxHead || n > MaxMaxHead {
		errs.add("MaxHead", "is %d, must be %d to %d bytes", n, minMaxHead, MaxMaxHead)
	}
	if n := c.MaxChannelName; n < 1 || n > command.MaxChannel {
		errs.add("MaxChannelName", "is %d, must be 1 to %d bytes", n, command.MaxChannel)
	}
	c.checkSlow(&errs)
	c.checkHistory(&errs)
	c.checkRules(&errs)
	if c.CompressLevel < deflate.MinLevel || c.CompressLevel > deflate.MaxLevel {
		errs.add("CompressLevel", "is %d, must be %d to %d", c.CompressLevel, deflate.MinLevel, deflate.MaxLevel)
	}
	if n := c.ClientContext; n != 0 && (n < 1<<deflate.MinContextBits || n > 1<<deflate.MaxWindowBits || n&(n-1) != 0) {
		errs.add("ClientContext", "is %d, must be 0 or a power of two from %d to %d bytes", n, 1<<deflate.MinContextBits, 1<<deflate.MaxWindowBits)
	}
	c.checkKeys(&errs)
	c.checkConnects(&errs)
	c.checkDecider(&errs)
	c.checkIdentity(&errs)
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// checkTags names the numbers and times that are below the tag least of their field,
// and rates that are none. The two of the publish port do not count without one.
func (c *Config) checkTags(errs *OptionErrors) {
	fields := reflect.ValueOf(c).Elem()
	for i := range fields.NumField() {
		field, value := fields.Type().Field(i), fields.Field(i)
		if rate, ok := value.Interface().(limits.Rate); ok {
			if err := rate.Check(); err != nil {
				errs.add(field.Name, "%v", err)
			}
		}
		text, has := field.Tag.Lookup("least")
		if !has || !c.Publishes() && (field.Name == "IngestLoops" || field.Name == "MaxPublishers") {
			continue
		}
		least, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			d, _ := time.ParseDuration(text)
			least = int64(d)
		}
		if value.Int() < least {
			errs.add(field.Name, "is %v, must be at least %s", value, text)
		}
	}
}

// checkKeys names what is wrong with the keys.
func (c *Config) checkKeys(errs *OptionErrors) {
	if err := keys.Check(c.PublishKeys); err != nil {
		errs.add("PublishKeys", "%v", err)
	}
	if err := keys.Check(c.AdminKeys); err != nil {
		errs.add("AdminKeys", "%v", err)
	}
}
