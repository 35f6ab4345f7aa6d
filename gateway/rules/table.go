package rules

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Entry is one entry of a table: what is set for the channels of a pattern. A nil field
// is not set.
type Entry struct {
	// Match is the pattern; see [Patterns]. In it, {user} is the client's own user for
	// Subscribe and Publish: a client without a user is not matched. For all else it
	// stands for any text but none.
	Match         string
	Slow          *SlowPolicy
	Compress      *bool
	Subscribe     *Audience
	Publish       *Audience
	ClientPublish *bool // short for a Publish of Anyone, or Nobody
	// SubscribeHook is the name of the hook that is asked about each subscription of a client
	// that Subscribe lets in. Without Subscribe that is anyone.
	SubscribeHook *string
	History       *History
	// Final tells that later entries do not count for the channels of this one.
	Final bool
	// Source says where the entry was configured.
	Source string
}

// Values are what entries set.
type Values struct {
	Slow      SlowPolicy
	Compress  bool // for clients that take it
	Subscribe Audience
	// SubscribeHook is the hook that decides about each client of Subscribe; empty is none.
	SubscribeHook string
	Publish       Audience
	History       History
}

// Rule is what holds for a channel. Channels for which the same holds share one.
// Subscribe and Publish are those for clients without a user; see [Table.Subscribe].
type Rule struct {
	Values
	Of *Table
	// personal tells that Subscribe or Publish depends on who the client is.
	personal bool
}

// subject is a thing that is decided for a channel, and subjects are several. They are
// in the order of [Table.Explain].
type (
	subject  uint8
	subjects uint8
)

const (
	ofSlow subject = iota
	ofCompress
	ofSubscribe
	ofPublish
	ofHistory
	subjectCount

	allSubjects subjects = 1<<subjectCount - 1
	ofAccess    subjects = 1<<ofSubscribe | 1<<ofPublish // for which {user} is the client's own
)

func (s subjects) has(one subject) bool { return s&(1<<one) != 0 }

// decide sets what the entry says of the subjects in values, and returns of which it
// says something.
func (e *Entry) decide(of subjects, values *Values) (decided subjects) {
	if of.has(ofSlow) && e.Slow != nil {
		values.Slow = *e.Slow
		decided |= 1 << ofSlow
	}
	if of.has(ofCompress) && e.Compress != nil {
		values.Compress = *e.Compress
		decided |= 1 << ofCompress
	}
	if of.has(ofSubscribe) && (e.Subscribe != nil || e.SubscribeHook != nil) {
		values.Subscribe, values.SubscribeHook = e.subscribe()
		decided |= 1 << ofSubscribe
	}
	if of.has(ofPublish) && (e.Publish != nil || e.ClientPublish != nil) {
		values.Publish = e.publish()
		decided |= 1 << ofPublish
	}
	if of.has(ofHistory) && e.History != nil {
		values.History = *e.History
		decided |= 1 << ofHistory
	}
	return decided
}

// subscribe is who may subscribe by an entry that says it, and the hook that is asked. An
// entry decides about both, so that the hook of a later one is not asked about its channels.
func (e *Entry) subscribe() (allowed Audience, hook string) {
	if e.Subscribe != nil {
		allowed = *e.Subscribe
	}
	if e.SubscribeHook != nil {
		hook = *e.SubscribeHook
	}
	return allowed, hook
}

// ForAnyone tells whether clients without a user may subscribe by the entry, all of them or
// those that its hook allows.
func (e *Entry) ForAnyone() bool {
	if e.Subscribe == nil && e.SubscribeHook == nil {
		return false
	}
	allowed, _ := e.subscribe()
	pattern := parse(e.Match)
	return allowed == Anyone && !pattern.personal
}

// publish is who may publish by an entry that says it.
func (e *Entry) publish() Audience {
	switch {
	case e.Publish != nil:
		return *e.Publish
	case *e.ClientPublish:
		return Anyone
	}
	return Nobody
}

