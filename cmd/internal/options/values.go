package options

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"fleetcast/gateway"
)

// shownValue is how many characters of a bad value are shown.
const shownValue = 80

// Shown quotes a value that was given, and cuts it if it is very long.
func Shown(text []byte) string { return fmt.Sprintf("%.*q", shownValue, text) }

// count is a number of things, 0 to maxCount.
type count int

const maxCount = 1_000_000_000

// UnmarshalText reads a whole number in decimal.
func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || n > maxCount {
		return fmt.Errorf("%s is not a whole number from 0 to %d", Shown(text), maxCount)
	}
	*c = count(n)
	return nil
}

func (c count) String() string { return strconv.Itoa(int(c)) }

// Size is a number of bytes in human units: 512, 64KiB, 1 MB.
type Size uint64

const maxSize = 1 << 40

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > maxSize {
		return fmt.Errorf("%s is not a size; write for example 65536, 64KiB or 1MiB", Shown(text))
	}
	*s = Size(n)
	return nil
}

// String is exact: the largest binary unit of which s is a multiple.
func (s Size) String() string {
	n, unit := uint64(s), ""
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, larger
	}
	return strconv.FormatUint(n, 10) + unit
}

// Period is a time that is not negative.
type Period time.Duration

// UnmarshalText reads a number with its unit.
func (p *Period) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseFloat(string(text), 64); err == nil && n != 0 && !math.IsInf(n, 0) && !math.IsNaN(n) {
		return fmt.Errorf("%s has no unit; write %ss for seconds, or for example 500ms or 5m", Shown(text), text)
	}
	d, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a time; write for example 500ms, 25s or 5m", Shown(text))
	case d < 0:
		return fmt.Errorf("%s is negative; a time must not be", Shown(text))
	}
	*p = Period(d)
	return nil
}

// String leaves out the units that are zero.
func (p Period) String() string {
	text := time.Duration(p).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// rate is how often something may happen: 100/s, 6/m, 100/s burst 500; off is as
// often as it likes. Without a burst, what the rate allows in a second is one.
type rate gateway.Rate

// rateUnits are the times that a rate may count for.
var rateUnits = map[string]float64{"s": 1, "m": 60, "h": 3600}

// UnmarshalText reads what String writes.
func (r *rate) UnmarshalText(text []byte) error {
	if off := string(text); off == "off" || off == "0" {
		*r = rate{}
		return nil
	}
	number, rest, _ := strings.Cut(string(text), "/")
	unit, tail, bursts := strings.Cut(rest, " burst ")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	seconds, known := rateUnits[strings.TrimSpace(unit)]
	if err != nil || n == 0 || n > maxCount || !known {
		return fmt.Errorf("%s is not a rate; write for example 100/s, 30/m, \"100/s burst 500\", or off", Shown(text))
	}
	perSecond := float64(n) / seconds
	burst := uint64(max(perSecond, 1))
	if bursts {
		if burst, err = strconv.ParseUint(strings.TrimSpace(tail), 10, 64); err != nil || burst == 0 || burst > maxCount {
			return fmt.Errorf("%s has a burst that is not a whole number from 1 to %d", Shown(text), maxCount)
		}
	}
	*r = rate{PerSecond: perSecond, Burst: int(burst)}
	return nil
}

func (r rate) String() string {
	if r.PerSecond == 0 {
		return "off"
	}
	n, unit := r.PerSecond, "s"
	for _, longer := range []string{"m", "h"} {
		if n == math.Trunc(n) {
			break
		}
		n, unit = math.Round(r.PerSecond*rateUnits[longer]*1e6)/1e6, longer
	}
	text := strconv.FormatFloat(n, 'f', -1, 64) + "/" + unit
	if r.Burst != int(max(r.PerSecond, 1)) {
		text += " burst " + strconv.Itoa(r.Burst)
	}
	return text
}

// Toggle is on or off. It is no bool, which would be a flag without a value.
type Toggle struct{ On bool }

// UnmarshalText reads what YAML has for true and false, old and new.
func (t *Toggle) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "on", "true", "yes":
		t.On = true
	case "off", "false", "no":
		t.On = false
	default:
		return fmt.Errorf("%s is neither on nor off", Shown(text))
	}
	return nil
}

func (t Toggle) String() string {
	if t.On {
		return "on"
	}
	return "off"
}

// pattern selects channels by name.
type pattern string

// UnmarshalText checks that the pattern can match a channel.
func (p *pattern) UnmarshalText(text []byte) error {
	if _, err := gateway.ParsePatterns([]string{string(text)}); err != nil {
		return err
	}
	*p = pattern(text)
	return nil
}

func (p pattern) String() string { return string(p) }

// slowRule is a policy for some channels.
type slowRule gateway.SlowRule

// UnmarshalText reads a pattern and a policy, with = between them. The pattern may
// have one too.
func (r *slowRule) UnmarshalText(text []byte) error {
	at := strings.LastIndexByte(string(text), '=')
	if at < 0 {
		return fmt.Errorf("%s names no policy; write for example prices.**=conflate", Shown(text))
	}
	if _, err := gateway.ParsePatterns([]string{string(text[:at])}); err != nil {
		return err
	}
	r.Pattern = string(text[:at])
	return r.Policy.UnmarshalText(text[at+1:])
}

func (r slowRule) String() string { return r.Pattern + "=" + r.Policy.String() }

// logLevel is one of the four named levels.
type logLevel slog.Level

var logLevels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// UnmarshalText reads the level's name.
func (l *logLevel) UnmarshalText(text []byte) error {
	i := slices.IndexFunc(logLevels, func(level slog.Level) bool { return strings.EqualFold(level.String(), string(text)) })
	if i < 0 {
		return fmt.Errorf("%s is not a level; choose debug, info, warn or error", Shown(text))
	}
	*l = logLevel(logLevels[i])
	return nil
}

func (l logLevel) String() string { return strings.ToLower(slog.Level(l).String()) }

// LogFormat is text or json.
type LogFormat struct{ JSON bool }

// UnmarshalText reads the format's name.
func (f *LogFormat) UnmarshalText(text []byte) error {
	switch string(text) {
	case "text":
		f.JSON = false
	case "json":
		f.JSON = true
	default:
		return fmt.Errorf("%s is not a log format; choose text or json", Shown(text))
	}
	return nil
}

func (f LogFormat) String() string {
	if f.JSON {
		return "json"
	}
	return "text"
}
