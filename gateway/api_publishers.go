package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/codec/publish"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// apiPublisherID is how /api/publishers names all requests to /api/publish, which
// are one publisher.
const apiPublisherID = "api"

// publisherEntry is whoever publishes as /api/publishers shows it: a connection to
// the publish port, a client that has published, or the API.
type publisherEntry struct {
	Publisher   string     `json:"publisher"` // a connection's number, a client's id, or "api"
	Protocol    string     `json:"protocol"`
	Name        string     `json:"name,omitempty"`    // as it has called itself
	Library     string     `json:"library,omitempty"` // as that has called itself
	Address     string     `json:"address"`
	ConnectedAt *time.Time `json:"connected_at,omitempty"`
	stats.Rates
	EventsSent uint64 `json:"events"`
	BytesSent  uint64 `json:"bytes"`
	Errors     uint64 `json:"errors"` // requests that were refused
	Paused     bool   `json:"paused"` // is not read, because it waits for credit
}

type publisherList struct {
	Publishers []publisherEntry `json:"publishers"`
	Total      publisherTotal   `json:"total"`
}

// publisherTotal is all publishers together.
type publisherTotal struct {
	Publishers int `json:"publishers"`
	stats.Rates
}

// publisherFound is an entry as its loop reports it.
type publisherFound struct {
	session *session // until its address is known; only its shard may look at it
	publisherEntry
}

// publisherSearch gathers those with the highest rates from all loops.
type publisherSearch struct {
	now   time.Duration
	best  *mem.Best[publisherFound]
	total publisherTotal
}

var publisherOrders = map[string]func(a, b publisherFound) int{
	"events": func(a, b publisherFound) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(b.EventsSent, a.EventsSent), strings.Compare(a.Publisher, b.Publisher))
	},
	"bytes": func(a, b publisherFound) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.BytesSent, a.BytesSent), strings.Compare(a.Publisher, b.Publisher))
	},
}

// publishers lists those who publish most. Every loop looks at its connections, in
// portions.
func (a *api) publishers(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r, listDefault)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	order, ok := publisherOrders[query.Get("order")]
	switch {
	case !query.Has("order"):
		order = publisherOrders["events"]
	case !ok:
		return badRequest("order may be events or bytes")
	}
	ctx, cancel := a.patience(r)
	defer cancel()
	search := &publisherSearch{now: poller.Now(), best: mem.NewBest(limit, order)}
	for i, in := range a.gateway.publish.loops {
		for next := 0; next >= 0; {
			if err := a.onLoop(ctx, fmt.Sprint("publish loop ", i), in.post, func() { next = in.offerPublishers(next, search) }); err != nil {
				return err
			}
		}
	}
	for _, s := range a.gateway.clients.shards {
		for next := 0; next >= 0; {
			if err := a.onShard(ctx, s, func() { next = s.offerPublishers(next, search) }); err != nil {
				return err
			}
		}
	}
	a.gateway.publish.api.offer(search)
	list := publisherList{Publishers: make([]publisherEntry, 0, limit), Total: search.total}
	for _, found := range search.best.Sorted() {
		list.Publishers = append(list.Publishers, found.publisherEntry)
	}
	answerJSON(w, http.StatusOK, list)
	return nil
}

// offer offers one entry.
func (s *publisherSearch) offer(found publisherFound, of *stats.Sent) {
	found.Rates = of.Meter.Rates(s.now)
	found.EventsSent, found.BytesSent, found.Errors = of.Events, of.Bytes, of.Errors
	s.total.Publishers++
	s.total.Add(found.Rates)
	s.best.Offer(found)
}

// offerPublishers offers a portion of the loop's connections, from a slot on, and
// returns where the next one begins.
func (in *ingest) offerPublishers(from int, to *publisherSearch) (next int) {
	wall := time.Now()
	return in.loop.Walk(from, walkPortion, func(h poller.Handler) bool {
		p := h.(*publisher)
		if !p.closing {
			to.offer(publisherFound{publisherEntry: p.entry(to.now, wall)}, &p.account.Sent)
		}
		return true
	})
}

