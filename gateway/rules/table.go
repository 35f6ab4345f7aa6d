package rules

import (
	"fmt"
	"sync"
)

// Entry is one entry of a table: what is set for the channels of a pattern. What is
// nil is not set.
type Entry struct {
	Match         string // as in [Patterns]
	Slow          *SlowPolicy
	Compress      *bool
	ClientPublish *bool
	// Final tells that later entries do not count for the channels of this one.
	Final bool
	// Source says where the entry was configured.
	Source string
}

// Values are what entries set.
type Values struct {
	Slow          SlowPolicy
	Compress      bool // for clients that take it
	ClientPublish bool // clients may publish
}

// Rule is what holds for a channel. Channels for which the same holds share one.
type Rule struct {
	Values
	Of *Table
}

// key is one thing that an entry can set.
type key struct {
	name string // in the configuration
	set  func(*Values, *Entry) bool
	text func(*Values) string
}

// keys are all of them. A further thing to be ruled is a field of Entry, one of
// Values, and a line here.
var keys = [...]key{
	{"slow", func(v *Values, e *Entry) bool { return set(&v.Slow, e.Slow) }, func(v *Values) string { return v.Slow.String() }},
	{"compress", func(v *Values, e *Entry) bool { return set(&v.Compress, e.Compress) }, func(v *Values) string { return onOff(v.Compress) }},
	{"client-publish", func(v *Values, e *Entry) bool { return set(&v.ClientPublish, e.ClientPublish) }, func(v *Values) string { return onOff(v.ClientPublish) }},
}

func set[T any](to, from *T) bool {
	if from == nil {
		return false
	}
	*to = *from
	return true
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Table is the rules for all channels: of the entries that match a channel, the first
// one that sets a key decides it. A key that none sets has its default.
type Table struct {
	entries  []Entry
	patterns []parsed // of the entries
	defaults Values
	compress bool

	mu       sync.Mutex
	interned map[Values]*Rule
}

// NewTable makes a table of entries for which Check has found nothing wrong.
func NewTable(entries []Entry, defaults Values) *Table {
	t := &Table{entries: entries, defaults: defaults, compress: defaults.Compress, interned: make(map[Values]*Rule)}
	for i := range entries {
		t.patterns = append(t.patterns, parse(entries[i].Match))
		t.compress = t.compress || entries[i].Compress != nil && *entries[i].Compress
	}
	return t
}

// Check returns what is wrong with an entry.
func (e *Entry) Check() error {
	if _, err := ParsePatterns([]string{e.Match}); err != nil {
		return err
	}
	if e.Slow != nil {
		if err := e.Slow.Check(); err != nil {
			return fmt.Errorf("channel pattern %q has %w", e.Match, err)
		}
	}
	return nil
}

// For is the rule for a channel. It looks through the table.
func (t *Table) For(channel string) *Rule {
	values, decided := t.defaults, 0
	var by [len(keys)]bool
	for i := range t.entries {
		if !t.patterns[i].matches(channel) {
			continue
		}
		for k := range keys {
			if !by[k] && keys[k].set(&values, &t.entries[i]) {
				by[k] = true
				decided++
			}
		}
		if decided == len(keys) || t.entries[i].Final {
			break
		}
	}
	return t.intern(values)
}

func (t *Table) intern(values Values) *Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.interned[values]
	if r == nil {
		r = &Rule{values, t}
		t.interned[values] = r
	}
	return r
}

// Compresses tells whether the events of some channel may be compressed.
func (t *Table) Compresses() bool { return t.compress }

// Decision is what holds for a channel in one respect, and which entry says so.
type Decision struct {
	Key   string
	Value string
	By    *Entry // nil: it is the default
}

// Explain is what holds for a channel.
func (t *Table) Explain(channel string) (decisions []Decision) {
	for _, key := range keys {
		values := t.defaults
		decision := Decision{Key: key.name}
		for i := range t.entries {
			e := &t.entries[i]
			if !t.patterns[i].matches(channel) {
				continue
			}
			if key.set(&values, e) {
				decision.By = e
				break
			}
			if e.Final {
				break
			}
		}
		decision.Value = key.text(&values)
		decisions = append(decisions, decision)
	}
	return decisions
}
