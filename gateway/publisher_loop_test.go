package gateway

import (
	"log/slog"
	"testing"

	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// newTestPublishLoop returns the only loop of a publish port, which does not run.
func newTestPublishLoop(tb testing.TB) *ingest {
	tb.Helper()
	config := settings.DefaultConfig(1_000)
	logger := slog.New(slog.DiscardHandler)
	port := &publishPort{
		settings: new(settings.Live), logger: logger, log: &limits.ConnectionLog{Logger: logger},
		streams: stream.NewStreams(config.MaxChannels, stream.NewFormats(config.Dialects...)),
	}
	port.credits = limits.NewCredits(config.Credits, config.PublisherCredits, func() { port.loops[0].starved.Feed() })
	port.engine = port.streams
	port.settings.Store(settings.New(config, new(stream.CompressionWork)))
	port.input.Limit.Store(config.InputMemory)
	in, err := newIngest(port)
	if err != nil {
		tb.Fatal(err)
	}
	port.loops = []*ingest{in}
	tb.Cleanup(in.loop.Close)
	return in
}
