package loadtest_test

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"fleetcast/codec/command"
	"fleetcast/loadtest"
)

// keptEvent is an event that a server keeps for those who come back.
type keptEvent struct {
	offset  uint64
	payload []byte
}

// comeback is what a server says to a client that has named its position.
type comeback struct {
	channel  string
	epoch    string
	offset   uint64
	recovery command.Recovery
	then     [][]byte // gap and events that follow the answer
	later    [][]byte // events that follow the first live one
}

// testEpoch is the epoch of all channels.
const testEpoch = "epoch"

// comesBack is what a faithful server says; it runs under the server's lock.
func (s *faultyServer) comesBack(channel string, since *command.Since) *comeback {
	latest := s.offsets[channel]
	b := &comeback{channel: channel, epoch: testEpoch, offset: latest, recovery: command.Recovery{Resumes: true, Latest: latest}}
	if string(since.Epoch) != testEpoch || since.Offset > latest {
		return b
	}
	b.offset, b.recovery.Recovered = since.Offset, true
	next := since.Offset + 1
	for _, e := range s.log[channel] {
		if e.offset < next {
			continue
		}
		if e.offset > next {
			b.recovery.Recovered, b.recovery.LostFrom, b.recovery.LostTo = false, next, e.offset-1
			b.then = append(b.then, command.AppendGap(nil, channel, next, e.offset-1))
		}
		b.then = append(b.then, e.payload)
		next = e.offset + 1
	}
	return b
}

// keep notes an event for those who come back.
func (s *faultyServer) keep(channel string, offset uint64, payload []byte) {
	log := append(s.log[channel], keptEvent{offset, payload})
	s.log[channel] = log[max(len(log)-s.kept, 0):]
}

// resume answers a subscription that names a position.
func (s *faultyServer) resume(conn net.Conn, deflate *deflating, id command.ID, channel string, since *command.Since) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open(channel)
	b := s.comesBack(channel, since)
	if s.misleads != nil {
		s.misleads(b)
	}
	out := text(command.AppendSubscribed(nil, id, channel, b.epoch, b.offset, &b.recovery, nil))
	for _, payload := range b.then {
		out = append(out, deflate.frames(payload)...)
	}
	conn.Write(out)
	sub := &subscriber{conn: conn, number: s.subscribed, channel: channel, deflate: deflate}
	for _, payload := range b.later {
		sub.late = append(sub.late, deflate.frames(payload)...)
	}
	s.subscribers = append(s.subscribers, sub)
	s.subscribed++
}

// recovered is what verification of recoveries is about.
type recovered struct{ whole, events, lost, resets, resetEvents, wrong, lostWrong int64 }

func recoveredOf(t *testing.T, r *loadtest.Result) recovered {
	t.Helper()
	d := r.Detail.Recovery
	if d == nil {
		t.Fatal("the result says nothing of recoveries")
	}
	return recovered{d.Whole, d.Events, d.Lost, d.Resets, d.ResetEvents, d.Wrong, d.LostWrong}
}

