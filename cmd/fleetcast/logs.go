package main

import (
	"io"
	"log/slog"

	"fleetcast/cmd/internal/options"
)

// newLogger writes to w. level can change later. Both formats write the same
// text for a value.
func newLogger(w io.Writer, format options.LogFormat, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: textDurations}
	if format.JSON {
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
func newLog(stderr io.Writer, format options.LogFormat, level slog.Leveler) (*slog.Logger, *logWriter) {
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
