package ingest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// APIID is how /api/publishers names all requests to /api/publish, which
// are one publisher.
const APIID = "api"

// OfferPublishers offers a portion of the loop's connections, from a slot on, and
// returns where the next one begins.
func (in *Loop) OfferPublishers(from int, to *stats.PublisherSearch) (next int) {
	wall := time.Now()
	return in.Loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
		p := h.(*publisher)
		if !p.closing {
			to.Offer(stats.PublisherFound{PublisherEntry: p.entry(to.Now, wall)}, &p.account.Sent)
		}
		return true
	})
}

// entry describes the connection, without what it has sent.
func (p *publisher) entry(now time.Duration, wall time.Time) stats.PublisherEntry {
	connected := wall.Add(p.opened - now).UTC().Round(time.Millisecond)
	return stats.PublisherEntry{
		Publisher: strconv.FormatUint(p.resp.id, 10), Protocol: p.protocolName(), Key: p.keyName(),
		Name: stats.Clip(p.resp.name), Library: p.resp.library, Address: p.remote, ConnectedAt: &connected, Paused: p.waits == waitsForCredit,
	}
}

// protocolName is the protocol as the API names it.
func (p *publisher) protocolName() string {
	switch p.protocol {
	case publish.NDJSON:
		return "ndjson"
	case publish.RESP:
		return fmt.Sprint("resp", int(p.resp.version))
	}
	return "undecided"
}

// Offer offers the API itself, once something was published by it.
func (p *API) Offer(to *stats.PublisherSearch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from != "" {
		to.Offer(stats.PublisherFound{PublisherEntry: stats.PublisherEntry{Publisher: APIID, Protocol: "http", Address: p.from}}, &p.account.Sent)
	}
}

// DisconnectPublisher ends the connection of that number, if it is among a portion of
// the loop's, from a slot on. It returns where the next portion begins.
func (in *Loop) DisconnectPublisher(from int, number uint64, reason string) (next int, found bool) {
	next = in.Loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
		if p := h.(*publisher); p.resp.id == number && !p.closing {
			found = true
			p.disconnect(&command.Error{Code: command.NotAvailable, Message: reason})
		}
		return !found
	})
	return next, found
}

// disconnect tells the publisher why and ends the connection. What it has sent and
// is not handled yet is dropped.
func (p *publisher) disconnect(why *command.Error) {
	in := p.ingest
	if p.protocol == publish.RESP {
		in.replies = publish.AppendRESPError(in.replies, respPrefix(why)+strings.Map(printable, why.Message))
	} else {
		in.replies = publish.AppendRefusal(in.replies, command.ID{}, p.lines.Number(), why)
	}
	p.sendReplies()
	p.close()
}

// printable replaces control characters, such as line ends, by spaces.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}