// A recovery is what the server says: every missed event comes once, in order, before live ones,
// or is told as lost in the answer and in a gap.
func TestStormRecovers(t *testing.T) {
	t.Parallel()
	const fleet, missed = 4, 20
	all := recovered{whole: fleet, events: fleet * missed}
	lastOf := func(b *comeback) uint64 { return b.recovery.Latest }
	cases := map[string]struct {
		kept     int // 100 by default
		misleads func(*comeback)
		want     counts
		recovers recovered
		note     string
	}{
		"all":  {want: counts{}, recovers: all},
		"some": {kept: 5, want: counts{gaps: fleet * 15}, recovers: recovered{whole: fleet, events: fleet * 5, lost: fleet * 15}},
		"resets": {
			misleads: func(b *comeback) {
				b.offset, b.then, b.recovery.Recovered = lastOf(b), nil, false
			},
			recovers: recovered{resets: fleet, resetEvents: fleet * missed},
		},
		"trimmed before it began": { // more is lost than when the answer was written
			kept: 5,
			misleads: func(b *comeback) {
				b.then[1] = command.AppendGap(nil, b.channel, b.recovery.LostTo+1, b.recovery.LostTo+2)
				b.then = slices.Delete(b.then, 2, 3)
			},
			want:     counts{gaps: fleet * 17},
			recovers: recovered{whole: fleet, events: fleet * 3, lost: fleet * 17},
		},
		"trimmed beneath": {
			misleads: func(b *comeback) { b.then[5] = command.AppendGap(nil, b.channel, b.offset+6, b.offset+6) },
			want:     counts{gaps: fleet},
			recovers: recovered{whole: fleet, events: fleet * (missed - 1), lost: fleet},
		},
		"another epoch": {
			misleads: func(b *comeback) {
				b.epoch, b.offset, b.then, b.recovery.Recovered = "other", lastOf(b), nil, false
			},
			recovers: recovered{resets: fleet},
		},

		"loses an event": {
			misleads: func(b *comeback) { b.then = slices.Delete(b.then, 5, 6) },
			want:     counts{lost: fleet},
			recovers: recovered{events: fleet * (missed - 1), wrong: fleet},
			note:     "because the answer said that it is recovered; got all but 1 of them, of which",
		},
		"loses the last": {
			misleads: func(b *comeback) { b.then = b.then[:missed-1] },
			want:     counts{lost: fleet},
			recovers: recovered{events: fleet * (missed - 1), wrong: fleet},
			note:     "because the answer said that it is recovered; got all but 1 of them",
		},
		"doubles one at the seam": {
			misleads: func(b *comeback) { b.then = append(b.then, b.then[missed-1]) },
			want:     counts{duplicated: fleet},
			recovers: all,
			note:     "got it when it had come",
		},
		"sends what the client has": {
			misleads: func(b *comeback) { b.then = slices.Insert(b.then, 1, b.then[0]) },
			want:     counts{duplicated: fleet},
			recovers: all,
			note:     "back with offset",
		},
		"out of order": {
			misleads: func(b *comeback) { b.then[3], b.then[4] = b.then[4], b.then[3] },
			want:     counts{reordered: fleet},
			recovers: all,
			note:     "reordered: fleet client",
		},
		"behind a live one": {
			misleads: func(b *comeback) { b.later, b.then = b.then[missed-2:], b.then[:missed-2] },
			want:     counts{reordered: 2 * fleet},
			recovers: all,
			note:     "reordered: fleet client",
		},
		"says recovered and is not": {
			misleads: func(b *comeback) { b.then = nil },
			want:     counts{lost: fleet * missed},
			recovers: recovered{wrong: fleet},
			note:     "got all but 20 of them",
		},
		"says there is nothing": {
			misleads: func(b *comeback) { b.then, b.recovery.Latest = nil, b.offset },
			want:     counts{lost: fleet * missed},
			recovers: recovered{wrong: fleet},
			note:     "got all but 20 of them",
		},
		"begins later than asked": {
			misleads: func(b *comeback) { b.offset++; b.then = b.then[1:] },
			want:     counts{lost: fleet},
			recovers: recovered{events: fleet * (missed - 1), wrong: fleet},
			note:     "which it has named; got those behind",
		},
		"a latest that is not there": {
			misleads: func(b *comeback) { b.recovery.Latest += 5 },
			recovers: recovered{whole: fleet, events: fleet * missed, wrong: fleet},
			note:     "expected a latest offset from",
		},
		"recovers from another epoch": {
			misleads: func(b *comeback) { b.epoch = "other" },
			recovers: recovered{resets: fleet, wrong: fleet},
			note:     "which it has named; got one in epoch",
		},

		"loses what it sends": {
			misleads: func(b *comeback) {
				b.recovery.Recovered, b.recovery.LostFrom, b.recovery.LostTo = false, b.offset+1, b.offset+5
			},
			recovers: recovered{whole: fleet, events: fleet * missed, lostWrong: fleet},
			note:     "because the answer said that these are lost; got the event with offset",
		},
		"loses without a gap": {
			misleads: func(b *comeback) {
				b.recovery.Recovered, b.recovery.LostFrom, b.recovery.LostTo = false, b.offset+1, b.offset+5
				b.then = b.then[5:]
			},
			want:     counts{lost: 5 * fleet},
			recovers: recovered{events: fleet * (missed - 5), wrong: fleet, lostWrong: fleet},
			note:     "lost_wrong: fleet client",
		},
		"loses more than it says": {
			kept: 5,
			misleads: func(b *comeback) {
				b.recovery.LostTo -= 3
			},
			want:     counts{gaps: 15 * fleet},
			recovers: recovered{whole: fleet, events: fleet * 5, lost: fleet * 15, lostWrong: fleet},
			note:     "because the answer said that these are lost; got a gap from",
		},
		"loses what is not missing": {
			kept:     5,
			misleads: func(b *comeback) { b.recovery.LostFrom-- },
			want:     counts{gaps: 15 * fleet},
			recovers: recovered{whole: fleet, events: fleet * 5, lost: fleet * 15, lostWrong: fleet},
			note:     "expected a loss from",
		},
		"recovered and lost": {
			kept:     5,
			misleads: func(b *comeback) { b.recovery.Recovered = true },
			want:     counts{gaps: 15 * fleet},
			recovers: recovered{whole: fleet, events: fleet * 5, lost: fleet * 15, wrong: fleet},
			note:     "expected a recovery, or what is lost; got both",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.kept == 0 {
				c.kept = 100
			}
			s := startFaulty(t, &faultyServer{fault: faithful, kept: c.kept, misleads: c.misleads})
			config := loadtest.Storm{
				Common: common(s), Traffic: loadtest.Traffic{Rate: 100}, Clients: fleet, Witnesses: 1,
				Calm: 150 * time.Millisecond, Recover: true, Missed: missed,
			}
			if config.Stall = hung; c.note != "" {
				config.Stall = 2 * time.Second // somebody is waited for in vain
			}
			r := scenario(t, loadtest.RunStorm, config)
			c.want.clients, c.want.delivered = fleet+1, r.Delivered
			if got := countsOf(r); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if got := recoveredOf(t, r); got != c.recovers || r.Detail.Recovery.Recoveries != fleet {
				t.Errorf("got  %+v of %d recoveries\nwant %+v of %d", got, r.Detail.Recovery.Recoveries, c.recovers, fleet)
			}
			if (r.Fault() != nil) != (c.note != "") {
				t.Errorf("fault %v", r.Fault())
			}
			if c.note != "" {
				noted(t, r, c.note)
			}
			if t.Failed() {
				t.Logf("notes %q, warnings %q", r.Detail.Notes, r.Detail.Warnings)
			}
		})
	}
}

