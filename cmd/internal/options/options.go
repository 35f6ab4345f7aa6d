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

	"fleetcast/gateway"
)

// The test compares what it writes.
//
//go:generate go test . -run TestConfiguration -update

// Options are the options of the gateway: the one source of the flags, the keys of the
// configuration file, the environment variables, `fleetcast config` and
// docs/configuration.md. Besides the tags of kong, a field has
//
//	live     yes: SIGHUP changes it; no: a restart does
//	detail   what --help leaves out
//	choices  the values that it can have, for completions
//	derived  in words, what the default stands for
//	span     the least and the most that it can be, if other than its type's; see spanOf
//	field    the field of gateway.Config that it sets, if that has another name;
//	         - for an option that sets none, or that GatewayConfig works out
//
// Every type of an option reads and writes itself as text.
type Options struct {
	Config string `placeholder:"FILE" help:"Read options from this YAML file. Flags and environment variables override it."`

	Listen  Endpoint `group:"ports" live:"no" field:"-" default:"localhost:8080" placeholder:"HOST:PORT" help:"Where clients connect." detail:"localhost is 127.0.0.1 and ::1. An empty host (:8080) is every address of the machine. With port 0 the kernel chooses. At an address that other machines can reach, the gateway starts only with a --token-secret, --issuers or a --connect-hook, or if --channels says to which channels anyone may subscribe. To others nobody may then."`
	Publish Endpoint `group:"ports" live:"no" field:"-" default:"localhost:8082" placeholder:"HOST:PORT" help:"Where publishers connect, or off."`
	Admin   Endpoint `group:"ports" live:"no" field:"-" default:"localhost:8081" placeholder:"HOST:PORT" help:"Where operators connect, for health, metrics, statistics and profiles; or off."`
	Console Toggle   `group:"ports" live:"yes" field:"-" default:"on" placeholder:"on|off" help:"Serve the console page on the client port."`

	AllowHost     []hostPattern `group:"access" live:"yes" sep:" " field:"AllowedHosts" placeholder:"NAME" help:"Answer requests that name this host (gateway.example.com) on the client and admin ports." detail:"Write it without a port. *.example.com is every name below example.com, * is every name. IP addresses, localhost, names below localhost, and names that --listen and --admin have are always answered. Others get 421, so that a web page cannot reach the gateway by a name that its owner points at it (DNS rebinding)."`
	AllowOrigin   []origin      `group:"access" live:"yes" field:"AllowedOrigins" sep:" " placeholder:"ORIGIN" help:"Let web pages of this origin (https://example.com) connect, besides those of the gateway's own host." detail:"Write it as browsers send it: scheme, host, and a port other than the usual one, without a path. https://*.example.com is every host below example.com, * is every origin. *. stands for one or more labels, not for none. Scheme and port must be equal. Browsers send null for files and sandboxed frames. Any web site can make such a frame, so null lets all connect."`
	ClientPublish []pattern     `group:"access" live:"yes" sep:" " placeholder:"PATTERN" help:"Let any client publish to channels of this name; ** stands for any characters." detail:"For example, chat.** covers chat.lobby."`

	PublishKeys []publishKey `group:"access" live:"yes" sep:"none" field:"-" placeholder:"KEY" help:"A key that lets its holder publish: billing sha256=... channels=invoices.** rate=100/s." detail:"fleetcast key new makes one and prints its entry. Entries are name, sha256 or key, channels, rate and users. As soon as there is one, publishers must show a key. If one is removed, its connections end."`
	AdminKeys   []adminKey   `group:"access" live:"yes" sep:"none" field:"-" placeholder:"KEY" help:"A key for the admin port: ops sha256=... access=write." detail:"Entries are name, sha256 or key, and access, which is read or write. As soon as there is one, all but the pages, /healthz and /readyz need a key in the header Authorization. read lets its holder see the API and /metrics, write also profiles and what changes something. Keys of --publish-keys are for /api/publish only."`
	Insecure    openPorts    `group:"access" live:"no" field:"-" default:"off" choices:"publish,admin,off" placeholder:"PORTS" help:"Let publish, admin, or both (publish,admin), be open to other machines without keys." detail:"Without it, the gateway does not start if one of these ports listens on an address that other machines can reach and has no keys. Use it where the network keeps others out. For the client port see --listen."`

	TokenSecret    tokenSecret     `group:"identity" live:"yes" field:"-" default:"off" placeholder:"SECRET" help:"Let clients say who they are by tokens (JWT) that are signed with this secret: file:PATH or env:NAME; or off." detail:"It is short for an issuer without a name: HS256, HS384 and HS512, of any iss. It has 32 bytes at least. As soon as there is a secret, an issuer or a connect hook, a client may do what its token grants or what --channels lets it, and nothing else."`
	Issuers        []issuerEntry   `group:"identity" live:"yes" sep:"none" field:"-" placeholder:"ISSUER" help:"Who signs tokens: https://auth.example.com jwks=https://auth.example.com/keys audience=fleetcast." detail:"Entries are issuer, secret, keys, jwks, algorithms, audience, claim and user-claim."`
	ConnectHook    []hookEntry     `group:"identity" live:"yes" sep:"none" field:"-" placeholder:"HOOK" help:"Ask this URL of yours who each client is and what it may: https://app.example.com/connect secret=file:PATH." detail:"Entries are url, secret, forward, timeout, at-once, queue, plain and roots."`
	SubscribeHooks []subscribeHook `group:"identity" live:"yes" sep:"none" field:"-" placeholder:"HOOK" help:"A URL of yours that decides about subscriptions, for rules that name it: rooms url=https://app.example.com/rooms secret=file:PATH." detail:"Entries are name, and those of --connect-hook. A rule names it: subscribe-hook=rooms."`
	TokenCookie    nameOrOff       `group:"identity" live:"yes" default:"off" placeholder:"NAME" help:"Take tokens also from the cookie of this name, or off." detail:"Such a request needs an Origin. It goes with neither --allow-origin=* nor null, because any web site could then connect as the user whose browser it runs in."`
	UserClients    count           `group:"identity" span:"0 to 1000000000" live:"yes" default:"0" placeholder:"N" help:"Connections of one user; 0 for no limit." detail:"Beyond that, 429."`
	UserConnects   rate            `group:"identity" live:"yes" default:"off" placeholder:"RATE" help:"How often one user may connect." detail:"Beyond that, 429 with the time to wait."`
	TicketKeys     []Secret        `group:"identity" live:"yes" sep:"none" field:"-" placeholder:"KEY" help:"A key for resume tickets, for gateways that share them: file:PATH or env:NAME." detail:"It has 32 bytes at least. The first key signs, all verify. Without any, each process has a random one."`
	KeysDir        nameOrOff       `group:"identity" live:"no" default:"off" placeholder:"DIR" help:"Keep the last good keys of each issuer's URL (jwks) in this folder, or off." detail:"A gateway that starts while an issuer cannot be reached then knows its keys."`

	Shards      count `group:"loops" span:"1 to 1024" live:"no" field:"-" default:"0" derived:"one per processor" placeholder:"N" help:"Event loops that serve clients." detail:"The kernel spreads connections over them."`
	IngestLoops count `group:"loops" span:"1 to 256" live:"no" default:"1" placeholder:"N" help:"Event loops that serve publishers." detail:"One loop takes more than a million small events a second."`

	MaxClients     count `group:"limits" live:"yes" field:"-" default:"0" derived:"what the descriptor limit allows" placeholder:"N" help:"Connections of clients; more get 503."`
	MaxPublishers  count `group:"limits" live:"yes" field:"-" default:"0" derived:"an eighth of what the descriptor limit allows, at most 10,000" placeholder:"N" help:"Connections of publishers." detail:"Further ones get an error line and are closed."`
	MaxChannels    count `group:"limits" live:"yes" default:"1000000" placeholder:"N" help:"Channels kept in all." detail:"Beyond that, channels without subscribers are forgotten, the longest unused first. If all have subscribers, a subscription to a new channel gets limit_exceeded. Channels that clients made have seven eighths at most."`
	ClientChannels count `group:"limits" span:"1 to 1000000" live:"yes" default:"128" placeholder:"N" help:"Channels that one client may subscribe to." detail:"Beyond that, limit_exceeded."`
	MaxHead        Size  `group:"limits" live:"yes" default:"8KiB" placeholder:"SIZE" help:"Longest head of a request on the client port: its first line and its header fields, with cookies." detail:"From 1KiB to 64KiB. Beyond that, 431, or 414 if the first line alone is longer. Each client whose request is not complete may hold as much memory, for --handshake-timeout at most."`
	MaxMessage     Size  `group:"limits" span:"128 to 1GiB" live:"yes" default:"64KiB" placeholder:"SIZE" help:"Longest message from a client." detail:"Beyond that, close code 1009, as soon as the frame's header has arrived."`
	// fleetcast subscribe takes messages of 64 MiB.
	MaxEvent         Size   `group:"limits" span:"1 to 32MiB" live:"yes" default:"64KiB" placeholder:"SIZE" help:"Longest data of an event." detail:"Beyond that, limit_exceeded."`
	MaxSubscriptions count  `group:"limits" live:"yes" default:"10000000" placeholder:"N" help:"Subscriptions of all clients together." detail:"Beyond that, limit_exceeded. Ten million take some half a gigabyte."`
	MaxChannelName   count  `group:"limits" span:"1 to 255" live:"yes" default:"255" placeholder:"N" help:"Longest name of a channel, in bytes." detail:"Beyond that, bad_channel."`
	ClientCommands   rate   `group:"limits" live:"yes" default:"100/s burst 2000" placeholder:"RATE" help:"Commands of one client; each channel of a command counts." detail:"Beyond that, rate_limited, and the client is told when to try again. With the burst, a page with some hundred channels can subscribe to all of them a few times in a row. With a larger --client-channels, set a larger burst. Other frames, such as pings and fragments, cost a 32nd of a command. A client that goes far beyond its rate is not read for a while."`
	ClientPublishes  rate   `group:"limits" live:"yes" default:"100/s burst 200" placeholder:"RATE" help:"Events that one client publishes, if --client-publish lets it." detail:"Beyond that, rate_limited. The default is enough to share the position of a pointer with each frame of a screen."`
	PublisherRate    rate   `group:"limits" live:"yes" default:"off" placeholder:"RATE" help:"Events of one connection to the publish port, and of all requests to the admin API together." detail:"Beyond that, rate_limited, or 429. Without a rate, a publisher that is too fast is only pushed back by TCP."`
	InputMemory      Size   `group:"limits" live:"yes" field:"-" default:"0" derived:"a sixteenth of the memory of the machine or the control group" placeholder:"SIZE" help:"Memory for unfinished messages and handshakes of all clients, and as much for unfinished requests of publishers." detail:"Beyond that, the connections that have held the most for the longest are closed, clients with close code 1013. At least --max-message, and --max-event and 64 KiB."`
	Credits          Size   `group:"limits" live:"yes" default:"64MiB" placeholder:"SIZE" help:"Events under way in the whole process, before publishers are pushed back." detail:"All publishers then wait until half is free."`
	PublisherCredits Size   `group:"limits" live:"yes" default:"1MiB" placeholder:"SIZE" help:"Events under way of one connection, before it is pushed back." detail:"It then waits until half is free. So a connection that floods does not hold up the others."`
	Retention        Period `group:"limits" span:"1s to 720h" live:"no" default:"5m" field:"ChannelRetention" placeholder:"TIME" help:"Least time for which the position of an unused channel is kept." detail:"It is kept for twice that at most."`

	SlowAfter       Period             `group:"slow" span:"100ms to 5m" live:"yes" default:"30s" placeholder:"TIME" help:"How long an event may wait for a client before the client is slow and --slow-policy counts." detail:"How much waits does not matter, as long as it leaves in time and fits into --backlog-memory."`
	SlowPolicy      gateway.SlowPolicy `group:"slow" live:"yes" choices:"disconnect,drop_oldest,conflate" default:"disconnect" placeholder:"POLICY" help:"What becomes of events for a client that does not keep up: disconnect, drop_oldest or conflate." detail:"disconnect closes the client with 1013 when an event has waited for --slow-after. drop_oldest drops events that have waited so long, and the oldest ones beyond --backlog. conflate keeps the newest event for each channel, or for each key, and drops the oldest ones beyond --backlog. A gap tells the client what was dropped."`
	SlowChannels    []slowRule         `group:"slow" live:"yes" sep:" " field:"SlowRules" placeholder:"PATTERN=POLICY" help:"Another policy for channels of this name; ** stands for any characters." detail:"For example, prices.**=conflate. The first one that matches counts."`
	Backlog         Size               `group:"slow" live:"yes" default:"1MiB" field:"BacklogBytes" placeholder:"SIZE" help:"What may wait for a client of channels with the policies drop_oldest and conflate." detail:"Beyond that, the oldest of these events are dropped. The newest one is kept, whatever its size. For keys that always change, conflate keeps older values of up to as much again. This option disconnects no client."`
	BacklogMessages count              `group:"slow" span:"0 to 1000000000" live:"yes" default:"0" placeholder:"N" help:"How many events of such channels may wait for a client; 0 for any number." detail:"Beyond that, the oldest of them are dropped. This option disconnects no client."`
	BacklogMemory   Size               `group:"slow" live:"yes" field:"-" default:"0" derived:"a quarter of the memory of the machine or the control group" placeholder:"SIZE" help:"What all backlogs together may hold." detail:"An event that waits for many clients counts once, and each reference to it 16 bytes. Beyond that, the clients with the largest backlogs are disconnected with close code 1013, as many as needed. At least --max-event."`

	History       []historyRule `group:"history" live:"yes" sep:" " field:"-" derived:"100,5m" placeholder:"PATTERN=BOUNDS" help:"What is kept of each channel's events for clients that come back: a number, an age and a size, or off." detail:"For example, 200,1h is for all channels, and chat.**=1000,24h,1MiB for those of a pattern. The first pattern that matches counts. The newest events are kept, as many as all bounds allow. Without a number, these are 100 events, without an age 5m; without a size, the channel has no bound in bytes. A channel that is not used for long may lose its history early: see --history-memory."`
	HistoryMemory Size          `group:"history" span:"1MiB to 1TiB" live:"yes" field:"-" default:"0" derived:"an eighth of the memory of the machine or the control group" placeholder:"SIZE" help:"What the histories of all channels together may hold." detail:"Beyond that, channels that were not used for the longest time lose theirs. Their offsets go on."`
	HistoryFile   nameOrOff     `group:"history" live:"no" field:"-" default:"off" placeholder:"FILE" help:"Hand offsets and histories to the next gateway by this file when the gateway stops, or off." detail:"A gateway that is told to stop writes it, and the next one removes it when it has read it. So there is no file after a crash: channels then begin anew. Beside it are FILE.lock, and FILE.bad, which is the last file that could not be used. Each gateway needs a file of its own."`

	Channels []channelRule `group:"rules" live:"yes" sep:"none" field:"-" placeholder:"RULE" help:"A rule for the channels of a pattern: prices.** slow=conflate compress=on." detail:"Keys are slow, compress, subscribe, publish, history, client-publish, subscribe-hook and final. Of the rules that match a channel, the first one that sets a key decides it. A rule with final=on ends the search for its channels. After the rules, --slow-channels, --history, --compress-channels and --client-publish count, then the defaults."`
	Patterns stars         `group:"rules" live:"yes" field:"-" choices:"checked,segments" default:"checked" placeholder:"KIND" help:"What a single * in a pattern is: an error (checked), or any characters within a segment (segments)." detail:"Segments end at . : and /. Before there was **, a single * stood for any characters, those three included. A configuration of that time would now match fewer channels, so a * in --channels, --client-publish, --slow-channels and --compress-channels is refused unless you say that you know. ** needs no such word. Patterns in tokens, in keys and in --history are newer than **, and not checked."`

	TrustedProxies  []network           `group:"connections" live:"yes" sep:" " placeholder:"NETWORK" help:"Proxies (addresses or networks) that are believed when they say whose connection they pass on." detail:"They never count as addresses of clients."`
	ProxyHeader     gateway.ProxyHeader `group:"connections" live:"yes" choices:"off,proxy-protocol,x-forwarded-for,forwarded" default:"off" placeholder:"KIND" help:"How trusted proxies say it: off, proxy-protocol, x-forwarded-for or forwarded." detail:"With proxy-protocol (version 1 or 2), a connection of a trusted proxy must begin with that header. Otherwise it gets 400."`
	AddressClients  count               `group:"connections" span:"0 to 1000000000" live:"yes" default:"0" placeholder:"N" help:"Connections of clients from one address; 0 for no limit." detail:"Beyond that, 429. The first 64 bits of an IPv6 address count as one address. Off by default, because many clients share an address behind NAT, and all do behind a proxy that is not trusted."`
	AddressConnects rate                `group:"connections" live:"yes" default:"off" placeholder:"RATE" help:"How often clients of one address may connect." detail:"Beyond that, 429 with the time to wait."`
	Connects        rate                `group:"connections" live:"yes" default:"off" placeholder:"RATE" help:"How many clients are admitted in all; more wait for their turn." detail:"Off by default, because the right rate depends on what the machine accepts beside its usual load."`
	ConnectQueue    count               `group:"connections" span:"0 to 1000000" live:"yes" default:"1024" placeholder:"N" help:"Connections that wait for their turn under --connects; more get 503 and a time to come back." detail:"They wait no longer than --handshake-timeout, and are no more than the rate serves in that time."`
	SendBuffer      Size                `group:"connections" span:"0 or 4KiB to 1GiB" live:"no" default:"0" placeholder:"SIZE" help:"What the kernel may hold of what is sent to a client; 0 for its own choice." detail:"It bounds the memory for clients that acknowledge late, and their rate. The kernel caps it at net.core.wmem_max."`

	Compression      Toggle    `group:"compression" live:"yes" field:"-" default:"on" placeholder:"on|off" help:"Compress events for clients that offer permessage-deflate, as browsers do." detail:"An event is compressed once, however many clients get it. When this is turned on while the gateway runs, it counts for clients that connect afterwards."`
	CompressChannels []pattern `group:"compression" live:"yes" field:"-" sep:" " derived:"all" placeholder:"PATTERN" help:"Compress only the events of channels of this name; ** stands for any characters."`
	CompressionLevel count     `group:"compression" span:"1 to 9" live:"yes" default:"1" field:"CompressLevel" placeholder:"N" help:"1 is the fastest, 9 compresses most." detail:"Above 6 it takes several times as long and saves hardly more."`
	CompressionFrom  Size      `group:"compression" span:"0 to 1GiB" live:"yes" default:"256" field:"CompressFrom" placeholder:"SIZE" help:"Smallest event that is compressed, as clients see it." detail:"Compressing smaller ones saves few bytes and no packet."`
	ClientContext    Size      `group:"compression" span:"0 or 512 to 32KiB" live:"yes" default:"0" placeholder:"SIZE" help:"Largest window in which clients may compress with context; 0 for none." detail:"A power of two: the memory that each such client may cost. With 0, clients compress each message for itself."`

	HandshakeTimeout Period `group:"times" span:"100ms to 24h" live:"no" default:"10s" placeholder:"TIME" help:"Time for a client's whole handshake." detail:"After that, 408."`
	PingInterval     Period `group:"times" span:"1s to 24h" live:"no" default:"25s" placeholder:"TIME" help:"Time between pings to a client." detail:"The default is shorter than the idle timeout of usual proxies."`
	PongTimeout      Period `group:"times" span:"100ms to 24h" live:"no" default:"10s" placeholder:"TIME" help:"Time for a sign of life after a ping." detail:"Any byte counts."`
	MessageTimeout   Period `group:"times" span:"100ms to 24h" live:"no" default:"30s" placeholder:"TIME" help:"Time in which a client's message, or a publisher's request, must be complete." detail:"It counts from the first byte, and may take up to a quarter longer. After that, close code 1008, or an error. A publisher must also send its first byte within this time."`
	SendTimeout      Period `group:"times" span:"0 or 100ms to 24h" live:"no" default:"0s" derived:"--ping-interval and --pong-timeout together" placeholder:"TIME" help:"Time for a client to acknowledge what was sent, or to take it." detail:"After that the kernel ends the connection (TCP_USER_TIMEOUT)."`
	ShutdownDelay    Period `group:"times" live:"yes" field:"-" default:"0s" placeholder:"TIME" help:"Time from the signal to stop to the drain, for load balancers to notice." detail:"Meanwhile /readyz, and /healthz of the client port, answer 503, and everything else is served as before. So load balancers send no client to a gateway that closes its port."`
	DrainWindow      Period `group:"times" live:"yes" default:"5s" placeholder:"TIME" help:"Time over which clients are closed when the gateway stops; 0s is all at once." detail:"It must be below --drain-timeout; the default is shortened to fit. A small fleet takes less: at least 100 clients a second are closed."`
	RetryWindow      Period `group:"times" live:"yes" default:"10s" placeholder:"TIME" help:"Time over which clients are asked to spread their return when the gateway stops." detail:"Clients that are refused because there is no room, with 503 or 429, are told to come back over this time too, but over at least 10s."`
	DrainTimeout     Period `group:"times" span:"10ms to 24h" live:"yes" field:"-" default:"30s" placeholder:"TIME" help:"Longest time from the signal to stop, or from the end of --shutdown-delay, to the end."`

	LogLevel       logLevel  `group:"logs" live:"yes" choices:"debug,info,warn,error" field:"-" default:"info" placeholder:"LEVEL" help:"Least severe log messages shown: debug, info, warn or error."`
	LogFormat      LogFormat `group:"logs" live:"no" field:"-" default:"text" placeholder:"text|json" help:"How log messages are written to the standard error." detail:"With json, the announcement at the start is a log message too."`
	LogConnections count     `group:"logs" span:"0 to 1000000" live:"yes" default:"0" field:"ConnectionLog" placeholder:"N" help:"Most log lines a second about clients that come and go; 0 for none."`

	settings []setting // every option that has a value, in this order
	// strange are environment variables that look like options and are none.
	strange []variable
	// inherited is where ports listen whose sockets another process has opened, by the
	// options that do not count for them.
	inherited map[string]Endpoint
}

