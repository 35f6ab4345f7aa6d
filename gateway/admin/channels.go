package admin

import (
	"net/http"

	"fleetcast/codec/command"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

func (a *api) channels(w http.ResponseWriter, r *http.Request) error {
	q, err := channelQueryOf(r)
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, a.of.Streams.List(q))
	return nil
}

func channelQueryOf(r *http.Request) (q stream.ChannelQuery, err error) {
	query := r.URL.Query()
	q.Prefix, q.After = query.Get("prefix"), query.Get("after")
	for _, name := range []string{"prefix", "after"} {
		if text := query.Get(name); text != "" {
			if err := command.CheckChannel([]byte(text)); err != nil {
				return q, badRequest("%s cannot be (the start of) a channel's name: %s", name, command.RefusalOf(err).Message)
			}
		}
	}
	if q.Order = stream.Orders[query.Get("order")]; q.Order == nil && query.Has("order") {
		return q, badRequest("order may be subscribers, events, bytes or deliveries, or be left out for the order of names")
	}
	if q.Order != nil && query.Has("after") {
		return q, badRequest("after goes with the order of names only: the others have no pages")
	}
	q.Now = poller.Now()
	q.Limit, err = limitOf(r, listDefault)
	return q, err
}