// A client that has recovered is owed what is published from then on.
func TestStormLosesBehindRecovery(t *testing.T) {
	t.Parallel()
	const fleet, missed = 4, 20
	s := startFaulty(t, &faultyServer{kept: 100, fault: func(s *subscriber, _ uint64, p []byte) [][]byte {
		if s.number > fleet { // it has come back
			return nil
		}
		return [][]byte{p}
	}})
	config := loadtest.Storm{
		Common: common(s), Traffic: loadtest.Traffic{Rate: 100}, Clients: fleet, Witnesses: 1,
		Calm: 150 * time.Millisecond, Recover: true, Missed: missed,
	}
	config.Stall = 2 * time.Second
	r := scenario(t, loadtest.RunStorm, config)
	if got, want := recoveredOf(t, r), (recovered{whole: fleet, events: fleet * missed}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if r.Lost == 0 || r.Lost%fleet != 0 || r.Fault() == nil {
		t.Errorf("lost %d, fault %v", r.Lost, r.Fault())
	}
}

// Without recovery the same events are missed, and nobody asks for them.
func TestStormMisses(t *testing.T) {
	t.Parallel()
	const fleet, missed = 4, 20
	s := startFaulty(t, &faultyServer{fault: faithful, kept: 100, misleads: func(*comeback) { panic("a client asks") }})
	r := scenario(t, loadtest.RunStorm, loadtest.Storm{
		Common: common(s), Traffic: loadtest.Traffic{Rate: 100}, Clients: fleet, Witnesses: 1,
		Calm: 150 * time.Millisecond, Missed: missed, FleetChannels: 2,
	})
	check(t, r, counts{clients: fleet + 1, delivered: r.Delivered})
	if r.Detail.Recovery != nil || figure(t, r, "back") != fleet {
		t.Errorf("recovery %+v, figures %+v", r.Detail.Recovery, r.Detail.Figures)
	}
	var ofFleet uint64
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, offset := range s.offsets {
		ofFleet += offset - offsetBefore
	}
	if ofFleet < 2*missed || r.Events < int64(2*missed) {
		t.Errorf("%d events in the server, %d published", ofFleet, r.Events)
	}
}

// Clients that are cut off during a fan-out, and one that has missed much, are whole again each
// time they come back.
func TestFanoutRecovers(t *testing.T) {
	t.Parallel()
	const missed = 1500
	for name, c := range map[string]struct {
		kept     int
		misleads func(*comeback)
		note     string
	}{
		"faithful": {kept: 2000},
		"loses one now and then": {kept: 2000, note: "because the answer said that it is recovered", misleads: func(b *comeback) {
			if len(b.then) > 1 {
				b.then = b.then[:len(b.then)-1]
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startFaulty(t, &faultyServer{fault: faithful, kept: c.kept, misleads: c.misleads})
			config := loadtest.Fanout{
				Common: common(s), Traffic: loadtest.Traffic{Rate: 200, Channels: 2}, Clients: 20, Duration: 1200 * time.Millisecond,
				Cuts: loadtest.Cuts{Recover: true, Share: 0.3, Rate: 20, Away: 50 * time.Millisecond, Missed: missed},
			}
			if config.Stall = hung; c.note != "" {
				config.Stall = time.Second
			}
			r := scenario(t, loadtest.RunFanout, config)
			d := r.Detail.Recovery
			if d == nil || d.Recoveries < 2 || d.Events <= missed-100 {
				t.Fatalf("recovery %+v, notes %q", d, r.Detail.Notes)
			}
			if c.note != "" {
				if r.Lost == 0 || d.Wrong == 0 || r.Duplicated+r.Reordered > 0 || r.Fault() == nil {
					t.Errorf("lost %d, recovery %+v", r.Lost, d)
				}
				noted(t, r, c.note)
				return
			}
			check(t, r, counts{clients: 21, delivered: r.Delivered})
			if d.Lost+d.Resets+d.Wrong+d.LostWrong > 0 || d.Whole == 0 || d.Whole > d.Recoveries {
				t.Errorf("recovery %+v", d)
			}
			if !ordered(d.Time) || figure(t, r, "catch_ups") < 1 || figure(t, r, "seconds_to_catch_up") <= 0 || figure(t, r, "p99_ratio") <= 0 {
				t.Errorf("times %v, figures %+v", d.Time, r.Detail.Figures)
			}
		})
	}
}

// What cannot be verified is refused before anything is measured.
func TestRecoveryRefused(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, &faultyServer{fault: faithful})
	refused := func(want string, change func(*loadtest.Fanout)) {
		f := loadtest.Fanout{Common: common(s), Clients: 4, Cuts: loadtest.Cuts{Recover: true}}
		change(&f)
		_, err := loadtest.RunFanout(t.Context(), f)
		expectError(t, want, err, want)
	}
	refused("the share that is cut off must be above 0 and below 1", func(f *loadtest.Fanout) { f.Cuts.Share = 1 })
	refused("missed events are for clients that recover", func(f *loadtest.Fanout) { f.Cuts = loadtest.Cuts{Missed: 1} })
	refused("clients is 1: want 2", func(f *loadtest.Fanout) { f.Clients = 1 })
	refused(fmt.Sprintf("missed is %d", loadtest.MaxEvents+1), func(f *loadtest.Fanout) { f.Cuts.Missed = loadtest.MaxEvents + 1 })
	refused("profile raw cannot recover", func(f *loadtest.Fanout) { f.Profile = "raw" })
}
