package gateway

import (
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"fleetcast/codec/websocket"
)

const (
	// sampleText is how much of a text from outside a log line shows, in bytes.
	sampleText = 200
	// sampleNames is how many different names of one kind of incident are kept.
	sampleNames = 8
)

// incidentKey is one kind of incident: a counter, by its metric's name without the
// prefix, and the value of its label, which is empty if it has none.
type incidentKey struct{ metric, label string }

// sample is one of those whom an incident concerns.
type sample struct {
	attrs []slog.Attr
	// names are different values of what matters most about the incident, such as
	// the origins that were refused.
	names []string
}

// samples keeps one sample for each kind of incident until the watch takes them,
// so that a log line can name somebody without a cost for each of them. It
// belongs to one goroutine. The zero value is ready.
type samples map[incidentKey]*sample

// wants tells whether there is no sample of this kind yet.
func (s samples) wants(key incidentKey) bool { return s[key] == nil }

// keep keeps a sample, for which the caller has asked wants.
func (s *samples) keep(key incidentKey, attrs ...slog.Attr) {
	if *s == nil {
		*s = make(samples)
	}
	(*s)[key] = &sample{attrs: attrs}
}

// name adds a name to the sample of this kind.
func (s samples) name(key incidentKey, name string) {
	if kept := s[key]; kept != nil {
		kept.addName(name)
	}
}

func (s *sample) addName(name string) {
	if name != "" && len(s.names) < sampleNames && !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
}

// shown are the attributes of a log line; names is that for the names.
func (s *sample) shown(names string) (attrs []slog.Attr) {
	if names != "" && len(s.names) > 0 {
		attrs = append(attrs, slog.String(names, strings.Join(s.names, ", ")))
	}
	if len(s.attrs) > 0 {
		attrs = append(attrs, slog.Attr{Key: "example", Value: slog.GroupValue(s.attrs...)})
	}
	return attrs
}

// take returns the samples and begins anew.
func (s *samples) take() samples {
	taken := *s
	*s = nil
	return taken
}

// clip is a text from outside as a log line shows it: valid, and not too long.
func clip(text string) string {
	if len(text) > sampleText {
		end := sampleText
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// identity is how log lines name a client. It implements starver.
func (c *session) identity() []slog.Attr {
	attrs := []slog.Attr{slog.String("client", c.clientID())}
	if address := c.address(); address != "" {
		attrs = append(attrs, slog.String("address", address))
	}
	return attrs
}

// sampleEnd keeps the session as a sample of those that end for this reason. It is
// called while the socket is open, which knows the address; only the kernel's own
// timeout is noticed too late for that.
func (c *session) sampleEnd(reason disconnect) {
	s := c.shard
	key := incidentKey{metricDisconnects, disconnectNames[reason]}
	if c.id == 0 || !s.samples.wants(key) {
		return
	}
	attrs := c.identity()
	if b := c.backlog; b != nil {
		if b.live > 0 {
			attrs = append(attrs, slog.String("channel", clip(b.events.at(0).event.stream.name))) // of the event that waits longest
		}
		attrs = append(attrs, slog.Int("backlog_bytes", b.bytes), slog.Duration("oldest", b.oldest(s.loop.Now()).Round(10*time.Millisecond)))
	}
	s.samples.keep(key, attrs...)
}

// sampleRefused keeps the session as a sample of those whose handshake is refused.
func (c *session) sampleRefused(refused *websocket.HandshakeError) {
	key := incidentKey{metricHandshakes, refused.Reason}
	if c.shard.samples.wants(key) {
		c.shard.samples.keep(key, slog.String("address", c.address()))
	}
}

// sampleHead is sampleRefused for a request whose head is known. Of a refused page
// the origin is what matters, and the host of a request to an unknown one.
func (c *session) sampleHead(refused *websocket.HandshakeError, head []byte) {
	var names [][]byte
	switch refused.Reason {
	case websocket.ReasonForbiddenOrigin:
		names = websocket.FieldValues(nil, head, "origin")
	case errForbiddenHost.Reason:
		names = [][]byte{websocket.RequestHost(head)}
	default:
		return
	}
	c.sampleRefused(refused)
	for _, value := range names {
		c.shard.samples.name(incidentKey{metricHandshakes, refused.Reason}, clip(string(value)))
	}
}
