package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"fleetcast/gateway/ingest"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

type publisherList struct {
	Publishers []stats.PublisherEntry `json:"publishers"`
	Total      stats.PublisherTotal   `json:"total"`
}

var publisherOrders = map[string]func(a, b stats.PublisherFound) int{
	"events": func(a, b stats.PublisherFound) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(b.EventsSent, a.EventsSent), strings.Compare(a.Publisher, b.Publisher))
	},
	"bytes": func(a, b stats.PublisherFound) int {
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
	search := &stats.PublisherSearch{Now: poller.Now(), Best: mem.NewBest(limit, order)}
	for i, in := range a.of.Publish.Loops {
		for next := 0; next >= 0; {
			if err := a.onLoop(ctx, fmt.Sprint("publish loop ", i), in.Post, func() { next = in.OfferPublishers(next, search) }); err != nil {
				return err
			}
		}
	}
	for _, s := range a.of.Clients.Shards {
		for next := 0; next >= 0; {
			if err := a.onShard(ctx, s, func() { next = s.OfferPublishers(next, search) }); err != nil {
				return err
			}
		}
	}
	a.of.Publish.API.Offer(search)
	list := publisherList{Publishers: make([]stats.PublisherEntry, 0, limit), Total: search.Total}
	for _, found := range search.Best.Sorted() {
		list.Publishers = append(list.Publishers, found.PublisherEntry)
	}
	answerJSON(w, http.StatusOK, list)
	return nil
}

// disconnectPublisher ends the connection of whoever the request's path names.
func (a *api) disconnectPublisher(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	number, err := strconv.ParseUint(id, 10, 63)
	switch {
	case id == ingest.APIID:
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
	for i, in := range a.of.Publish.Loops {
		found := false
		for next := 0; next >= 0 && !found; {
			err := a.onLoop(ctx, fmt.Sprint("publish loop ", i), in.Post, func() { next, found = in.DisconnectPublisher(next, number, reason) })
			if err != nil {
				return err
			}
		}
		if found {
			a.logOperator(r, "an operator has disconnected a publisher", "publisher", id, "reason", stats.Redact(reason))
			answerJSON(w, http.StatusOK, map[string]any{"publisher": id, "disconnected": true})
			return nil
		}
	}
	return &apiError{status: http.StatusNotFound, code: codeNotFound, message: fmt.Sprintf("no publisher %s is connected here", id)}
}

// reasonOf reads the body of a request to disconnect.
func reasonOf(w http.ResponseWriter, r *http.Request) (reason string, err error) {
	reason = operatorReason
	err = readObject(w, r, []string{"reason"}, func(_ string, value []byte) error {
		reason, err = closeReason(value)
		return err
	})
	return reason, err
}

func (a *api) publish(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, int64(a.of.Settings.Config().MaxEvent+ingest.RequestRoom))
	if err != nil {
		return err
	}
	reply, err := a.of.Publish.API.Publish(r.Context(), body, r.RemoteAddr, holderOf(r))
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, reply)
	return nil
}
