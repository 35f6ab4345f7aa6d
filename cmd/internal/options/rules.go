package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleetcast/gateway"
)

// channelRule is what is set for the channels of a pattern: an entry of the table of
// rules. It is a mapping in the file.
type channelRule gateway.ChannelRule

// UnmarshalText reads what String writes: a pattern, and key=value for what it sets. An
// empty text is no rule: --channels= sets no rules, whatever the file has.
func (r *channelRule) UnmarshalText(text []byte) error {
	words := strings.FieldsFunc(string(text), func(c rune) bool { return c == ' ' || c == '\t' })
	if len(words) == 0 {
		*r = channelRule{}
		return nil
	}
	var rule gateway.ChannelRule
	if err := setInRule(&rule, gateway.RuleMatch, words[0]); err != nil {
		return err
	}
	seen := []string{gateway.RuleMatch}
	for _, word := range words[1:] {
		key, value, found := strings.Cut(word, "=")
		switch {
		case !found:
			return fmt.Errorf("%s in a rule has no =; write the pattern of channels first and then for example slow=conflate", Shown([]byte(word)))
		case slices.Contains(seen, key):
			return fmt.Errorf("%s is given twice in a rule", shownKey(key))
		}
		if err := setInRule(&rule, key, value); err != nil {
			return err
		}
		seen = append(seen, key)
	}
	*r = channelRule(rule)
	return rule.Check()
}

func (r channelRule) String() string { return (*gateway.ChannelRule)(&r).String() }

// members are the keys and values that the file has for the rule.
func (r channelRule) members() (pairs [][2]string) {
	for _, f := range (*gateway.ChannelRule)(&r).Fields() {
		pairs = append(pairs, [2]string{f.Key, f.Value})
	}
	return pairs
}

// setMember sets what a key of the rule's mapping in the file has.
func (r *channelRule) setMember(key, value string) error {
	return setInRule((*gateway.ChannelRule)(r), key, value)
}

// checkMembers tells whether the mapping that has been set is whole.
func (r *channelRule) checkMembers() error {
	if r.Match == "" {
		return errors.New(`a rule has no match; write for example match: prices.**, or match: "**" for all channels`)
	}
	return (*gateway.ChannelRule)(r).Check()
}

// setInRule sets a key of a rule. For a wrong key it says what was likely meant.
func setInRule(rule *gateway.ChannelRule, key, value string) error {
	keys := gateway.ChannelRuleKeys()
	if !slices.Contains(keys, key) {
		return fmt.Errorf("%s: no such key of a rule; %s", shownKey(key), suggestRuleKey(key, keys))
	}
	if err := rule.Set(key, value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// othersOfFinal are what other programs call the opposite of final.
var othersOfFinal = []string{"continue", "fallthrough"}

func suggestRuleKey(key string, keys []string) string {
	near := Nearest(strings.ToLower(strings.ReplaceAll(key, "_", "-")), append(slices.Clone(keys), othersOfFinal...))
	switch {
	case slices.Contains(othersOfFinal, near):
		return "later rules always count for what earlier ones do not set, unless one has final: true"
	case near != "":
		return "did you mean " + near + "?"
	}
	return "there are " + strings.Join(keys[:len(keys)-1], ", ") + " and " + keys[len(keys)-1]
}

// idle tells whether the rule changes nothing.
func (r channelRule) idle() bool { return len(r.members()) == 1 }

// channelRules are the gateway's rules: those of the option, each with its place, and
// before them that nothing is compressed, if compression is off.
func (o *Options) channelRules() (rules []gateway.ChannelRule) {
	if off := false; !o.Compression.On {
		rules = append(rules, gateway.ChannelRule{Match: "**", Compress: &off, Source: compressionOption})
	}
	for i, r := range o.Channels {
		rule := gateway.ChannelRule(r)
		rule.Source = o.find(channelsOption).placeOf(i)
		rules = append(rules, rule)
	}
	return rules
}

const (
	channelsOption    = "channels"
	compressionOption = "compression"
)

// placeOf says where an element of the option's list was configured.
func (s setting) placeOf(i int) string {
	if s.source.file == "" || i >= len(s.lines) {
		return s.source.at(s.name())
	}
	return fmt.Sprintf("%s[%d], line %d of %s", s.name(), i+1, s.lines[i], s.source.file)
}
