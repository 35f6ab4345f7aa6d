package main

import (
	"io"
	"log/slog"
)

// newLogger writes to w. level can change later.
func newLogger(w io.Writer, format logFormat, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format.json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
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
