package gateway

import (
	"fleetcast/gateway/admin"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/shard"
)

// What a gateway is set up with.
type (
	ChannelRule    = rules.Entry
	ConnectRequest = settings.ConnectRequest
	ConnectRefusal = settings.Refusal
	Decider        = settings.Decider
	History        = rules.History
	HistoryRule    = settings.HistoryRule
	Key            = keys.Key
	RuleDecision   = rules.Decision
	Config         = settings.Config
	OptionError    = settings.OptionError
	OptionErrors   = settings.OptionErrors
	Patterns       = rules.Patterns
	ProxyHeader    = settings.ProxyHeader
	Rate           = limits.Rate
	SlowPolicy     = rules.SlowPolicy
	SlowRule       = settings.SlowRule
)

// What keys are for.
const (
	KeyPublish = keys.Publish
	KeyRead    = keys.Read
	KeyWrite   = keys.Write
)

// The policies for slow subscribers.
const (
	SlowDisconnect = rules.SlowDisconnect
	SlowDropOldest = rules.SlowDropOldest
	SlowConflate   = rules.SlowConflate
)

// The ways in which proxies name clients.
const (
	NoProxyHeader = settings.NoProxyHeader
	ProxyProtocol = settings.ProxyProtocol
	XForwardedFor = settings.XForwardedFor
	Forwarded     = settings.Forwarded
)

// Path is where clients connect.
const Path = settings.Path

// Defaults that others show or check.
const (
	DefaultBacklogMemory    = settings.DefaultBacklogMemory
	DefaultCompressFrom     = settings.DefaultCompressFrom
	DefaultHistoryMemory    = settings.DefaultHistoryMemory
	DefaultInputMemory      = settings.DefaultInputMemory
	DefaultMaxMessage       = settings.DefaultMaxMessage
	DefaultMaxSubscriptions = settings.DefaultMaxSubscriptions
	DefaultPingInterval     = settings.DefaultPingInterval
	DefaultSlowAfter        = settings.DefaultSlowAfter
)

// DefaultHistory is what is kept of a channel's events where nothing else is configured.
func DefaultHistory() History { return rules.DefaultHistory }

// DefaultConfig is a configuration for that many connections; see [settings.DefaultConfig].
func DefaultConfig(maxConnections int) Config { return settings.DefaultConfig(maxConnections) }

// RuleMatch is the key of a rule's pattern, which every rule has.
const RuleMatch = rules.MatchKey

// ChannelRuleKeys are the names by which a configuration sets the fields of a
// [ChannelRule].
func ChannelRuleKeys() []string { return rules.Keys() }

// ParsePatterns checks patterns of channels.
func ParsePatterns(patterns []string) (Patterns, error) { return rules.ParsePatterns(patterns) }

// HTTPConnections is how many connections with a plain HTTP request are served, or wait
// for it, at the same time; see [plainhttp.Connections].
const HTTPConnections = plainhttp.Connections

// LingeringConnections is how many connections of clients are kept that were turned away
// before their request had arrived; see [shard.LingeringConnections].
const LingeringConnections = shard.LingeringConnections

// Admin is what the admin port needs from the process around the gateway.
type Admin = admin.Options
