package shard

import (
	"context"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/codec/command"
	"fleetcast/codec/testrun"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

var noID command.ID

// newTestShard returns the only shard of its kind, which does not run, so that the
// test's goroutine may call what belongs to it.
func newTestShard(tb testing.TB, set ...func(*settings.Config)) *Shard {
	tb.Helper()
	config := settings.DefaultConfig(1_000)
	config.Shards = 1
	for _, f := range set {
		f(&config)
	}
	logger, work := testrun.Log(tb), new(stream.CompressionWork)
	all := &Shared{
		Settings: new(settings.Live), Logger: logger, Log: &limits.ConnectionLog{Logger: logger},
		Streams: stream.NewStreams(config.MaxChannels, stream.NewFormats(config.Dialects...)), Credits: limits.NewCredits(config.Credits, config.PublisherCredits, func() {}),
		Addresses: limits.NewQuotas[netip.Addr](), Ready: func() bool { return true }, Running: context.Background(),
	}
	all.Engine = all.Streams
	all.Settings.Store(settings.New(config, work))
	all.Backlogs.Compressed = &work.Alive
	all.Backlogs.Limit.Store(config.BacklogMemory)
	all.ClientInput.Limit.Store(config.InputMemory)
	s, err := New(all, 0)
	if err != nil {
		tb.Fatal(err)
	}
	all.Shards = []*Shard{s}
	tb.Cleanup(s.Loop.Close)
	return s
}

// newTestSession returns an open session of s on one end of a socket pair whose
// other end reads nothing.
func newTestSession(tb testing.TB, s *Shard) *session {
	tb.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(pair[1]) })
	c := &session{shard: s}
	if err := s.Loop.Register(&c.conn, pair[0], c); err != nil {
		tb.Fatal(err)
	}
	s.Counters.Connections++
	s.shared.connections.Add(1)
	c.moveTo(sessionOpen)
	return c
}
