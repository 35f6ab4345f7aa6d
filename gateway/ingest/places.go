package ingest

import (
	"container/list"
	"errors"
	"net/netip"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/limits"
	"fleetcast/poller"
)

// Why the publish port ends connections.
const (
	EndedSilent     = "silent"     // nothing came in time
	EndedUnfinished = "unfinished" // a request was not complete in time
	EndedReplaced   = "replaced"   // another one needed the place
	EndedInputFull  = "input_full" // all unfinished requests together held too much
	EndedNoKey      = "no_key"     // no key came in time, or the key was removed
)

const (
	// publisherIdle is for how long a publisher must not have published to give its
	// place to another. One that never has gives it at once.
	publisherIdle = time.Minute
	// publisherPause is the same for a publisher whose address has more connections
	// than the address of the new one will have with it.
	publisherPause = 5 * time.Second
)

// placesLooked is how many publishers that may give their place are looked at, to find
// one whose address has the most connections. It is also how many addresses are looked
// at.
const placesLooked = 32

var errEnded = errors.New("ended by the publish port")

// publisherPlaces are the connections of an ingest loop, in the order in which they give
// their places to new ones.
type publisherPlaces struct {
	unused list.List // *publisher that has not published; the first came first
	used   list.List // that has; the first has not published for the longest time
	from   map[netip.Addr]*origin
	counts []*list.List // of *origin, by how many connections it has; the last has some
}

// origin are the connections from one address.
type origin struct {
	address netip.Addr
	count   int
	used    list.List     // *publisher that has published; the first has not for the longest time
	counted *list.Element // in counts
}

// add counts connections more, or fewer.
func (s *publisherPlaces) add(o *origin, n int) {
	if o.counted != nil {
		s.counts[o.count].Remove(o.counted)
	}
	o.count += n
	for len(s.counts) <= o.count {
		s.counts = append(s.counts, list.New())
	}
	o.counted = s.counts[o.count].PushBack(o)
	for s.counts[len(s.counts)-1].Len() == 0 {
		s.counts = s.counts[:len(s.counts)-1]
	}
}

// enter gives a new connection a place.
func (s *publisherPlaces) enter(p *publisher, addr netip.Addr) {
	addr = limits.Network(addr.Unmap())
	o := s.from[addr]
	if o == nil {
		o = &origin{address: addr}
		if s.from == nil {
			s.from = make(map[netip.Addr]*origin)
		}
		s.from[addr] = o
	}
	s.add(o, 1)
	p.origin = o
	p.place, p.placed = s.unused.PushBack(p), &s.unused
}

// leave takes the place back.
func (s *publisherPlaces) leave(p *publisher) {
	if p.place == nil {
		return
	}
	p.placed.Remove(p.place)
	p.place = nil
	o := p.origin
	if p.placed == &s.used {
		o.used.Remove(p.placeOfOrigin)
	}
	s.add(o, -1)
	if o.count == 0 {
		s.counts[0].Remove(o.counted)
		delete(s.from, o.address)
	}
}

// published puts a publisher behind all others, because it has just published.
func (s *publisherPlaces) published(p *publisher, now time.Duration) {
	p.publishedAt = now
	if p.place == nil || s.used.Back() == p.place {
		return
	}
	if p.placed == &s.used {
		s.used.MoveToBack(p.place)
		p.origin.used.MoveToBack(p.placeOfOrigin)
		return
	}
	s.unused.Remove(p.place)
	p.place, p.placed = s.used.PushBack(p), &s.used
	p.placeOfOrigin = p.origin.used.PushBack(p)
}

// next is the publisher that first gives its place to a new one of the given address,
// nil if none does.
func (s *publisherPlaces) next(addr netip.Addr, now time.Duration) *publisher {
	if p := mostFrom(&s.unused, func(*publisher) bool { return true }); p != nil {
		return p
	}
	if p := s.nextOfMany(addr, now); p != nil {
		return p
	}
	return mostFrom(&s.used, func(p *publisher) bool { return now-p.publishedAt >= publisherIdle })
}

// mostFrom returns, among the first publishers of a list, the one whose address has the
// most connections. It stops at the first one that may not be taken, because none
// behind it may.
func mostFrom(among *list.List, may func(*publisher) bool) (first *publisher) {
	looked := 0
	for e := among.Front(); e != nil && looked < placesLooked; e = e.Next() {
		p := e.Value.(*publisher)
		if !may(p) {
			break
		}
		if first == nil || p.origin.count > first.origin.count {
			first = p
		}
		looked++
	}
	return first
}