// Table holds the rules for all channels. Of the entries that match a channel, the
// first one that sets a key decides it. A key that none sets has its default.
type Table struct {
	entries  []Entry
	patterns []pattern // of the entries
	access   []int     // the entries that may decide Subscribe or Publish
	defaults Values
	compress bool
	open     bool
	asks     bool

	mu       sync.Mutex // held to add a rule
	interned atomic.Pointer[[]*Rule]
}

// NewTable makes a table of entries for which Check has found nothing wrong.
func NewTable(entries []Entry, defaults Values) *Table {
	t := &Table{entries: entries, defaults: defaults}
	for i := range entries {
		e := &entries[i]
		t.patterns = append(t.patterns, parse(e.Match))
		if e.Final || e.decide(ofAccess, new(Values)) != 0 {
			t.access = append(t.access, i)
		}
		t.asks = t.asks || e.SubscribeHook != nil
	}
	t.interned.Store(new([]*Rule))
	t.compress, t.open = t.findCompress(), t.findOpen()
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
		if (e.Compress != nil || e.Final) && t.patterns[i].all() {
			return e.Compress == nil && t.defaults.Compress
		}
	}
	return t.defaults.Compress
}

// findOpen tells whether anyone may subscribe to every channel, and no hook is asked. Entries
// behind one that says so for every channel do not count.
func (t *Table) findOpen() bool {
	for i := range t.entries {
		e := &t.entries[i]
		switch says := e.Subscribe != nil || e.SubscribeHook != nil; {
		case says && (e.SubscribeHook != nil || *e.Subscribe != Anyone):
			return false
		case says && t.patterns[i].all():
			return true
		case !says && e.Final && t.defaults.Subscribe != Anyone:
			return false // for its channels the default counts
		}
	}
	return t.defaults.Subscribe == Anyone
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
	if e.History != nil {
		if err := e.History.Check(); err != nil {
			return fmt.Errorf("channel pattern %q has %w", e.Match, err)
		}
	}
	for _, audience := range []*Audience{e.Subscribe, e.Publish} {
		if audience == nil {
			continue
		}
		if err := audience.Check(); err != nil {
			return fmt.Errorf("channel pattern %q has %w", e.Match, err)
		}
	}
	if e.SubscribeHook != nil {
		if _, err := parseHookName(*e.SubscribeHook); err != nil {
			return fmt.Errorf("channel pattern %q has subscribe-hook: %w", e.Match, err)
		}
		if e.Subscribe != nil && *e.Subscribe == Nobody {
			return fmt.Errorf("channel pattern %q has subscribe-hook and subscribe: nobody, so the hook would never be asked", e.Match)
		}
	}
	if e.Publish != nil && e.ClientPublish != nil {
		return fmt.Errorf("channel pattern %q has publish and client-publish, which is short for it; write publish alone", e.Match)
	}
	return nil
}

// ForName is [Table.For] for a name that is not kept.
func (t *Table) ForName(channel []byte) *Rule { return t.For(text(channel)) }

// Len is how many entries For looks through at most.
func (t *Table) Len() int { return len(t.entries) }

// For is the rule for a channel. It looks through the table.
func (t *Table) For(channel string) *Rule {
	values, open, personal := t.defaults, allSubjects, false
	for i := range t.entries {
		if !t.patterns[i].matches(channel, anyone) {
			continue
		}
		of, e := open, &t.entries[i]
		if t.patterns[i].personal {
			of &^= ofAccess // for a client without a user
			personal = personal || e.Final && open&ofAccess != 0 || e.decide(open&ofAccess, new(Values)) != 0
		}
		decided := e.decide(of, &values)
		if e.Final {
			decided = of
		}
		if open &^= decided; open == 0 {
			break
		}
	}
	return t.intern(values, personal)
}

