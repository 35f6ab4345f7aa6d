package stats

import (
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// sampleText is how much of a text from outside a log line shows, in bytes.
	sampleText = 200
	// sampleNames is how many different names of one kind of incident are kept.
	sampleNames = 8
)

// IncidentKey is one kind of incident: a counter, by its metric's name without the
// prefix, and the value of its label, which is empty if it has none.
type IncidentKey struct{ Metric, Label string }

// Sample is one of the peers that an incident concerns.
type Sample struct {
	Attrs []slog.Attr
	// Names are different values of the most important attribute of the incident, such
	// as the origins that were refused.
	Names []string
}

// Samples keeps one sample for each kind of incident until the watch takes them,
// so that a log line can name somebody without a cost for each of them. It
// belongs to one goroutine. The zero value is ready.
type Samples map[IncidentKey]*Sample

// Wants tells whether there is no sample of this kind yet.
func (s Samples) Wants(key IncidentKey) bool { return s[key] == nil }

// Keep keeps a sample, for which the caller has asked wants.
func (s *Samples) Keep(key IncidentKey, attrs ...slog.Attr) {
	if *s == nil {
		*s = make(Samples)
	}
	(*s)[key] = &Sample{Attrs: attrs}
}

// Name adds a name to the sample of this kind.
func (s Samples) Name(key IncidentKey, name string) {
	if kept := s[key]; kept != nil {
		kept.AddName(name)
	}
}

// AddName adds a name, unless it is there or there are enough.
func (s *Sample) AddName(name string) {
	if name != "" && len(s.Names) < sampleNames && !slices.Contains(s.Names, name) {
		s.Names = append(s.Names, name)
	}
}

// Shown are the attributes of a log line. names is the attribute for the names.
func (s *Sample) Shown(names string) (attrs []slog.Attr) {
	if names != "" && len(s.Names) > 0 {
		attrs = append(attrs, slog.String(names, strings.Join(s.Names, ", ")))
	}
	if len(s.Attrs) > 0 {
		attrs = append(attrs, slog.Attr{Key: "example", Value: slog.GroupValue(s.Attrs...)})
	}
	return attrs
}

// Take returns the samples and starts again.
func (s *Samples) Take() Samples {
	taken := *s
	*s = nil
	return taken
}

// Clip is a text from outside as a log line shows it: valid, not too long, and without
// secrets.
func Clip(text string) string {
	if len(text) > sampleText {
		end := sampleText
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return Redact(strings.ToValidUTF8(text, "\ufffd"))
}

// CreditWaits is the metric of how long publishers have waited for credit.
const CreditWaits = "credit_wait_seconds_total"