// nextOfMany looks for the address with the most connections of which one has paused,
// and returns its publisher that has paused the longest. It returns nil if that address
// would then have fewer connections than the given address has with the new one.
func (s *publisherPlaces) nextOfMany(addr netip.Addr, now time.Duration) *publisher {
	has := 0
	if o := s.from[limits.Network(addr.Unmap())]; o != nil {
		has = o.count
	}
	looked := 0
	for n := len(s.counts) - 1; n > has+1; n-- {
		for e := s.counts[n].Front(); e != nil; e = e.Next() {
			if looked++; looked > placesLooked {
				return nil
			}
			if first := e.Value.(*origin).used.Front(); first != nil {
				if p := first.Value.(*publisher); now-p.publishedAt >= publisherPause {
					return p
				}
			}
		}
	}
	return nil
}

// makePlace ends the connection that is first to give its place to one of the given
// address, and tells whether there was one.
func (in *Loop) makePlace(addr netip.Addr) bool {
	now := in.Loop.Now()
	p := in.places.next(addr, now)
	switch {
	case p == nil:
		return false
	case p.placed == &in.places.used && now-p.publishedAt < publisherIdle:
		p.end(EndedReplaced, "the publish port is full, this address has the most connections, and this one has published nothing for the longest time")
	default:
		p.end(EndedReplaced, "the publish port is full, and this connection has published nothing for the longest time")
	}
	return true
}

// end tells a publisher why its connection ends, and ends it at once.
func (p *publisher) end(reason, words string) {
	in := p.ingest
	in.counters.Ended[reason]++
	in.places.leave(p)
	p.giveUp()
	var answer []byte
	if p.protocol == publish.NDJSON {
		answer = publish.AppendError(nil, command.ID{}, p.lines.Number()+1, command.NotAvailable, words)
	} else {
		answer = publish.AppendRESPError(nil, "ERR "+words)
	}
	if p.unsent.Len() == 0 {
		_ = p.unsent.Send(&p.conn, answer)
	}
	p.closing, p.waits = true, waitsForInput
	p.keep(nil)
	p.conn.Close(errEnded)
}

// Swept implements poller.Handler, several times within the timeout of a request. A
// publisher may be idle without a limit, but not before its first byte and not within a
// request.
func (p *publisher) Swept() {
	timeout, now := p.ingest.port.Settings.Config().MessageTimeout, p.ingest.Loop.Now()
	switch {
	case p.closing || p.ingest.drained != nil:
	case !p.heard && now-p.since >= timeout:
		p.end(EndedSilent, "nothing was sent in "+timeout.String())
	case !p.admitted() && now-p.access.since >= min(strangerTime, timeout):
		p.end(EndedNoKey, "no key came in "+min(strangerTime, timeout).String())
	case p.held != nil && p.waits == waitsForInput && now-p.since >= timeout: // for the rest of a request
		p.end(EndedUnfinished, "the request was not complete after "+timeout.String())
	}
}

// noteInput counts what is held of the publisher's input.
func (p *publisher) noteInput() {
	n := 0
	if p.held != nil {
		n = cap(p.held.B)
	}
	if p.ingest.port.Input.Add(n - p.heldBytes) {
		for _, other := range p.ingest.port.Loops {
			other.Loop.Wake()
		}
	}
	p.ingest.heldBytes += int64(n - p.heldBytes)
	p.heldBytes = n
}

// relieveInput ends the publishers of this loop with the heaviest unfinished requests,
// while all publishers together hold too much and this loop has its part of that.
func (in *Loop) relieveInput() (busy bool) {
	memory := &in.port.Input
	if !memory.Over() || in.heldBytes == 0 {
		return false
	}
	part := limits.Part[*publisher]{Memory: memory, Loops: len(in.port.Loops), Held: in.heldBytes, Each: in.offerInput}
	return part.Relieve(in.Loop.Now(), func(p *publisher) { p.end(EndedInputFull, "too many requests are unfinished") })
}

func (in *Loop) offerInput(offer func(*publisher, limits.Unfinished)) {
	in.Loop.EachConn(func(h poller.Handler) {
		p := h.(*publisher)
		offer(p, limits.Unfinished{Bytes: p.heldBytes, Since: p.since})
	})
}
