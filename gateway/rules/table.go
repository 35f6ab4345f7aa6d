package rules

import (
	"fmt"
	"sync"
)

// Entry is one entry of a table: what is set for the channels of a pattern. A nil field
// is not set.
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
	read func(*Entry, string) error // reads what text writes
}

// keys are all of them. A further thing to be ruled is a field of Entry, one of
// Values, and a line here.
var keys = [...]key{
	{
		"slow", func(v *Values, e *Entry) bool { return set(&v.Slow, e.Slow) },
		func(v *Values) string { return v.Slow.String() },
		func(e *Entry, text string) error { return read(&e.Slow, text, parseSlowPolicy) },
	},
	{
		"compress", func(v *Values, e *Entry) bool { return set(&v.Compress, e.Compress) },
		func(v *Values) string { return onOff(v.Compress) },
		func(e *Entry, text string) error { return read(&e.Compress, text, parseOnOff) },
	},
	{
		"client-publish", func(v *Values, e *Entry) bool { return set(&v.ClientPublish, e.ClientPublish) },
		func(v *Values) string { return onOff(v.ClientPublish) },
		func(e *Entry, text string) error { return read(&e.ClientPublish, text, parseOnOff) },
	},
}

func set[T any](to, from *T) bool {
	if from == nil {
		return false
	}
	*to = *from
	return true
}

// Table holds the rules for all channels. Of the entries that match a channel, the
// first one that sets a key decides it. A key that none sets has its default.
type Table struct {
	entries  []Entry
	defaults Values
	compress bool

	mu       sync.Mutex
	interned map[Values]*Rule
}

// NewTable makes a table of entries for which Check has found nothing wrong.
func NewTable(entries []Entry, defaults Values) *Table {
	t := &Table{entries: entries, defaults: defaults, interned: make(map[Values]*Rule)}
	t.compress = t.findCompress()
	return t
}

// findCompress tells whether the events of some channel may be compressed. Entries
// behind one that decides it for every channel do not count.
func (t *Table) findCompress() bool {
	for i := range t.entries {
		e := &t.entries[i]
		if e.Compress != nil && *e.Compress {
			return true
		}
		if (e.Compress != nil || e.Final) && matchesAll(e.Match) {
			return e.Compress == nil && t.defaults.Compress
		}
	}
	return t.defaults.Compress
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
		if !match(t.entries[i].Match, channel, anyone) {
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
	// Final is the entry that keeps later ones from deciding, if By is nil and there
	// is such an entry.
	Final *Entry
}

// Explain is what holds for a channel.
func (t *Table) Explain(channel string) (decisions []Decision) {
	for _, key := range keys {
		values := t.defaults
		decision := Decision{Key: key.name}
		for i := range t.entries {
			e := &t.entries[i]
			if !match(t.entries[i].Match, channel, anyone) {
				continue
			}
			if key.set(&values, e) {
				decision.By = e
				break
			}
			if e.Final {
				decision.Final = e
				break
			}
		}
		decision.Value = key.text(&values)
		decisions = append(decisions, decision)
	}
	return decisions
}

// Grant says whether clients may publish to the channels of a pattern.
type Grant struct {
	Match   string // as in [Patterns]
	Clients bool   // clients may
}

// Grants say to which channels clients may publish: the first one that matches a
// channel decides. If none matches, they may not publish.
func (t *Table) Grants() (grants []Grant) {
	for i := range t.entries {
		switch e := &t.entries[i]; {
		case e.ClientPublish != nil:
			grants = append(grants, Grant{e.Match, *e.ClientPublish})
		case e.Final:
			grants = append(grants, Grant{e.Match, t.defaults.ClientPublish})
		}
	}
	return grants
}
