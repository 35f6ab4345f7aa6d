package main

import (
	"io"
	"log/slog"
	"slices"

	"fleetcast/gateway"
)

// newLogger writes to w. level can change later. Both formats write the same
// text for a value.
func newLogger(w io.Writer, format logFormat, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: textDurations}
	if format.json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

const (
	standardError  = "the standard error"
	standardOutput = "the standard output"
)

// newLog is a log on the standard error that neither holds the process up nor
// ends it.
func newLog(stderr io.Writer, format logFormat, level slog.Leveler) (*slog.Logger, *logWriter) {
	w := newLogWriter(stderr, standardError, func(to io.Writer) *slog.Logger { return newLogger(to, format, level) })
	return newLogger(w, format, level), w
}

// textDurations writes a duration as 1.5s. The JSON format would write it as a
// number of nanoseconds.
func textDurations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// warnOfNoEffect says which options are set without any effect.
func warnOfNoEffect(logger *slog.Logger, o *options) {
	for i, r := range o.Channels {
		if r.idle() {
			logger.Warn("a rule for channels sets nothing and has no effect; with final: true it would end the search for its channels",
				"rule", r.String(), "from", o.find(channelsOption).placeOf(i))
		}
	}
	drops := func(r slowRule) bool { return r.Policy != gateway.SlowDisconnect }
	ruled := func(r channelRule) bool { return r.Slow != nil && *r.Slow != gateway.SlowDisconnect }
	if gateway.SlowPolicy(o.SlowPolicy) != gateway.SlowDisconnect || slices.ContainsFunc(o.SlowChannels, drops) || slices.ContainsFunc(o.Channels, ruled) {
		return
	}
	for _, option := range []string{"backlog", "backlog-messages"} {
		if o.isSet(option) {
			logger.Warn("an option has no effect, because no channel has the policy drop_oldest or conflate; clients are disconnected by time, see slow-after",
				"option", o.named(option))
		}
	}
}

// warnOfVariables says which environment variables have no effect.
func warnOfVariables(logger *slog.Logger, strange []variable) {
	for _, v := range strange {
		attributes := []any{"variable", v.name}
		if v.near != "" {
			attributes = append(attributes, "did_you_mean", v.near)
		}
		logger.Warn("an environment variable is no option and has no effect", attributes...)
	}
}
