//go:build invariants

package ingest

import (
	"cmp"
	"container/list"
	"errors"
	"fmt"

	"fleetcast/gateway/limits"
	"fleetcast/poller"
)

// checkInvariants is called by the loop after each turn.
func (in *Loop) checkInvariants() {
	if err := in.violation(); err != nil {
		panic(fmt.Sprintf("gateway: an ingest loop breaks an invariant: %v", err))
	}
}

// violation says what does not agree, if anything.
func (in *Loop) violation() error {
	err := cmp.Or(in.port.Credits.Violation(), limits.Negative(limits.Sum{Of: "connections", N: in.port.connections.Load()},
		limits.Sum{Of: "bytes of input", N: in.port.Input.Held.Load()}, limits.Sum{Of: "bytes of transactions", N: in.port.queued.Load()}))
	if err != nil || !in.pace.Due() {
		return err
	}
	publishers, held, placed := 0, int64(0), make(map[*origin]int)
	in.Loop.EachConn(func(h poller.Handler) {
		p := h.(*publisher)
		publishers++
		held += int64(p.heldBytes)
		if n := p.account.InUse.Load(); n < 0 {
			err = cmp.Or(err, fmt.Errorf("the account of a publisher has given back %d more than it has taken", -n))
		}
	})
	in.pace.Owed = publishers
	places := &in.places
	for _, l := range []*list.List{&places.unused, &places.used} {
		for e := l.Front(); e != nil; e = e.Next() {
			p := e.Value.(*publisher)
			placed[p.origin]++
			if p.place != e || p.placed != l || places.from[p.origin.address] != p.origin {
				err = cmp.Or(err, errors.New("a publisher is not in the place that it has"))
			}
		}
	}
	used, listed := 0, 0
	for address, o := range places.from {
		used += o.used.Len()
		if o.count != placed[o] || o.count >= len(places.counts) || o.counted.Value != any(o) {
			err = cmp.Or(err, fmt.Errorf("%v has %d connections, %d are counted", address, placed[o], o.count))
		}
	}
	for _, l := range places.counts {
		listed += l.Len()
	}
	if used != places.used.Len() || listed != len(places.from) || len(placed) != len(places.from) {
		err = cmp.Or(err, fmt.Errorf("of %d publishers with events %d are with their addresses; %d addresses are listed, %d known, %d have places",
			places.used.Len(), used, listed, len(places.from), len(placed)))
	}
	if publishers == in.Loop.Conns() && (int64(publishers) != in.counters.Publishers || held != in.heldBytes) {
		err = cmp.Or(err, fmt.Errorf("%d publishers hold %d bytes, counted are %d and %d", publishers, held, in.counters.Publishers, in.heldBytes))
	}
	return err
}
