// Package options holds the options of the gateway: their table, their values from the
// command line, the environment and the configuration file, the checks of these values,
// and the gateway's configuration that results. A parser fills [Options]. After that
// they are plain data for one goroutine at a time.
package options

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// The test compares what it writes.
//
//go:generate go test . -run TestConfiguration -update

// Options are what the gateway is run with: the one source of the flags, the
// keys of the configuration file, the environment variables, `fleetcast
// config` and docs/configuration.md. Besides the tags of kong, a field has
//
//	live     yes: SIGHUP changes it; no: a restart does
//	detail   what --help leaves out
//	choices  the values that it can have, for completions
//	derived  in words, what the default stands for
//	field    the field of gateway.Config that it sets, if that has another name;
//	         - for an option that sets none, or that GatewayConfig works out
//
// Every type of an option reads and writes itself as text.
type Options struct {
	Config string `placeholder:"FILE" help:"Read options from this YAML file. Flags and environment variables override it."`

	Listen  Endpoint `group:"ports" live:"no" field:"-" default:"localhost:8080" placeholder:"HOST:PORT" help:"Where clients connect." detail:"localhost is 127.0.0.1 and ::1; an empty host (:8080) is every address of the machine; port 0 lets the kernel choose."`
	Publish Endpoint `group:"ports" live:"no" field:"-" default:"localhost:8082" placeholder:"HOST:PORT" help:"Where publishers connect, or off."`
	Admin   Endpoint `group:"ports" live:"no" field:"-" default:"localhost:8081" placeholder:"HOST:PORT" help:"Where operators look: health, metrics, statistics, profiles; or off."`
	Console Toggle   `group:"ports" live:"yes" field:"-" default:"on" placeholder:"on|off" help:"Serve the console page on the client port."`

	AllowHost     []hostPattern `group:"access" live:"yes" sep:" " field:"AllowedHosts" placeholder:"NAME" help:"Answer requests that name this host (gateway.example.com) on the client and admin ports; *.example.com stands for every name below example.com, * for all." detail:"Without a port. IP addresses, localhost, names below localhost, and names that --listen and --admin have are answered anyway; others get 421, so that a web page cannot reach the gateway by a name that its owner points at it (DNS rebinding)."`
	AllowOrigin   []origin      `group:"access" live:"yes" field:"AllowedOrigins" sep:" " placeholder:"ORIGIN" help:"Let web pages of this origin connect (https://example.com), besides those of the gateway's own host; https://*.example.com lets every host below example.com, * all." detail:"Written as browsers send it: scheme, host and a port other than the usual one, no path. *. stands for one or more labels, not for none; scheme and port must be equal. null is what browsers send for files and sandboxed frames; any web site can make such a frame, so null lets all in."`
	ClientPublish []pattern     `group:"access" live:"yes" sep:" " placeholder:"PATTERN" help:"Let clients publish to channels of this name; * stands for any characters." detail:"For example, chat.* covers chat.lobby."`

	Shards      count `group:"loops" live:"no" field:"-" default:"0" derived:"one per processor" placeholder:"N" help:"Event loops that serve clients." detail:"The kernel spreads connections over them."`
	IngestLoops count `group:"loops" live:"no" default:"1" placeholder:"N" help:"Event loops that serve publishers." detail:"One takes more than a million small events a second."`

	MaxClients       count  `group:"limits" live:"yes" field:"-" default:"0" derived:"what the descriptor limit allows" placeholder:"N" help:"Connections of clients; more get 503."`
	MaxPublishers    count  `group:"limits" live:"yes" field:"-" default:"0" derived:"an eighth of what the descriptor limit allows, at most 10,000" placeholder:"N" help:"Connections of publishers." detail:"More get an error line, and the connection closes."`
	MaxChannels      count  `group:"limits" live:"yes" default:"1000000" placeholder:"N" help:"Channels kept in all." detail:"Beyond, channels without subscribers are forgotten, the longest unused first; if all have subscribers, a subscription to a new channel gets limit_exceeded. Channels that clients made up have seven eighths at most."`
	ClientChannels   count  `group:"limits" live:"yes" default:"128" placeholder:"N" help:"Channels that one client may subscribe to." detail:"Beyond, limit_exceeded."`
	MaxHead          Size   `group:"limits" live:"yes" default:"8KiB" placeholder:"SIZE" help:"Longest head of a request on the client port, from 1KiB to 64KiB: its first line and its header fields, cookies among them." detail:"Beyond, 431, or 414 if the first line alone is longer. Each client whose request is not complete may hold as much memory, for --handshake-timeout at most."`
	MaxMessage       Size   `group:"limits" live:"yes" default:"64KiB" placeholder:"SIZE" help:"Longest message from a client." detail:"Beyond, close code 1009, from the frame's header."`
	MaxEvent         Size   `group:"limits" live:"yes" default:"64KiB" placeholder:"SIZE" help:"Longest data of an event." detail:"Beyond, limit_exceeded."`
	MaxSubscriptions count  `group:"limits" live:"yes" default:"10000000" placeholder:"N" help:"Subscriptions of all clients together." detail:"Beyond, limit_exceeded. Ten million take some half a gigabyte."`
	MaxChannelName   count  `group:"limits" live:"yes" default:"255" placeholder:"N" help:"Longest name of a channel, in bytes, at most 255." detail:"Beyond, bad_channel."`
	ClientCommands   rate   `group:"limits" live:"yes" default:"100/s burst 2000" placeholder:"RATE" help:"Commands of one client; each channel of a command counts." detail:"Beyond, rate_limited, and the client is told when to try again. The burst lets a page with some hundred channels subscribe anew a few times in a row; with a larger --client-channels give it more. Other frames, such as pings and fragments, cost a 32nd of a command, and a client that goes far beyond is not read for a while."`
	ClientPublishes  rate   `group:"limits" live:"yes" default:"100/s burst 200" placeholder:"RATE" help:"Events that one client publishes, where --client-publish lets it." detail:"Beyond, rate_limited. The default is enough to share a pointer with each frame of a screen."`
	PublisherRate    rate   `group:"limits" live:"yes" default:"off" placeholder:"RATE" help:"Events of one connection to the publish port, and of all requests to the admin API together." detail:"Beyond, rate_limited, or 429. Without it a publisher is only pushed back, by TCP, when it is too fast."`
	InputMemory      Size   `group:"limits" live:"yes" field:"-" default:"0" derived:"a sixteenth of the memory of the machine or the control group" placeholder:"SIZE" help:"What the unfinished messages and handshakes of all clients may hold, and as much again the unfinished requests of publishers." detail:"Beyond, those that have held the most for the longest are closed, clients with close code 1013. At least max-message, and max-event and 64 KiB."`
	Credits          Size   `group:"limits" live:"yes" default:"64MiB" placeholder:"SIZE" help:"Events under way in the whole process, before publishers are pushed back." detail:"All of them wait until half is free."`
	PublisherCredits Size   `group:"limits" live:"yes" default:"1MiB" placeholder:"SIZE" help:"Events under way of one connection, before it is pushed back." detail:"It waits until half is free; so one that floods does not hold the others up."`
	Retention        Period `group:"limits" live:"no" default:"5m" field:"ChannelRetention" placeholder:"TIME" help:"Least time for which the position of an unused channel is kept." detail:"Twice that at most."`

	SlowAfter       Period     `group:"slow" live:"yes" default:"30s" placeholder:"TIME" help:"How long an event may wait for a client before the client is slow; then --slow-policy counts." detail:"From 100ms to 5m. How much waits does not matter, as long as it leaves in time and fits into --backlog-memory."`
	SlowPolicy      slowPolicy `group:"slow" live:"yes" choices:"disconnect,drop_oldest,conflate" default:"disconnect" placeholder:"POLICY" help:"What becomes of events for a client that does not keep up: disconnect, drop_oldest or conflate." detail:"disconnect closes it with 1013 when one has waited for --slow-after; drop_oldest drops those that have waited so long, and the oldest ones beyond --backlog; conflate keeps the newest one for each channel, or for each key, and drops the oldest ones beyond --backlog. What is dropped is told as a gap."`
	SlowChannels    []slowRule `group:"slow" live:"yes" sep:" " field:"SlowRules" placeholder:"PATTERN=POLICY" help:"Another policy for channels of this name; * stands for any characters, and the first that matches counts." detail:"For example, prices.*=conflate."`
	Backlog         Size       `group:"slow" live:"yes" default:"1MiB" field:"BacklogBytes" placeholder:"SIZE" help:"What may wait for a client of channels with the policies drop_oldest and conflate; beyond, the oldest of these events are dropped." detail:"The newest one is kept, whatever its size; of keys that always change, conflate keeps older values of up to as much again. It disconnects nobody."`
	BacklogMessages count      `group:"slow" live:"yes" default:"0" placeholder:"N" help:"How many events of such channels may wait for a client; 0 for any number." detail:"Beyond, the oldest of them are dropped. It disconnects nobody."`
	BacklogMemory   Size       `group:"slow" live:"yes" field:"-" default:"0" derived:"a quarter of the memory of the machine or the control group" placeholder:"SIZE" help:"What all backlogs together may hold." detail:"An event that waits for many clients counts once, each reference to it 16 bytes. Beyond, the clients with the largest backlogs are disconnected, with close code 1013, as many as needed. At least max-event."`

	Channels []channelRule `group:"rules" live:"yes" sep:"none" field:"-" placeholder:"RULE" help:"A rule for the channels of a pattern: prices.* slow=conflate compress=on." detail:"Keys are slow, compress, client-publish and final. Of the rules that match a channel, the first one that sets a key decides it; one with final=on ends the search for its channels. Then --slow-channels, --compress-channels and --client-publish count, then the defaults."`

	TrustedProxies  []network   `group:"connections" live:"yes" sep:" " placeholder:"NETWORK" help:"Believe these proxies when they say whose connection they pass on: addresses or networks." detail:"They are never counted as addresses of clients."`
	ProxyHeader     proxyHeader `group:"connections" live:"yes" choices:"off,proxy-protocol,x-forwarded-for,forwarded" default:"off" placeholder:"KIND" help:"How they say it: off, proxy-protocol, x-forwarded-for or forwarded." detail:"With proxy-protocol (version 1 or 2), a connection of a trusted proxy must begin with that header, or gets 400."`
	AddressClients  count       `group:"connections" live:"yes" default:"0" placeholder:"N" help:"Connections of clients from one address; 0 for no limit." detail:"Beyond, 429. Of IPv6, the first 64 bits are one address. Off, because many clients share an address behind NAT, and all do behind a proxy that is not trusted."`
	AddressConnects rate        `group:"connections" live:"yes" default:"off" placeholder:"RATE" help:"How often clients of one address may connect." detail:"Beyond, 429 with the time to wait."`
	Connects        rate        `group:"connections" live:"yes" default:"off" placeholder:"RATE" help:"How many clients are admitted in all; more wait for their turn." detail:"Off, because the right rate depends on the machine: what it accepts beside its usual load."`
	ConnectQueue    count       `group:"connections" live:"yes" default:"1024" placeholder:"N" help:"Connections that wait for their turn under --connects; more get 503, and when to come back." detail:"No longer than --handshake-timeout, and no more than the rate serves in that time."`
	SendBuffer      Size        `group:"connections" live:"no" default:"0" placeholder:"SIZE" help:"What the kernel may hold of what is sent to a client; 0 for as much as it likes." detail:"It bounds the memory for clients that acknowledge late, and their rate. The kernel caps it at net.core.wmem_max."`

	Compression      Toggle    `group:"compression" live:"yes" field:"-" default:"on" placeholder:"on|off" help:"Compress events for clients that offer permessage-deflate, as browsers do." detail:"An event is compressed once, however many clients get it. Turned on while the gateway runs, it counts for clients that connect afterwards."`
	CompressChannels []pattern `group:"compression" live:"yes" field:"-" sep:" " derived:"all" placeholder:"PATTERN" help:"Compress the events of channels of this name only; * stands for any characters."`
	CompressionLevel count     `group:"compression" live:"yes" default:"1" field:"CompressLevel" placeholder:"N" help:"1 is the fastest, 9 compresses most." detail:"Beyond 6 it takes several times as long for hardly less."`
	CompressionFrom  Size      `group:"compression" live:"yes" default:"256" field:"CompressFrom" placeholder:"SIZE" help:"Smallest event that is compressed, as clients see it." detail:"Smaller ones save few bytes, and no packet."`
	ClientContext    Size      `group:"compression" live:"yes" default:"0" placeholder:"SIZE" help:"Largest window in which clients may compress with context; 0 for none." detail:"A power of two from 512 to 32KiB: what each such client may cost in memory. Without it they compress each message for itself."`

	HandshakeTimeout Period `group:"times" live:"no" default:"10s" placeholder:"TIME" help:"Time for a client's whole handshake." detail:"Then 408."`
	PingInterval     Period `group:"times" live:"no" default:"25s" placeholder:"TIME" help:"Time between pings to a client." detail:"Shorter than the idle timeout of usual proxies."`
	PongTimeout      Period `group:"times" live:"no" default:"10s" placeholder:"TIME" help:"Time for a sign of life after a ping." detail:"Any byte is one."`
	MessageTimeout   Period `group:"times" live:"no" default:"30s" placeholder:"TIME" help:"Time for a client's message, or a publisher's request, to arrive whole." detail:"From its first byte; up to a quarter longer. Then close code 1008, or an error. A publisher must also send its first byte within it."`
	SendTimeout      Period `group:"times" live:"no" default:"0s" derived:"--ping-interval and --pong-timeout together" placeholder:"TIME" help:"Time for a client to acknowledge what was sent, or to take it." detail:"Then the kernel gives the connection up (TCP_USER_TIMEOUT)."`
	ShutdownDelay    Period `group:"times" live:"yes" field:"-" default:"0s" placeholder:"TIME" help:"Time from the signal to stop to the drain: /readyz and /healthz of the client port answer 503, everything else is served as before." detail:"As long as load balancers take to notice, so that they send no client to a gateway that closes its port."`
	DrainWindow      Period `group:"times" live:"yes" default:"5s" placeholder:"TIME" help:"Time over which clients are closed when the gateway stops; 0s is all at once." detail:"Below --drain-timeout, to a short one of which the default gives way. Less if they are so few that closing 100 a second takes less."`
	RetryWindow      Period `group:"times" live:"yes" default:"10s" placeholder:"TIME" help:"Time over which clients are asked to spread their return when the gateway stops." detail:"Those who are refused for want of room, with 503 or 429, are told to come back over it too, but over 10s at least."`
	DrainTimeout     Period `group:"times" live:"yes" field:"-" default:"30s" placeholder:"TIME" help:"Longest time from the signal to stop, or from the end of --shutdown-delay, to the end."`

	LogLevel       logLevel  `group:"logs" live:"yes" choices:"debug,info,warn,error" field:"-" default:"info" placeholder:"LEVEL" help:"Least severe log messages shown: debug, info, warn or error."`
	LogFormat      LogFormat `group:"logs" live:"no" field:"-" default:"text" placeholder:"text|json" help:"How log messages are written to the standard error." detail:"With json, what the start announces is a log message too."`
	LogConnections count     `group:"logs" live:"yes" default:"0" field:"ConnectionLog" placeholder:"N" help:"Log lines a second about clients that come and go, at most; 0 for none."`

	settings []setting // every option that has a value, in this order
	// strange are environment variables that look like options and are none.
	strange []variable
}

