package shard

import (
	"math/rand/v2"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
)

const crowd = 100_000

// BenchmarkRoster adds an entry to 100,000 and removes one of them.
func BenchmarkRoster(b *testing.B) {
	ch := &channel{}
	sessions := make([]*session, 0, crowd)
	add := func() {
		c := &session{}
		c.subscriptions = []subscription{{channel: ch, place: ch.roster.add(c, 0)}}
		sessions = append(sessions, c)
	}
	for range crowd {
		add()
	}
	random := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		c := sessions[random.IntN(crowd)]
		ch.roster.remove(c.subscriptions[0].place)
		c.subscriptions[0].place = ch.roster.add(c, 0)
	}
}

// BenchmarkSubscribeLeave is the same as clients do it: both commands, with
// their replies.
func BenchmarkSubscribeLeave(b *testing.B) { benchmarkSubscribeLeave(b) }

// BenchmarkSubscribeLeaveRuled is BenchmarkSubscribeLeave where the rules let clients
// subscribe to some channels only.
func BenchmarkSubscribeLeaveRuled(b *testing.B) {
	anybody, nobody := rules.Anyone, rules.Nobody
	benchmarkSubscribeLeave(b, rules.Entry{Match: "news", Subscribe: &anybody}, rules.Entry{Match: "**", Subscribe: &nobody})
}

func benchmarkSubscribeLeave(b *testing.B, entries ...rules.Entry) {
	s := newTestShard(b, func(c *settings.Config) { c.ClientCommands, c.Channels = limits.Rate{}, entries })
	sessions := make([]*session, crowd)
	name := []byte("news")
	for i := range sessions {
		sessions[i] = &session{shard: s, state: sessionOpen}
		subscribeSilently(sessions[i], name)
	}
	random := rand.New(rand.NewPCG(1, 2))
	leave := []byte(`{"type":"unsubscribe","id":1,"channel":"news"}`)
	join := command.AppendSubscribe(nil, command.NewID(2), name)
	b.ReportAllocs()
	for b.Loop() {
		c := sessions[random.IntN(crowd)]
		c.command(leave, false)
		c.command(join, false)
		s.replies = s.replies[:0]
	}
	if n := len(s.channels["news"].roster.entries); n != crowd {
		b.Fatalf("%d subscribers are left", n)
	}
}
