//go:build invariants

package ingest

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// portScene is an ingest loop with two publishers, of which one has published.
type portScene struct {
	*Loop
	publisher *publisher
}

func newPortScene(t *testing.T) *portScene {
	sc := &portScene{Loop: newTestPublishLoop(t)}
	sc.publisher = sc.connect(t, "10.0.0.1")
	sc.places.published(sc.publisher, 0)
	sc.connect(t, "10.0.0.2")
	return sc
}

// connect makes a publisher on one end of a socket pair.
func (sc *portScene) connect(t *testing.T, address string) *publisher {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[1]) })
	p := newPublisher(sc.Loop)
	if err := sc.Loop.Loop.Register(&p.conn, pair[0], p); err != nil {
		t.Fatal(err)
	}
	sc.places.enter(p, netip.MustParseAddr(address))
	sc.counters.Publishers++
	sc.port.connections.Add(1)
	return p
}

// mend lets all end when the loop closes.
func (sc *portScene) mend() {
	sc.Loop.Loop.EachConn(func(h poller.Handler) { h.(*publisher).place = nil })
}

// giveTwice gives credits back that nobody has taken.
func (sc *portScene) giveTwice() { sc.publisher.account.Give(1 << 20) }

// TestPublishPortInvariantsHold has what the checks below take for sound.
func TestPublishPortInvariantsHold(t *testing.T) {
	if err := newPortScene(t).violation(); err != nil {
		t.Error(err)
	}
}

// TestInvariantsOfThePublishPort breaks each of them.
func TestInvariantsOfThePublishPort(t *testing.T) {
	for finds, breaks := range map[string]func(*portScene){
		"the connections are -1":          func(sc *portScene) { sc.port.connections.Store(-1) },
		"the bytes of input are -1":       func(sc *portScene) { sc.port.Input.Held.Store(-1) },
		"the bytes of transactions are -": func(sc *portScene) { sc.port.queued.Store(-1) },
		"credits are free of 67108864":    func(sc *portScene) { sc.giveTwice() },
		"given back 5 more": func(sc *portScene) {
			sc.publisher.account.InUse.Store(-5)
		},
		"is not in the place":             func(sc *portScene) { sc.publisher.place = nil },
		"not in the place that":           func(sc *portScene) { delete(sc.places.from, sc.publisher.origin.address) },
		"has 1 connections, 2":            func(sc *portScene) { sc.publisher.origin.count++ },
		"of 1 publishers with events 0":   func(sc *portScene) { sc.publisher.origin.used.Init() },
		"1 addresses are listed, 2 known": func(sc *portScene) { sc.places.counts[1].Remove(sc.publisher.origin.counted) },
		"counted are 3 and":               func(sc *portScene) { sc.counters.Publishers++ },
		"and 1":                           func(sc *portScene) { sc.heldBytes++ },
	} {
		t.Run(finds, func(t *testing.T) {
			sc := newPortScene(t)
			breaks(sc)
			defer sc.mend()
			if err := sc.violation(); err == nil || !strings.Contains(err.Error(), finds) {
				t.Errorf("the violation is %v", err)
			}
		})
	}
}