// groups are the sections of the options, in order.
var groups = []kong.Group{
	{Key: "ports", Title: "Ports"},
	{Key: "access", Title: "Who may do what"},
	{Key: "loops", Title: "Loops"},
	{Key: "limits", Title: "Limits"},
	{Key: "slow", Title: "Slow clients"},
	{Key: "rules", Title: "Rules for channels"},
	{Key: "connections", Title: "Connections of clients"},
	{Key: "compression", Title: "Compression"},
	{Key: "times", Title: "Times"},
	{Key: "logs", Title: "Logs"},
}

// setting is an option and where its value comes from.
type setting struct {
	flag   *kong.Flag
	source source
	lines  []int // in the file, of the elements of a list
}

// isOption tells whether a flag can be set in the file too.
func isOption(f *kong.Flag) bool { return f.Tag.Has("live") }

func (s setting) name() string { return s.flag.Name }
func (s setting) live() bool   { return s.flag.Tag.Get("live") == "yes" }
func (s setting) list() bool   { return s.flag.IsSlice() }

// texts are the elements of a list, or the one value.
func (s setting) texts() []string {
	if !s.list() {
		return []string{s.flag.Target.Interface().(fmt.Stringer).String()}
	}
	texts := []string{}
	for i := range s.flag.Target.Len() {
		texts = append(texts, s.flag.Target.Index(i).Interface().(fmt.Stringer).String())
	}
	return texts
}

