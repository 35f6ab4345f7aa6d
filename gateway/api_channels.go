package gateway

import (
	"cmp"
	"net/http"

	"fleetcast/codec/command"
	"fleetcast/poller"
)

func (a *api) channels(w http.ResponseWriter, r *http.Request) error {
	q, err := channelQueryOf(r)
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, a.gateway.streams.list(q))
	return nil
}

func channelQueryOf(r *http.Request) (q channelQuery, err error) {
	query := r.URL.Query()
	q.prefix, q.after = query.Get("prefix"), query.Get("after")
	for _, name := range []string{"prefix", "after"} {
		if text := query.Get(name); text != "" {
			if err := command.CheckChannel([]byte(text)); err != nil {
				return q, badRequest("%s cannot be (the start of) a channel's name: %s", name, refusalOf(err).Message)
			}
		}
	}
	if q.order = channelOrders[query.Get("order")]; q.order == nil && query.Has("order") {
		return q, badRequest("order may be subscribers, events, bytes or deliveries, or be left out for the order of names")
	}
	if q.order != nil && query.Has("after") {
		return q, badRequest("after goes with the order of names only: the others have no pages")
	}
	q.now = poller.Now()
	q.limit, err = limitOf(r, listDefault)
	return q, err
}

// channelOrders are the orders by name of what a channel has most of.
var channelOrders = map[string]func(a, b channelEntry) int{
	"subscribers": bySubscribers,
	"events":      func(a, b channelEntry) int { return cmp.Or(cmp.Compare(b.Events, a.Events), bySubscribers(a, b)) },
	"bytes":       func(a, b channelEntry) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), bySubscribers(a, b)) },
	"deliveries": func(a, b channelEntry) int {
		return cmp.Or(cmp.Compare(b.Deliveries, a.Deliveries), bySubscribers(a, b))
	},
}
