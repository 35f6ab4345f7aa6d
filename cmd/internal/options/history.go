package options

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"fleetcast/gateway"
)

const (
	historyOption       = "history"
	historyMemoryOption = "history-memory"
)

// historyRule is what is kept of the events of some channels. Without a pattern it is for
// all that no other rule is for.
type historyRule gateway.HistoryRule

// UnmarshalText reads bounds, or a pattern and bounds with = between them. The pattern may
// have one too.
func (r *historyRule) UnmarshalText(text []byte) error {
	rule, bounds := historyRule{}, text
	if at := strings.LastIndexByte(string(text), '='); at >= 0 {
		if _, err := gateway.ParsePatterns([]string{string(text[:at])}); err != nil {
			return err
		}
		rule.Pattern, bounds = string(text[:at]), text[at+1:]
	}
	if err := rule.History.UnmarshalText(bounds); err != nil {
		if rule.Pattern == "" && strings.Trim(string(text[:min(len(text), 1)]), "0123456789-") != "" {
			err = fmt.Errorf("%w; write a pattern with its bounds, for example chat.**=100,10m", err)
		}
		return err
	}
	*r = rule
	return nil
}

func (r historyRule) String() string {
	if r.Pattern == "" {
		return r.History.String()
	}
	return r.Pattern + "=" + r.History.String()
}

// histories are what is kept where no rule for channels says it: by default, and by pattern.
func (o *Options) histories() (otherwise gateway.History, byPattern []gateway.HistoryRule) {
	otherwise = gateway.DefaultHistory()
	for _, r := range o.History {
		if r.Pattern == "" {
			otherwise = r.History
		} else {
			byPattern = append(byPattern, gateway.HistoryRule(r))
		}
	}
	return otherwise, byPattern
}

// historyMemory is what all histories together may hold, in bytes.
func (o *Options) historyMemory() int64 {
	return int64(cmp.Or(uint64(o.HistoryMemory), uint64(backlogMemory()*backlogShare/historyShare), gateway.DefaultHistoryMemory))
}

// checkHistory refuses a second history for all channels, of which nobody could tell which
// one counts.
func (o *Options) checkHistory() (errs []error) {
	first := ""
	for i, r := range o.History {
		switch {
		case r.Pattern != "":
		case first == "":
			first = r.String()
		default:
			errs = append(errs, fmt.Errorf("%s is %s for all channels, and %s already; write a pattern before one of them, such as chat.**=%s",
				o.find(historyOption).nameOf(i), r, first, r))
		}
	}
	return errs
}

// historyBounds is a history that the file has as a mapping.
type historyBounds struct {
	history gateway.History
	set     bool
}

// The members of such a mapping.
const (
	memberEvents = "events"
	memberAge    = "age"
	memberBytes  = "bytes"
)

var historyMembers = []string{memberEvents, memberAge, memberBytes}

// nested is a value for the mapping that a key of a rule may have.
func (r *channelRule) nested(key string) mappingValue {
	if key != historyOption {
		return nil
	}
	return &historyBounds{history: gateway.DefaultHistory()}
}

// setMember sets a bound.
func (b *historyBounds) setMember(key, value string) (err error) {
	alone := gateway.DefaultHistory() // so that an error is about this bound
	switch key {
	case memberEvents:
		if alone.Events, err = strconv.Atoi(value); err != nil {
			err = fmt.Errorf("%s is not a whole number", Shown([]byte(value)))
		}
		b.history.Events = alone.Events
	case memberAge:
		var age Period
		err = age.UnmarshalText([]byte(value))
		alone.Age = time.Duration(age)
		b.history.Age = alone.Age
	case memberBytes:
		var size Size
		if err = size.UnmarshalText([]byte(value)); err == nil && size == 0 {
			err = errors.New("0 keeps nothing; write history: off for that")
		}
		alone.Bytes = int(size)
		b.history.Bytes = alone.Bytes
	default:
		return noMember(key, "a history", historyMembers)
	}
	b.set = true
	if err = cmp.Or(err, alone.Check()); err != nil {
		return fmt.Errorf("history: %s: %w", key, err)
	}
	return nil
}

// checkMembers tells whether the mapping that has been set says something.
func (b *historyBounds) checkMembers() error {
	if !b.set {
		return errors.New("history: is empty; write bounds, such as events: 100 or age: 10m, or on or off")
	}
	return nil
}

func (b *historyBounds) String() string { return b.history.String() }

// eventRoom is about how many bytes of memory a kept event with 100 bytes of data takes.
const eventRoom = 115

// roomFor is how many bytes the history of one channel may take: its own bound, or else what
// its events take if their data are 100 bytes each.
func roomFor(h gateway.History) int64 { return int64(cmp.Or(h.Bytes, h.Events*eventRoom)) }

// warnOfHistories says which channels may need more than all histories together may have, and
// which option has no effect because nothing is kept.
func (o *Options) warnOfHistories(logger *slog.Logger) {
	memory, keeps := o.historyMemory(), false
	look := func(h gateway.History, rule, from string) {
		keeps = keeps || h.Events > 0
		if room := roomFor(h); room > memory {
			logger.Warn("the history of one channel may need more than history-memory, and is then given up before its own bounds are reached; raise history-memory or lower the bounds",
				"rule", rule, "from", from, "needs", humanize.IBytes(uint64(room)), "history_memory", humanize.IBytes(uint64(memory)))
		}
	}
	for i, r := range o.History {
		look(r.History, r.String(), o.find(historyOption).placeOf(i))
	}
	for i, r := range o.Channels {
		if r.History != nil {
			look(*r.History, r.String(), o.find(channelsOption).placeOf(i))
		}
	}
	if otherwise, _ := o.histories(); otherwise.Events == 0 && !keeps && o.isSet(historyMemoryOption) {
		logger.Warn("an option has no effect, because the history of every channel is off", "option", o.named(historyMemoryOption))
	}
}
