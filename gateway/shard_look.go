package gateway

import (
	"time"

	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// laggard is one client as /api/laggards shows it.
type laggard struct {
	Client          string  `json:"client"`
	Shard           int     `json:"shard"`
	Address         string  `json:"address"`
	BacklogBytes    int     `json:"backlog_bytes"`
	BacklogMessages int     `json:"backlog_messages"`
	OldestSeconds   float64 `json:"oldest_seconds"`
}

// lagEntry is a laggard as its shard reports it.
type lagEntry struct {
	session *session // until its address is known; only its shard may look at it
	laggard
	id uint64
}

// offerLagging offers the portion of the shard's list that ends at end, and returns
// where the next portion ends. It goes from the back to the front: a client that
// catches up between two portions is replaced by the last one. So a client may be
// offered twice, but none that lags all the time is missed.
func (s *shard) offerLagging(end int, to *mem.Best[lagEntry], met map[uint64]bool) (next int) {
	end = min(end, len(s.lagging))
	next = max(end-stats.SearchPortion, 0)
	now := s.loop.Refresh()
	for _, c := range s.lagging[next:end] {
		if c.state != sessionOpen || met[c.id] {
			continue
		}
		b := c.backlog
		entry := lagEntry{session: c, id: c.id, laggard: laggard{
			Shard: s.port.Index, BacklogBytes: b.Bytes, BacklogMessages: b.WaitingEvents(), OldestSeconds: seconds(b.Oldest(now)),
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

// offerPublishers looks at a portion of the shard's clients, from a slot on, offers
// those that have published, and returns where the next portion begins.
func (s *shard) offerPublishers(from int, to *stats.PublisherSearch) (next int) {
	if len(s.publishing) == 0 {
		return -1
	}
	wall, now := time.Now(), s.loop.Refresh()
	next = s.loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
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