// text is the value as a person reads it.
func (s setting) text() string { return join(s.flag, s.texts()) }

func join(f *kong.Flag, texts []string) string {
	separator := " "
	if byLine(f) {
		separator = "; "
	}
	return cmp.Or(strings.Join(texts, separator), "none")
}

// shownElements is how many of a list are shown in a line.
const shownElements = 20

// short is text, cut short where a list is long.
func (s setting) short() string {
	texts := s.texts()
	if more := len(texts) - shownElements; more > 0 {
		return fmt.Sprintf("%s and %d more", join(s.flag, texts[:shownElements]), more)
	}
	return s.text()
}

// byLine tells whether the elements of a list hold blanks, so that each has a flag, or
// a line of a variable, of its own.
func byLine(f *kong.Flag) bool { return f.IsSlice() && f.Tag.Sep == -1 }

// meaning is short, or what a derived default stands for.
func (s setting) meaning() string {
	if derived := s.flag.Tag.Get("derived"); derived != "" && s.text() == s.flag.Default {
		return derived
	}
	return s.short()
}

// fallback is the default as a person reads it.
func fallback(f *kong.Flag) string {
	return cmp.Or(f.Tag.Get("derived"), f.Default, "none")
}

// explanation is all that the options say of themselves.
func explanation(f *kong.Flag) string {
	text := strings.TrimSpace(f.Help + " " + f.Tag.Get("detail"))
	if of, special := spans[f.Name]; special {
		text += " Can be " + of.String() + "."
	}
	if f.IsSlice() {
		text += " May be repeated."
	}
	return text
}

// helpFor is the text of a flag or an argument in --help.
func helpFor(v *kong.Value) string {
	if v.Flag == nil || !isOption(v.Flag) || v.IsSlice() {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " (" + fallback(v.Flag) + ")."
}

// Manual is all that is said of a flag or an argument.
func Manual(v *kong.Value) string {
	if v.Flag == nil || !isOption(v.Flag) {
		return v.Help
	}
	return explanation(v.Flag) + " Default: " + fallback(v.Flag) + "."
}

// named is how whoever set the option knows it, for errors.
func (o *Options) named(option string) string { return o.find(option).source.name(option) }

// find is an option by its name; the zero setting if there is none.
func (o *Options) find(name string) setting {
	for _, s := range o.settings {
		if s.name() == name {
			return s
		}
	}
	return setting{}
}