// groups are the sections of the options, in order.
var groups = []kong.Group{
	{Key: "ports", Title: "Ports"},
	{Key: "access", Title: "Who may do what"},
	{Key: "identity", Title: "Who clients are"},
	{Key: "loops", Title: "Loops"},
	{Key: "limits", Title: "Limits"},
	{Key: "slow", Title: "Slow clients"},
	{Key: "history", Title: "History of channels"},
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
	texts := []string{}
	for _, v := range s.values() {
		if of, ok := v.(interface{ shown() string }); ok { // String has more than may be shown
			texts = append(texts, of.shown())
		} else {
			texts = append(texts, v.(fmt.Stringer).String())
		}
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

// byLine tells whether the elements of a list hold blanks. Then each has a flag, or a
// line of the variable, of its own.
func byLine(f *kong.Flag) bool { return f.IsSlice() && f.Tag.Sep == -1 }

// meaning is short, or what a derived default stands for.
func (s setting) meaning() string {
	if derived := s.flag.Tag.Get("derived"); derived != "" && (s.text() == s.flag.Default || s.list() && len(s.texts()) == 0) {
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
	return strings.Join(strings.Fields(f.Help+" "+f.Tag.Get("detail")+" "+possible(f)), " ")
}

// possible is which values an option can have, if that does not follow from its type.
func possible(f *kong.Flag) (text string) {
	if of, _ := spanOf(f); f.Tag.Has("span") {
		text = "Can be " + of.String() + "."
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
