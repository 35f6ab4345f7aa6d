package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

var noID command.ID

// newTestShard returns the only shard of its kind, which does not run, so that the
// test's goroutine may call what belongs to it.
func newTestShard(tb testing.TB, set ...func(*settings.Config)) *shard {
	tb.Helper()
	config := settings.DefaultConfig(1_000)
	config.Shards = 1
	for _, f := range set {
		f(&config)
	}
	logger, work := slog.New(slog.DiscardHandler), new(stream.CompressionWork)
	all := &shared{
		settings: new(settings.Live), logger: logger, log: &limits.ConnectionLog{Logger: logger},
		streams: stream.NewStreams(config.MaxChannels, stream.NewFormats(config.Dialects...)), credits: limits.NewCredits(config.Credits, config.PublisherCredits, func() {}),
		addresses: limits.NewQuotas[netip.Addr](), ready: func() bool { return true }, running: context.Background(),
	}
	all.engine = all.streams
	all.settings.Store(settings.New(config, work))
	all.backlogs.Compressed = &work.Alive
	all.backlogs.Limit.Store(config.BacklogMemory)
	all.clientInput.Limit.Store(config.InputMemory)
	s, err := newShard(all, 0)
	if err != nil {
		tb.Fatal(err)
	}
	all.shards = []*shard{s}
	tb.Cleanup(s.loop.Close)
	return s
}

// newTestSession returns an open session of s on one end of a socket pair whose
// other end reads nothing.
func newTestSession(tb testing.TB, s *shard) *session {
	tb.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(pair[1]) })
	c := &session{shard: s}
	if err := s.loop.Register(&c.conn, pair[0], c); err != nil {
		tb.Fatal(err)
	}
	s.counters.Connections++
	s.shared.connections.Add(1)
	c.moveTo(sessionOpen)
	return c
}
