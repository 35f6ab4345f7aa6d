package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// History is what is kept of a channel's events, the newest ones: as many as all three
// bounds allow. The zero value keeps none.
type History struct {
	Events int           // 1 to MaxHistoryEvents
	Age    time.Duration // MinHistoryAge to MaxHistoryAge
	Bytes  int           // of the events' data and what belongs to it; 0 is no bound of the channel's own
}

// Bounds of a channel's history.
const (
	MaxHistoryEvents = 1_000_000
	MinHistoryAge    = time.Second
	MaxHistoryAge    = 30 * 24 * time.Hour
	MinHistoryBytes  = 1 << 10
	MaxHistoryBytes  = 1 << 30
)

// DefaultHistory is what is kept where no entry says otherwise.
var DefaultHistory = History{Events: 100, Age: 5 * time.Minute}

// String is the history in a configuration: off, or its bounds with commas between them.
func (h History) String() string {
	if h == (History{}) {
		return "off"
	}
	text := strconv.Itoa(h.Events) + "," + shortDuration(h.Age)
	if h.Bytes > 0 {
		text += "," + sizeText(h.Bytes)
	}
	return text
}

// Check returns an error if there can be no such history.
func (h History) Check() error {
	switch {
	case h == (History{}):
	case h.Events < 1 || h.Events > MaxHistoryEvents:
		return fmt.Errorf("a history of %d events, must be 1 to %d, or off", h.Events, MaxHistoryEvents)
	case h.Age < MinHistoryAge || h.Age > MaxHistoryAge:
		return fmt.Errorf("a history of %s, must be %s to %s", shortDuration(h.Age), shortDuration(MinHistoryAge), shortDuration(MaxHistoryAge))
	case h.Bytes != 0 && (h.Bytes < MinHistoryBytes || h.Bytes > MaxHistoryBytes):
		return fmt.Errorf("a history of %s, must be %s to %s", sizeText(h.Bytes), sizeText(MinHistoryBytes), sizeText(MaxHistoryBytes))
	}
	return nil
}

// UnmarshalText reads what String writes, and on, which is [DefaultHistory]. The bounds may
// come in any order: a number of events, a time such as 10m, a size such as 256KiB. Those
// that are missing are the default ones.
func (h *History) UnmarshalText(text []byte) (err error) {
	*h, err = parseHistory(string(text))
	return err
}

func parseHistory(text string) (h History, err error) {
	if on, err := parseOnOff(text); err == nil {
		if on {
			h = DefaultHistory
		}
		return h, nil
	}
	var events, age, bytes int
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if n, err := strconv.Atoi(part); err == nil {
			h.Events = n
			events++
		} else if n, ok := parseSize(part); ok {
			h.Bytes = n
			bytes++
		} else if d, err := time.ParseDuration(part); err == nil {
			h.Age = d
			age++
		} else {
			return History{}, fmt.Errorf("%.80q is neither off nor bounds of a history, such as 100,10m or 100,10m,256KiB", text)
		}
	}
	if events > 1 || age > 1 || bytes > 1 {
		return History{}, fmt.Errorf("%.80q has two bounds of one kind; a history has one number of events, one age and one size at most", text)
	}
	if events == 0 {
		h.Events = DefaultHistory.Events
	}
	if age == 0 {
		h.Age = DefaultHistory.Age
	}
	if h.Events == 0 {
		return History{}, fmt.Errorf("%.80q keeps no events; write off for that", text)
	}
	if err := h.Check(); err != nil {
		return History{}, err
	}
	return h, nil
}

// shortDuration is a duration without the zeroes at its end.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var sizeUnits = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}}

// sizeText is a size in the largest binary unit of which it is a multiple.
func sizeText(n int) string {
	for _, u := range sizeUnits {
		if n%u.bytes == 0 && u.bytes&(u.bytes-1) == 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return strconv.Itoa(n)
}

// parseSize reads a whole number with a unit.
func parseSize(text string) (bytes int, ok bool) {
	for _, u := range sizeUnits {
		if at := len(text) - len(u.name); at > 0 && strings.EqualFold(text[at:], u.name) {
			n, err := strconv.Atoi(text[:at])
			return n * u.bytes, err == nil && n > 0 && n <= MaxHistoryBytes
		}
	}
	return 0, false
}
