package settings

import (
	"fmt"
	"slices"
	"time"

	"fleetcast/gateway/rules"
	"fleetcast/poller"
)

// SlowRule gives the channels of a pattern a policy of their own.
type SlowRule struct {
	Pattern string // as in [rules.Patterns]
	Policy  rules.SlowPolicy
}

// HistoryRule gives the channels of a pattern a history of their own.
type HistoryRule struct {
	Pattern string // as in [rules.Patterns]
	History rules.History
}

// ChannelRules are the entries of the table of rules: Channels, and behind them what
// SlowRules, HistoryRules, Compress and ClientPublish are short for.
func (c *Config) ChannelRules() []rules.Entry {
	entries, on := append([]rules.Entry(nil), c.Channels...), true
	for _, rule := range c.SlowRules {
		entries = append(entries, rules.Entry{Match: rule.Pattern, Slow: &rule.Policy, Source: "SlowRules"})
	}
	for _, rule := range c.HistoryRules {
		entries = append(entries, rules.Entry{Match: rule.Pattern, History: &rule.History, Source: "HistoryRules"})
	}
	for _, pattern := range c.Compress {
		if c.compressesAll() {
			break // it is the default
		}
		entries = append(entries, rules.Entry{Match: pattern, Compress: &on, Source: "Compress"})
	}
	for _, pattern := range c.ClientPublish {
		entries = append(entries, rules.Entry{Match: pattern, ClientPublish: &on, Source: "ClientPublish"})
	}
	return entries
}

// Explain returns what holds for a channel, and which entry of which field says so, for
// a client without a user.
func (c *Config) Explain(channel string) []rules.Decision { return c.ExplainUser("", channel) }

// ExplainUser is Explain for a client of that user; "" is nobody in particular.
func (c *Config) ExplainUser(user, channel string) []rules.Decision {
	return c.ruleTable().ExplainUser(user, channel)
}

// Grants say to which channels clients without an identity may publish; see
// [rules.Table.Grants].
func (c *Config) Grants() []rules.Grant { return c.ruleTable().Grants() }

func (c *Config) ruleTable() *rules.Table {
	defaults := rules.Values{Slow: c.SlowPolicy, Compress: c.compressesAll(), Subscribe: c.DefaultSubscribe, Publish: rules.Nobody, History: c.History}
	if c.Identifies() {
		defaults.Subscribe, defaults.Publish = rules.Tokens, rules.Tokens
	}
	return rules.NewTable(c.ChannelRules(), defaults)
}

// compressesAll tells whether events are compressed wherever no rule says otherwise. An
// entry with Final does not change that, as it does not change SlowPolicy.
func (c *Config) compressesAll() bool { return slices.Contains(c.Compress, "**") }

// checkRules adds what is wrong with the rules for channels.
func (c *Config) checkRules(errs *OptionErrors) {
	if err := c.DefaultSubscribe.Check(); err != nil {
		errs.add("DefaultSubscribe", "is %v", err)
	}
	for i, entry := range c.ChannelRules() {
		err := entry.Check()
		if name := entry.SubscribeHook; err == nil && name != nil {
			if _, known := c.SubscribeHooks[*name]; !known {
				err = fmt.Errorf("channel pattern %q has subscribe-hook: %s, and there is no hook of that name", entry.Match, *name)
			}
		}
		if err != nil {
			field := entry.Source
			if i < len(c.Channels) {
				field = "Channels"
			}
			errs.add(field, "has a bad entry: %v", err)
		}
	}
}

// checkHistory adds what is wrong with what is kept of events.
func (c *Config) checkHistory(errs *OptionErrors) {
	if err := c.History.Check(); err != nil {
		errs.add("History", "is %v", err)
	}
}

// checkSlow adds what is wrong with the bounds of slow subscribers.
func (c *Config) checkSlow(errs *OptionErrors) {
	if c.SlowAfter < BeatLength || c.SlowAfter > maxSlowAfter {
		errs.add("SlowAfter", "is %v, must be from %v to %v", c.SlowAfter, BeatLength, maxSlowAfter)
	}
	if int64(c.BacklogBytes) > c.BacklogMemory {
		errs.add("BacklogBytes", "is %d, must be at most what may wait for all clients together, %d", c.BacklogBytes, c.BacklogMemory)
	}
	if err := c.SlowPolicy.Check(); err != nil {
		errs.add("SlowPolicy", "is %v", err)
	}
}

// BeatLength is the grain in which the age of events is known.
const BeatLength = poller.TickInterval

// maxSlowAfter keeps the low bits of an event's beat unambiguous, with a minute to
// spare for a look that comes late.
const maxSlowAfter = 5 * time.Minute