// intern is the rule with these values. It takes a lock only for one that is new, and
// there are not many.
func (t *Table) intern(values Values, personal bool) *Rule {
	find := func() *Rule {
		for _, r := range *t.interned.Load() {
			if r.Values == values && r.personal == personal {
				return r
			}
		}
		return nil
	}
	if r := find(); r != nil {
		return r
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := find()
	if r == nil {
		r = &Rule{Values: values, Of: t, personal: personal}
		grown := append(slices.Clone(*t.interned.Load()), r)
		t.interned.Store(&grown)
	}
	return r
}

// Compresses tells whether the events of some channel may be compressed.
func (t *Table) Compresses() bool { return t.compress }

// Open tells whether anyone may subscribe to every channel, and no hook is asked.
func (t *Table) Open() bool { return t.open }

// Asks tells whether a hook is asked about the subscriptions to some channel.
func (t *Table) Asks() bool { return t.asks }

// Subscribe says who may subscribe to a channel, and which hook is asked about each of them
// (empty: none), for a client of that user; "" is nobody in particular. r is the channel's rule in this table. Only where the patterns of
// entries with {user} may match the channel are entries looked through: those that set
// Subscribe, Publish or Final. It allocates nothing.
func (t *Table) Subscribe(r *Rule, user string, channel []byte) (allowed Audience, hook string) {
	if !r.personal || user == "" {
		return r.Values.Subscribe, r.SubscribeHook
	}
	values := t.personally(1<<ofSubscribe, user, channel)
	return values.Subscribe, values.SubscribeHook
}

// Personal is how many entries Subscribe or Publish looks through at most for a client of
// that user.
func (t *Table) Personal(r *Rule, user string) int {
	if !r.personal || user == "" {
		return 0
	}
	return len(t.access)
}

// Publish is Subscribe for who may publish.
func (t *Table) Publish(r *Rule, user string, channel []byte) Audience {
	if !r.personal || user == "" {
		return r.Values.Publish
	}
	values := t.personally(1<<ofPublish, user, channel)
	return values.Publish
}

// personally is what entries decide of one of the subjects of access, for a client of
// that user.
func (t *Table) personally(of subjects, user string, channel []byte) Values {
	values := t.defaults
	for _, i := range t.access {
		e := &t.entries[i]
		if t.patterns[i].matches(text(channel), is(user)) && (e.decide(of, &values) != 0 || e.Final) {
			break
		}
	}
	return values
}

// Decision is what holds for a channel in one respect, and which entry says so.
type Decision struct {
	Key   string
	Value string
	By    *Entry // nil: it is the default
	// Final is the entry that keeps later ones from deciding, if By is nil and there
	// is such an entry.
	Final *Entry
}

// Explain is what holds for a channel, for a client without a user.
func (t *Table) Explain(channel string) []Decision { return t.ExplainUser("", channel) }

// ExplainUser is Explain for a client of that user; "" is nobody in particular.
func (t *Table) ExplainUser(user, channel string) (decisions []Decision) {
	for of := range subjectCount {
		values := t.defaults
		decision := Decision{Key: keys[of].name}
		reader := anyone
		if ofAccess.has(of) {
			reader = is(user)
		}
		for i := range t.entries {
			e := &t.entries[i]
			if !t.patterns[i].matches(channel, reader) {
				continue
			}
			if e.decide(1<<of, &values) != 0 {
				decision.By = e
				break
			}
			if e.Final {
				decision.Final = e
				break
			}
		}
		decision.Value = keys[of].text(&values)
		decisions = append(decisions, decision)
		if of == ofSubscribe && values.SubscribeHook != "" {
			decision.Key, decision.Value = subscribeHookKey, values.SubscribeHook
			decisions = append(decisions, decision)
		}
	}
	return decisions
}

// Grant says whether clients without an identity may publish to the channels of a
// pattern.
type Grant struct {
	Match   string // as in [Patterns], without {user}
	Clients bool   // clients may
}

// Grants say to which channels clients without an identity may publish: the first one
// that matches a channel decides. If none matches, they may not publish.
func (t *Table) Grants() (grants []Grant) {
	for i := range t.entries {
		e := &t.entries[i]
		if t.patterns[i].personal {
			continue
		}
		values := t.defaults
		if e.decide(1<<ofPublish, &values) != 0 || e.Final {
			grants = append(grants, Grant{e.Match, values.Publish == Anyone})
		}
	}
	return grants
}
