package admin

import (
	"cmp"
	"math"
	"net/http"

	"fleetcast/gateway/mem"
	"fleetcast/gateway/shard"
)

// laggardsDefault is how many clients /api/laggards names if the request does
// not say.
const laggardsDefault = 10

type laggardList struct {
	Laggards []shard.Laggard `json:"laggards"`
	Total    int64           `json:"total"` // all clients that lag; Laggards are the worst of them
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
	found := mem.NewBest(limit, func(a, b shard.LagEntry) int {
		return cmp.Or(cmp.Compare(b.BacklogBytes, a.BacklogBytes), cmp.Compare(a.Id, b.Id))
	})
	list := laggardList{Laggards: make([]shard.Laggard, 0, limit)}
	for _, s := range a.of.Clients.Shards {
		met := make(map[uint64]bool) // the clients that are in the list already
		for end := math.MaxInt; end > 0; {
			lagging := int64(0)
			if err := a.onShard(ctx, s, func() { end, lagging = s.OfferLagging(end, found, met), s.Counters.Lagging }); err != nil {
				return err
			}
			if end <= 0 {
				list.Total += lagging
			}
		}
	}
	for _, entry := range found.Sorted() {
		list.Laggards = append(list.Laggards, entry.Laggard)
	}
	answerJSON(w, http.StatusOK, list)
	return nil
}
