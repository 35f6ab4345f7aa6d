package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/rules"
)

// Bounds of one set of grants.
const (
	MaxPatterns = 64 // in each list of patterns
	MaxAuto     = 32 // channels in Auto
)

// Grants are what a client may do, beyond what the rules of channels allow everybody:
// the value of the claim "fleetcast". In a pattern, {user} stands for the identity's
// user. Grants are made by ParseGrants and are immutable.
type Grants struct {
	Subscribe, Publish, Presence, History rules.Patterns
	// Auto are the channels to which the client is subscribed when it connects. They
	// are names, not patterns, and imply the grant to subscribe to them. In them, {user}
	// stands for the identity's user, too; see [Identity.AutoChannels].
	Auto []string
	text string // see Text
	// How many bytes the patterns have that are not plain names. A match may take as long as
	// their product with the length of the name.
	subscribeBytes, publishBytes, historyBytes int
}

// stepsPerLook is how many steps of matching, each a byte of a pattern with a byte of a name,
// take as long as a look at a rule (limits.RuleWork) with the worst patterns of BenchmarkMatch in
// gateway/rules.
const stepsPerLook = 30

// SubscribeWork is how much work MaySubscribe has at most, in looks at a rule.
func (g *Grants) SubscribeWork(name []byte) int {
	return len(g.Subscribe) + len(g.Auto) + g.subscribeBytes*len(name)/stepsPerLook
}

// PublishWork is the same of MayPublish.
func (g *Grants) PublishWork(name []byte) int {
	return len(g.Publish) + g.publishBytes*len(name)/stepsPerLook
}

// HistoryWork is the same of MayRead.
func (g *Grants) HistoryWork(name []byte) int {
	return len(g.History) + g.historyBytes*len(name)/stepsPerLook
}

// matchedBytes are those of patterns with a star.
func matchedBytes(patterns rules.Patterns) (n int) {
	for _, p := range patterns {
		if strings.Contains(p, "*") {
			n += len(p)
		}
	}
	return n
}

// noGrants is never changed.
var noGrants = &Grants{text: "{}"}

// ParseGrants reads grants from JSON:
//
//	{"subscribe":["chat.*"],"publish":["chat.{user}"],"presence":[],"history":[],"auto":["news"]}
//
// Every member may be missing or null. Other members are ignored. A repeated member is
// an error, and so are lists above MaxPatterns and MaxAuto.
func ParseGrants(text []byte) (*Grants, error) {
	if string(bytes.TrimSpace(text)) == "null" {
		return noGrants, nil
	}
	lists, err := grantLists(text)
	if err != nil {
		return nil, err
	}
	return GrantsOf(*lists)
}

// GrantsOf makes grants of their lists, which it does not bound.
func GrantsOf(lists Lists) (*Grants, error) {
	var err error
	g := &Grants{Auto: lists.Auto}
	for _, list := range []struct {
		name  string
		texts []string
		to    *rules.Patterns
	}{
		{"subscribe", lists.Subscribe, &g.Subscribe}, {"publish", lists.Publish, &g.Publish},
		{"presence", lists.Presence, &g.Presence}, {"history", lists.History, &g.History},
	} {
		if len(list.texts) == 0 {
			continue
		}
		if *list.to, err = rules.ParsePatterns(list.texts); err != nil {
			return nil, fmt.Errorf("%q: %w", list.name, err)
		}
	}
	for _, channel := range lists.Auto {
		if err := command.CheckChannel([]byte(channel)); err != nil {
			return nil, fmt.Errorf(`"auto": %w`, err)
		}
	}
	g.subscribeBytes, g.publishBytes, g.historyBytes = matchedBytes(g.Subscribe), matchedBytes(g.Publish), matchedBytes(g.History)
	var canonical []byte
	if canonical, err = json.Marshal(lists); err != nil {
		return nil, fmt.Errorf("writing grants: %w", err)
	}
	g.text = string(canonical)
	return g, nil
}

// Lists are grants as JSON has them.
type Lists struct {
	Subscribe []string `json:"subscribe,omitempty"`
	Publish   []string `json:"publish,omitempty"`
	Presence  []string `json:"presence,omitempty"`
	History   []string `json:"history,omitempty"`
	Auto      []string `json:"auto,omitempty"`
}

// ErrNotGrants means that grants are not a JSON object.
var ErrNotGrants = errors.New("grants must be an object with lists of channel patterns")

func grantLists(text []byte) (*Lists, error) {
	var read Lists
	seen := map[string]bool{}
	members := jsonscan.NewObject(text)
	var m jsonscan.Member
	for members.Next(&m) {
		name, bound := string(m.Key), MaxPatterns
		var to *[]string
		switch name {
		case "subscribe":
			to = &read.Subscribe
		case "publish":
			to = &read.Publish
		case "presence":
			to = &read.Presence
		case "history":
			to = &read.History
		case "auto":
			to, bound = &read.Auto, MaxAuto
		default:
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		seen[name] = true
		var err error
		if *to, err = texts(m.Value, bound); err != nil {
			return nil, fmt.Errorf("%q %w", name, err)
		}
	}
	if members.Err() != nil {
		return nil, ErrNotGrants
	}
	return &read, nil
}

// texts reads a JSON array of at most bound strings, or null.
func texts(raw []byte, bound int) (all []string, err error) {
	if string(raw) == "null" {
		return nil, nil
	}
	elements := jsonscan.NewArray(raw)
	var element []byte
	for elements.Next(&element) {
		text, err := jsonscan.Unquote(element)
		if err != nil {
			return nil, errors.New("must be a list of texts")
		}
		if len(all) == bound {
			return nil, fmt.Errorf("has more than %d entries", bound)
		}
		all = append(all, string(text))
	}
	if elements.Err() != nil {
		return nil, errors.New("must be a list of texts")
	}
	return all, nil
}

// Text is the grants as JSON in one form: members in a fixed order, none that is empty.
// ParseGrants reads it.
func (g *Grants) Text() string {
	if g.text == "" {
		return "{}"
	}
	return g.text
}

// Equal tells whether two grants are the same, text for text.
func (g *Grants) Equal(other *Grants) bool { return g == other || g.Text() == other.Text() }

// AutoChannels yields the channels to which the client is subscribed by itself: those of
// [Grants.Auto], with the user's name for {user}. For nobody in particular there are none with
// {user}. A name of a user that may not be part of a channel's name makes one that is not
// allowed: who subscribes to it must check that.
func (i *Identity) AutoChannels() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range i.Grants.Auto {
			if strings.Contains(name, rules.UserMark) {
				if i.User == "" {
					continue
				}
				name = strings.ReplaceAll(name, rules.UserMark, i.User)
			}
			if !yield(name) {
				return
			}
		}
	}
}

// subscribesItself tells whether a channel is one of AutoChannels. It allocates nothing.
func (i *Identity) subscribesItself(channel []byte) bool {
	for _, name := range i.Grants.Auto {
		if isAuto(name, i.User, channel) {
			return true
		}
	}
	return false
}

// isAuto tells whether a name is a channel's, with the user's name for {user}.
func isAuto(name, user string, channel []byte) bool {
	before, after, personal := strings.Cut(name, rules.UserMark)
	for personal {
		if user == "" || len(channel) < len(before)+len(user) || string(channel[:len(before)]) != before ||
			string(channel[len(before):len(before)+len(user)]) != user {
			return false
		}
		channel = channel[len(before)+len(user):]
		before, after, personal = strings.Cut(after, rules.UserMark)
	}
	return string(channel) == before
}
