package gateway

import (
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
)

// What a configuration is made of.
type (
	Rate       = limits.Rate
	Patterns   = rules.Patterns
	SlowPolicy = rules.SlowPolicy
)

// The policies for slow subscribers.
const (
	SlowDisconnect = rules.SlowDisconnect
	SlowDropOldest = rules.SlowDropOldest
	SlowConflate   = rules.SlowConflate
)

// ParsePatterns checks patterns of channels.
func ParsePatterns(patterns []string) (Patterns, error) { return rules.ParsePatterns(patterns) }

// ParseSlowPolicy is the policy of that name.
func ParseSlowPolicy(name string) (SlowPolicy, error) { return rules.ParseSlowPolicy(name) }
