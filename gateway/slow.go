package gateway

import (
	"fmt"
	"slices"

	"fleetcast/codec/websocket"
)

// SlowPolicy is what becomes of a channel's events for a subscriber that does not
// keep up.
type SlowPolicy uint8

const (
	// SlowDisconnect lets all of them wait. A client for which one has waited longer
	// than SlowAfter is disconnected, with close code 1013.
	SlowDisconnect SlowPolicy = iota
	// SlowDropOldest drops those that have waited longer than SlowAfter, and the
	// oldest ones beyond BacklogBytes and BacklogMessages. Gaps tell of them.
	SlowDropOldest
	// SlowConflate keeps of those that wait the newest one for each key, and the
	// newest one without a key, however long they wait; the others are dropped, and so
	// are the oldest ones beyond BacklogBytes and BacklogMessages. Gaps tell of them.
	// Of a key whose values have been replaced for half a second, an older one is kept
	// besides, so that it leaves in its turn; those take as much again, at most.
	SlowConflate
	slowPolicyCount
)

var slowPolicyNames = [slowPolicyCount]string{
	SlowDisconnect: "disconnect",
	SlowDropOldest: "drop_oldest",
	SlowConflate:   "conflate",
}

// String is the policy's name in the configuration.
func (p SlowPolicy) String() string {
	if p < slowPolicyCount {
		return slowPolicyNames[p]
	}
	return fmt.Sprintf("SlowPolicy(%d)", uint8(p))
}

// ParseSlowPolicy is the policy of that name.
func ParseSlowPolicy(name string) (SlowPolicy, error) {
	if i := slices.Index(slowPolicyNames[:], name); i >= 0 {
		return SlowPolicy(i), nil
	}
	return 0, fmt.Errorf("%.80q is not a policy for slow consumers; choose disconnect, drop_oldest or conflate", name)
}

// SlowRule gives the channels of a pattern a policy of their own.
type SlowRule struct {
	Pattern string // as in [Patterns]
	Policy  SlowPolicy
}

// slowPolicyFor is the policy for a channel: that of the first rule that matches,
// or the default.
func (c *Config) slowPolicyFor(channel string) SlowPolicy {
	for _, rule := range c.SlowRules {
		if match(rule.Pattern, channel) {
			return rule.Policy
		}
	}
	return c.SlowPolicy
}

// checkSlow adds what is wrong with the policies and their bounds.
func (c *Config) checkSlow(errs *OptionErrors) {
	if c.SlowAfter < beatLength || c.SlowAfter > maxSlowAfter {
		errs.add("SlowAfter", "is %v, must be from %v to %v", c.SlowAfter, beatLength, maxSlowAfter)
	}
	if int64(c.BacklogBytes) > c.BacklogMemory {
		errs.add("BacklogBytes", "is %d, must be at most what may wait for all clients together, %d", c.BacklogBytes, c.BacklogMemory)
	}
	if c.SlowPolicy >= slowPolicyCount {
		errs.add("SlowPolicy", "is %v, which there is not", c.SlowPolicy)
	}
	for _, rule := range c.SlowRules {
		if rule.Policy >= slowPolicyCount {
			errs.add("SlowRules", "has for %q %v, which there is not", rule.Pattern, rule.Policy)
		}
		if _, err := ParsePatterns([]string{rule.Pattern}); err != nil {
			errs.add("SlowRules", "has a bad pattern: %v", err)
		}
	}
}

// rules are what the settings say of one channel. They are immutable, and shared
// by all channels for which they are the same.
type rules struct {
	of         *settings
	policy     SlowPolicy
	compressed bool // for clients that take it
}

// allRules are the rules that there can be, by policy and compression.
type allRules [slowPolicyCount][2]rules

func newAllRules(of *settings) (all allRules) {
	for p := range all {
		all[p] = [2]rules{{of, SlowPolicy(p), false}, {of, SlowPolicy(p), true}}
	}
	return all
}

// rulesIn are the stream's rules in the given settings. They are looked up once.
// Any goroutine may call it.
func (st *stream) rulesIn(s *settings) *rules {
	if r := st.rules.Load(); r != nil && r.of == s {
		return r
	}
	compressed := 0
	if s.compression.channels.matches(st.name) {
		compressed = 1
	}
	r := &s.rules[s.config.slowPolicyFor(st.name)][compressed]
	st.rules.Store(r)
	return r
}

// queue appends events of one channel to the backlog, as the channel's policy
// says; sent bytes of them have left already.
func (c *session) queue(events []*event, f format, sent int) {
	of, b := c.shard.gateway.settings.Load(), c.backlog
	policy := events[0].stream.rulesIn(of).policy
	for _, e := range events {
		size := len(e.frameIn(f))
		switch {
		case sent >= size:
			sent -= size
		case sent > 0:
			b.pushHalf(e, f, policy, sent)
			sent = 0
		default:
			since := b.shard.patrol.now()
			if policy == SlowConflate {
				since = b.supersede(e, &of.config)
			}
			if policy != SlowDisconnect {
				b.makeRoom(size, &of.config)
			}
			b.pushEvent(e, f, policy, since)
		}
	}
	c.shard.counters.deliveries += uint64(len(events))
}

// overrun disconnects a client that does not keep up. The events that wait for it
// are dropped: they would be late, and the client knows from the close code that
// it has missed events.
func (c *session) overrun() {
	c.finish(slowConsumer, websocket.StatusTryAgainLater, "slow consumer")
}
