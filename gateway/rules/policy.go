package rules

import (
	"fmt"
	"slices"
)

// SlowPolicy is what becomes of a channel's events for a subscriber that does not
// keep up.
type SlowPolicy uint8

const (
	// SlowDisconnect lets all events wait. When one has waited for a client longer than
	// SlowAfter, the client is disconnected with close code 1013.
	SlowDisconnect SlowPolicy = iota
	// SlowDropOldest drops those that have waited longer than SlowAfter, and the
	// oldest ones beyond BacklogBytes and BacklogMessages. Gaps tell of them.
	SlowDropOldest
	// SlowConflate keeps the newest waiting event of each key, and the newest one
	// without a key, however long they wait. The others are dropped, and so are the
	// oldest ones beyond BacklogBytes and BacklogMessages. Gaps tell of them. If the
	// values of a key have been replaced for half a second, an older one is kept too,
	// and leaves in its turn. These take as much again, at most.
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

// Check returns an error if there is no such policy.
func (p SlowPolicy) Check() error {
	if p >= slowPolicyCount {
		return fmt.Errorf("%v, which there is not", p)
	}
	return nil
}

// UnmarshalText reads the policy's name.
func (p *SlowPolicy) UnmarshalText(text []byte) (err error) {
	*p, err = parseSlowPolicy(string(text))
	return err
}

func parseSlowPolicy(name string) (SlowPolicy, error) {
	if i := slices.Index(slowPolicyNames[:], name); i >= 0 {
		return SlowPolicy(i), nil
	}
	return 0, fmt.Errorf("%.80q is not a policy for slow consumers; choose disconnect, drop_oldest or conflate", name)
}