// entry describes the connection, without what it has sent.
func (p *publisher) entry(now time.Duration, wall time.Time) publisherEntry {
	connected := wall.Add(p.opened - now).UTC().Round(time.Millisecond)
	return publisherEntry{
		Publisher: strconv.FormatUint(p.respID(), 10), Protocol: p.protocolName(),
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

// offerPublishers looks at a portion of the shard's clients, from a slot on, offers
// those that have published, and returns where the next portion begins.
func (s *shard) offerPublishers(from int, to *publisherSearch) (next int) {
	if len(s.publishing) == 0 {
		return -1
	}
	wall, now := time.Now(), s.loop.Refresh()
	next = s.loop.Walk(from, walkPortion, func(h poller.Handler) bool {
		c := h.(*session)
		account := s.publishing[c]
		if account == nil || c.state != sessionOpen {
			return true
		}
		connected := wall.Add(-c.opened.since(now)).UTC().Round(time.Millisecond)
		to.offer(publisherFound{session: c, publisherEntry: publisherEntry{
			Publisher: c.clientID(), Protocol: "websocket", ConnectedAt: &connected, Paused: c.held != nil && c.held.waits == waitCredit,
		}}, &account.Sent)
		return true
	})
	kept := to.best.Sorted()
	for i := range kept {
		if c := kept[i].session; c != nil {
			kept[i].Address, kept[i].session = c.address(), nil
		}
	}
	return next
}

// offer offers the API itself, once something was published by it.
func (p *apiPublisher) offer(to *publisherSearch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from != "" {
		to.offer(publisherFound{publisherEntry: publisherEntry{Publisher: apiPublisherID, Protocol: "http", Address: p.from}}, &p.account.Sent)
	}
}

// disconnectPublisher ends the connection of whoever the request's path names.
func (a *api) disconnectPublisher(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	number, err := strconv.ParseUint(id, 10, 63)
	switch {
	case id == apiPublisherID:
		return badRequest("the API has no connection to end: see who sends requests to it")
	case len(id) == 16: // a client's
		return a.disconnectNamed(w, r, "publisher")
	case err != nil || id != strconv.FormatUint(number, 10):
		return badRequest("a publisher's id is a number, or that of a client, as /api/publishers shows it")
	}
	reason, err := reasonOf(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := a.patience(r)
	defer cancel()
	for i, in := range a.gateway.publish.loops {
		found := false
		for next := 0; next >= 0 && !found; {
			err := a.onLoop(ctx, fmt.Sprint("publish loop ", i), in.post, func() {
				next = in.loop.Walk(next, walkPortion, func(h poller.Handler) bool {
					if p := h.(*publisher); p.respID() == number && !p.closing {
						found = true
						p.disconnect(reason)
					}
					return !found
				})
			})
			if err != nil {
				return err
			}
		}
		if found {
			a.gateway.logger.Info("an operator has disconnected a publisher", "publisher", id, "reason", reason, "from", r.RemoteAddr)
			answerJSON(w, http.StatusOK, map[string]any{"publisher": id, "disconnected": true})
			return nil
		}
	}
	return &apiError{http.StatusNotFound, codeNotFound, fmt.Sprintf("no publisher %s is connected here", id)}
}

// reasonOf reads the body of a request to disconnect.
func reasonOf(w http.ResponseWriter, r *http.Request) (reason string, err error) {
	reason = operatorReason
	err = readObject(w, r, []string{"reason"}, func(_ string, value []byte) error {
		text, err := jsonscan.Unquote(value)
		if err != nil || len(text) > closeReasonLimit {
			return badRequest("reason must be a text of at most %d bytes", closeReasonLimit)
		}
		reason = string(text)
		return nil
	})
	return reason, err
}

// disconnect tells the publisher why and ends the connection. What it has sent and
// is not handled yet is dropped.
func (p *publisher) disconnect(reason string) {
	in := p.ingest
	if p.protocol == publish.RESP {
		in.replies = publish.AppendRESPError(in.replies, "ERR "+strings.Map(printable, reason))
	} else {
		in.replies = publish.AppendError(in.replies, command.ID{}, p.lines.Number(), command.NotAvailable, reason)
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
