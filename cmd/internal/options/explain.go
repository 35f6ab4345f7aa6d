package options

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"fleetcast/cmd/internal/stdio"
	"fleetcast/gateway"
)

// ExplainChannel prints what holds for a channel, and which rule says so, for a client of
// that user; "" is nobody in particular.
func (o *Options) ExplainChannel(to io.Writer, user, channel string) error {
	config := o.unshared(manyConnections)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVALUE\tRULE\tFROM")
	for _, d := range config.ExplainUser(user, channel) {
		rule, from := o.reason(d)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Key, d.Value, stdio.Printable(rule), stdio.Printable(from))
	}
	return w.Flush()
}

// shorthands are the options that stand for rules, by the source that the gateway
// gives these.
var shorthands = map[string]string{"SlowRules": "slow-channels", "HistoryRules": historyOption, "Compress": compressChannelsOption, "ClientPublish": "client-publish"}

const compressChannelsOption = "compress-channels"

// reason is the rule, or the option, that decides, and where it was set.
func (o *Options) reason(d gateway.RuleDecision) (rule, from string) {
	switch {
	case d.By == nil && d.Final != nil:
		rule, from = o.byDefault(d.Key)
		return rule + ", because " + d.Final.String() + " ends the search", strings.TrimSuffix(from+"; "+d.Final.Source, "; ")
	case d.By == nil:
		return o.byDefault(d.Key)
	case d.By.Source == compressionOption:
		return o.byOption(compressionOption)
	case shorthands[d.By.Source] != "":
		option := shorthands[d.By.Source]
		_, from = o.byOption(option)
		return option + ": " + shorthand(d.By), from
	}
	return d.By.String(), d.By.Source
}

// shorthand is a rule in the form of its option.
func shorthand(rule *gateway.ChannelRule) string {
	switch {
	case rule.Slow != nil:
		return rule.Match + "=" + rule.Slow.String()
	case rule.History != nil:
		return rule.Match + "=" + rule.History.String()
	}
	return rule.Match
}

// byDefault says what decides a key where no rule does.
func (o *Options) byDefault(key string) (rule, from string) {
	switch {
	case key == "slow":
		return o.byOption("slow-policy")
	case key == historyOption:
		return o.historyByDefault()
	case key == "compress" && o.isSet(compressChannelsOption) && len(o.CompressChannels) > 0:
		return o.byOption(compressChannelsOption)
	case key == "compress":
		return o.byOption(compressionOption)
	case key == "subscribe" && o.reachable() && !o.Identifies():
		return o.byOption(listenOption)
	}
	return "default", "default"
}

// historyByDefault says what decides how much is kept where no rule does.
func (o *Options) historyByDefault() (rule, from string) {
	for _, r := range o.History {
		if r.Pattern == "" {
			_, from = o.byOption(historyOption)
			return historyOption + ": " + r.String(), from
		}
	}
	return historyOption + ": " + gateway.DefaultHistory().String(), "default"
}

// byOption is an option with its value, and where that was set.
func (o *Options) byOption(option string) (rule, from string) {
	s := o.find(option)
	return option + ": " + s.short(), cmp.Or(s.source.at(option), "default")
}
