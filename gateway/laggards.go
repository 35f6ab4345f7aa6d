package gateway

import (
	"cmp"
	"math"
	"net/http"

	"fleetcast/gateway/mem"
)

// lagging lists the sessions of one shard that have a backlog, in no order. So a search
// for them need not look at all sessions. The shard owns it.
type lagging []*session

func (l *lagging) add(c *session) {
	c.backlog.Place = uint32(len(*l))
	*l = append(*l, c)
}

// remove takes out a session, which must still have its backlog. The last one takes its
// place.
func (l *lagging) remove(c *session) {
	last := len(*l) - 1
	moved := (*l)[last]
	(*l)[c.backlog.Place] = moved
	moved.backlog.Place = c.backlog.Place
	(*l)[last] = nil
	*l = (*l)[:last]
	if last == 0 {
		*l = nil // after a storm the list may be long
	}
}

// laggardsDefault is how many clients /api/laggards names if the request does
// not say.
const laggardsDefault = 10

// laggard is one client as /api/laggards shows it.
type laggard struct {
	Client          string  `json:"client"`
	Shard           int     `json:"shard"`
	Address         string  `json:"address"`
	BacklogBytes    int     `json:"backlog_bytes"`
	BacklogMessages int     `json:"backlog_messages"`
	OldestSeconds   float64 `json:"oldest_seconds"`
}

type laggardList struct {
	Laggards []laggard `json:"laggards"`
	Total    int64     `json:"total"` // all clients that lag; Laggards are the worst of them
}

// lagEntry is a laggard as its shard reports it.
type lagEntry struct {
	session *session // until its address is known; only its shard may look at it
	laggard
	id uint64
}

// laggards names the clients with the largest backlogs. Each shard is asked
// for those that lag, in portions.
func (a *api) laggards(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r, laggardsDefault)
	if err != nil {
		return err
	}
	ctx, cancel := a.patience(r)
	defer cancel()
	found := mem.NewBest(limit, func(a, b lagEntry) int {
		return cmp.Or(cmp.Compare(b.BacklogBytes, a.BacklogBytes), cmp.Compare(a.id, b.id))
	})
	list := laggardList{Laggards: make([]laggard, 0, limit)}
	for _, s := range a.gateway.clients.shards {
		met := make(map[uint64]bool) // the clients that are in the list already
		for end := math.MaxInt; end > 0; {
			lagging := int64(0)
			if err := a.onShard(ctx, s, func() { end, lagging = s.offerLagging(end, found, met), s.counters.Lagging }); err != nil {
				return err
			}
			if end <= 0 {
				list.Total += lagging
			}
		}
	}
	for _, entry := range found.Sorted() {
		list.Laggards = append(list.Laggards, entry.laggard)
	}
	answerJSON(w, http.StatusOK, list)
	return nil
}

// offerLagging offers the portion of the shard's list that ends at end, and returns
// where the next portion ends. It goes from the back to the front: a client that
// catches up between two portions is replaced by the last one. So a client may be
// offered twice, but none that lags all the time is missed.
func (s *shard) offerLagging(end int, to *mem.Best[lagEntry], met map[uint64]bool) (next int) {
	end = min(end, len(s.lagging))
	next = max(end-walkPortion, 0)
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
