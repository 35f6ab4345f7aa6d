package ingest

import (
	"testing"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// newTestPublishLoop returns the only loop of a publish port, which does not run.
func newTestPublishLoop(tb testing.TB) *Loop {
	tb.Helper()
	config := settings.DefaultConfig(1_000)
	logger := testrun.Log(tb)
	port := &Port{
		Settings: new(settings.Live), Logger: logger, Log: &limits.ConnectionLog{Logger: logger},
		Streams: stream.NewStreams(config.MaxChannels, stream.NewFormats(config.Dialects...)),
	}
	port.Credits = limits.NewCredits(config.Credits, config.PublisherCredits, func() { port.Loops[0].Starved.Feed() })
	port.Engine = port.Streams
	port.Settings.Store(settings.New(config, new(stream.CompressionWork)))
	port.Input.Limit.Store(config.InputMemory)
	in, err := NewLoop(port)
	if err != nil {
		tb.Fatal(err)
	}
	port.Loops = []*Loop{in}
	tb.Cleanup(in.Loop.Close)
	return in
}
