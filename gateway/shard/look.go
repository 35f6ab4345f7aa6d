package shard

import (
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// Laggard is one client as /api/laggards shows it.
type Laggard struct {
	Client          string  `json:"client"`
	Shard           int     `json:"shard"`
	Address         string  `json:"address"`
	BacklogBytes    int     `json:"backlog_bytes"`
	BacklogMessages int     `json:"backlog_messages"`
	OldestSeconds   float64 `json:"oldest_seconds"`
}

// LagEntry is a laggard as its shard reports it.
type LagEntry struct {
	session *session // until its address is known; only its shard may look at it
	Laggard
	Id uint64
}

// OfferLagging offers the portion of the shard's list that ends at end, and returns
// where the next portion ends. It goes from the back to the front: a client that
// catches up between two portions is replaced by the last one. So a client may be
// offered twice, but none that lags all the time is missed.
func (s *Shard) OfferLagging(end int, to *mem.Best[LagEntry], met map[uint64]bool) (next int) {
	end = min(end, len(s.lagging))
	next = max(end-stats.SearchPortion, 0)
	now := s.Loop.Refresh()
	for _, c := range s.lagging[next:end] {
		if c.state != sessionOpen || met[c.id] {
			continue
		}
		b := c.backlog
		entry := LagEntry{session: c, Id: c.id, Laggard: Laggard{
			Shard: s.Port.Index, BacklogBytes: b.Bytes, BacklogMessages: b.WaitingEvents(), OldestSeconds: seconds(b.Oldest(now)),
		}}
		if to.Offer(entry) {
			met[c.id] = true
		}
	}
	kept := to.Sorted()
	for i := range kept {
		if c := kept[i].session; c != nil {
			kept[i].Client, kept[i].Address, kept[i].session = c.clientID(), c.address(), nil
		}
	}
	return next
}

// OfferPublishers looks at a portion of the shard's clients, from a slot on, offers
// those that have published, and returns where the next portion begins.
func (s *Shard) OfferPublishers(from int, to *stats.PublisherSearch) (next int) {
	if len(s.publishing) == 0 {
		return -1
	}
	wall, now := time.Now(), s.Loop.Refresh()
	next = s.Loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
		c := h.(*session)
		account := s.publishing[c]
		if account == nil || c.state != sessionOpen {
			return true
		}
		connected := wall.Add(-c.opened.since(now)).UTC().Round(time.Millisecond)
		to.Offer(stats.PublisherFound{Of: c, PublisherEntry: stats.PublisherEntry{
			Publisher: c.clientID(), Protocol: "websocket", ConnectedAt: &connected, Paused: c.held != nil && c.held.waits == waitCredit,
		}}, &account.Sent)
		return true
	})
	kept := to.Best.Sorted()
	for i := range kept {
		if c, ok := kept[i].Of.(*session); ok {
			kept[i].Address, kept[i].Of = c.address(), nil
		}
	}
	return next
}

// shownChannels is how many of a client's channels are named.
const shownChannels = 1000

// ClientDetail is one client as /api/clients/{id} shows it.
type ClientDetail struct {
	Client        string        `json:"client"`
	Shard         int           `json:"shard"`
	Address       string        `json:"address"`
	User          string        `json:"user,omitempty"`
	ConnectedAt   time.Time     `json:"connected_at"`
	AgeSeconds    float64       `json:"age_seconds"`
	Channels      []string      `json:"channels"` // the first of them
	Subscriptions int           `json:"subscriptions"`
	Backlog       backlogDetail `json:"backlog"`
	ReceivedBytes uint64        `json:"received_bytes"`
	SentBytes     uint64        `json:"sent_bytes"`
	RTTSeconds    float64       `json:"rtt_seconds"`
	UnsentBytes   uint64        `json:"unsent_bytes"`
}

type backlogDetail struct {
	Bytes         int     `json:"bytes"`
	Messages      int     `json:"messages"`
	OldestSeconds float64 `json:"oldest_seconds"`
}

// withClient calls f with the client of that id, if it is among a portion of the
// shard's clients, from a slot on. It returns where the next portion begins.
func (s *Shard) withClient(from int, id uint64, f func(*session)) (next int, found bool) {
	next = s.Loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
		c := h.(*session)
		if c.id == id && c.state == sessionOpen {
			found = true
			f(c)
		}
		return !found
	})
	return next, found
}

// Describe is withClient for a description of it.
func (s *Shard) Describe(from int, id uint64) (next int, found bool, detail ClientDetail, err error) {
	next, found = s.withClient(from, id, func(c *session) { detail, err = c.detail() })
	return next, found, detail, err
}

// Disconnect is withClient for the end of its connection, for a reason of at most
// [websocket.MaxCloseReason] bytes.
func (s *Shard) Disconnect(from int, id uint64, reason string) (next int, found bool) {
	return s.withClient(from, id, func(c *session) { c.finish(Disconnected, ws.StatusPolicyViolation, reason) })
}

// detail describes the session; its shard calls it.
func (c *session) detail() (ClientDetail, error) {
	traffic, err := c.conn.Traffic()
	if err != nil {
		return ClientDetail{}, err
	}
	now := c.shard.Loop.Refresh()
	age := c.opened.since(now)
	detail := ClientDetail{
		Client:        c.clientID(),
		Shard:         c.shard.Port.Index,
		Address:       c.address(),
		User:          c.who().User,
		ConnectedAt:   time.Now().Add(-age).UTC().Round(time.Millisecond),
		AgeSeconds:    seconds(age.Round(time.Second / 10)),
		Channels:      make([]string, 0, min(len(c.subscriptions), shownChannels)),
		Subscriptions: len(c.subscriptions),
		ReceivedBytes: traffic.Received,
		SentBytes:     traffic.Sent,
		RTTSeconds:    seconds(traffic.RTT),
		UnsentBytes:   traffic.Unsent,
	}
	for _, sub := range c.subscriptions[:cap(detail.Channels)] {
		detail.Channels = append(detail.Channels, sub.channel.Name)
	}
	if b := c.backlog; b != nil {
		detail.Backlog = backlogDetail{b.Bytes, b.WaitingEvents(), seconds(b.Oldest(now))}
	}
	return detail, nil
}

func (c *session) clientID() string {
	var id [16]byte
	return string(appendClientID(id[:0], c.id))
}
