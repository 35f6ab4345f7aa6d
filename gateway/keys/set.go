package keys

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
)

// Scope is what kind of requests a key is for.
type Scope uint8

// The scopes. Write lets its holder do what Read does, and more; neither lets it publish.
const (
	Publish Scope = iota // events, on the publish port and by /api/publish
	Read                 // what the admin port shows
	Write                // what the admin port changes, and profiles
)

// Key is a key as it is configured.
type Key struct {
	Name   string // 1 to 64 bytes, by which logs and the API name the key
	Digest Digest
	Scope  Scope
	// Channels are the patterns of the channels to which the holder may publish; see
	// [rules.Patterns]. Without any it may publish to none. They are for Publish only.
	Channels []string
	// Rate bounds the events of all connections with this key together. The zero value
	// is no bound. It is for Publish only.
	Rate limits.Rate
	// Users lets the holder see, disconnect and unsubscribe users by the publish port. It is
	// for Publish only.
	Users bool
}

// maxName is the length of the longest name, in bytes.
const maxName = 64

// maxPatterns is how many patterns a key may have, so that a look at them is short.
const maxPatterns = 64

// Check names what is wrong with a list of keys. Two keys may be for the same channels,
// so that a new one can be given out before the old one is removed; but each has a name
// and a digest of its own.
func Check(list []Key) error {
	names, digests := make(map[string]bool), make(map[Digest]string)
	for i := range list {
		k := &list[i]
		if err := k.check(); err != nil {
			return err
		}
		if names[k.Name] {
			return fmt.Errorf("has two keys with the name %s", k.Name)
		}
		if other, taken := digests[k.Digest]; taken {
			return fmt.Errorf("has the same key twice, as %s and as %s", other, k.Name)
		}
		names[k.Name], digests[k.Digest] = true, k.Name
	}
	return nil
}

func (k *Key) check() error {
	if err := CheckName(k.Name); err != nil {
		return fmt.Errorf("has a bad entry: %w", err)
	}
	if k.Digest == (Digest{}) {
		return fmt.Errorf("has the key %s without its sha256", k.Name)
	}
	if k.Scope != Publish && k.Users {
		return fmt.Errorf("has the key %s with users, which is for publishers", k.Name)
	}
	if k.Scope == Publish && len(k.Channels) == 0 && !k.Users {
		return fmt.Errorf("has the key %s without channels; write ** for all", k.Name)
	}
	if n := len(k.Channels); n > maxPatterns {
		return fmt.Errorf("has the key %s with %d channels, may have %d", k.Name, n, maxPatterns)
	}
	if _, err := k.patterns(); err != nil {
		return fmt.Errorf("has the key %s with a bad entry: %w", k.Name, err)
	}
	if err := k.Rate.Check(); err != nil {
		return fmt.Errorf("has the key %s with a rate that %w", k.Name, err)
	}
	return nil
}

// CheckName tells whether a key can have this name. Names stand in logs, in HTTP and in
// one word of a flag.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("a name of a key has %d bytes, must have 1 to %d", len(name), maxName)
	}
	if strings.HasPrefix(name, Prefix) {
		return fmt.Errorf("a name of a key begins with %s, as a key does; the name is no secret, and stands in logs", Prefix)
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.@", r)
	}) {
		return fmt.Errorf("a key has the name %.80q; a name has letters, digits and - _ . @", name)
	}
	return nil
}

// errUserPattern is for patterns that only clients can fill in.
var errUserPattern = errors.New("{user} in a pattern is for clients; a key has no user")

func (k *Key) patterns() (rules.Patterns, error) {
	if slices.ContainsFunc(k.Channels, func(p string) bool { return strings.Contains(p, "{user}") }) {
		return rules.Patterns{}, errUserPattern
	}
	return rules.ParsePatterns(k.Channels)
}

// Holder is what the holder of a key may do.
type Holder struct {
	Name   string
	Scope  Scope
	Users  bool // see Key
	digest Digest

	channels rules.Patterns
	all      bool // channels are all
	rate     limits.EventRate
	used     *atomic.Int64 // of the rate: when the next event is due
}

// Set are the keys of one kind. The nil Set has no keys: then none is needed.
type Set struct{ holders map[Digest]*Holder }

// NewSet makes the set of keys in which Check has found nothing wrong; nil if there are
// none.
func NewSet(list []Key) *Set {
	if len(list) == 0 {
		return nil
	}
	s := &Set{make(map[Digest]*Holder, len(list))}
	for i := range list {
		k := &list[i]
		channels, err := k.patterns()
		if err != nil {
			panic(fmt.Sprintf("keys: %s was not checked: %v", k.Name, err))
		}
		s.holders[k.Digest] = &Holder{
			Name: k.Name, Scope: k.Scope, Users: k.Users, digest: k.Digest,
			channels: channels, all: slices.Contains(k.Channels, "**"),
			rate: limits.NewEventRate(k.Rate), used: new(atomic.Int64),
		}
	}
	return s
}

// Find returns what the holder of a key may do, or nil if there is no such key.
//
// The digest of what came is looked up, and not compared with one key after the other,
// so that the cost does not grow with the number of keys. How long that takes says
// something about the digest, and nothing about any key: whoever chooses a text cannot
// choose its digest. Still the last comparison takes the same time for all.
func (s *Set) Find(text []byte) *Holder {
	if s == nil || !HasForm(text) {
		return nil
	}
	digest := DigestOf(text)
	h := s.holders[digest]
	if h == nil || subtle.ConstantTimeCompare(h.digest[:], digest[:]) != 1 {
		return nil
	}
	return h
}

// Again is what a holder may do by this set; nil if its key is not in it, or h is
// nil.
func (s *Set) Again(h *Holder) *Holder {
	if s == nil || h == nil {
		return nil
	}
	return s.holders[h.digest]
}

// Continue takes over from another set what keys have used of their rates, if these are
// the same. It is called before others use the set.
func (s *Set) Continue(before *Set) {
	if s == nil || before == nil {
		return
	}
	for digest, h := range s.holders {
		if was := before.holders[digest]; was != nil && was.rate == h.rate {
			h.used = was.used
		}
	}
}

// MayPublish tells whether the holder may publish to a channel.
func (h *Holder) MayPublish(channel []byte) bool { return h.all || h.channels.Match(channel) }

// Limited tells whether the key has a rate.
func (h *Holder) Limited() bool { return h.rate.Interval > 0 }

// Take takes n events if the key's rate allows them, or returns the refusal.
func (h *Holder) Take(n int, now time.Duration) *command.Error {
	wait := h.rate.TakeShared(h.used, n, now)
	if wait == 0 {
		return nil
	}
	return h.rate.Refuse(wait)
}

// Give returns n events that were taken and are not published.
func (h *Holder) Give(n int) { h.rate.GiveShared(h.used, n) }

// Left is how many events the key's rate allows one after the other at this moment.
func (h *Holder) Left(now time.Duration) int { return h.rate.LeftShared(h.used, now) }
