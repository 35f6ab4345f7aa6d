package admin

import (
	"net/http"
	"strconv"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// channelPath is where the requests about one channel are.
const channelPath = "/api/channels/"

func (a *api) history(w http.ResponseWriter, r *http.Request) error {
	name, err := channelOf(r)
	if err != nil {
		return err
	}
	q, err := pageQueryOf(r)
	if err != nil {
		return err
	}
	var page command.Page
	var scratch []byte
	epoch, _, known := a.of.Streams.Page([]byte(name), q, poller.Now(), &page, &scratch)
	if !known {
		return noSuchChannel(name)
	}
	text := command.AppendPage(nil, name, epoch[:], &page)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // the client is gone if it fails
	return nil
}

func (a *api) purge(w http.ResponseWriter, r *http.Request) error {
	name, err := channelOf(r)
	if err != nil {
		return err
	}
	events, known := a.of.Streams.Purge([]byte(name), poller.Now())
	if !known {
		return noSuchChannel(name)
	}
	a.logOperator(r, "an operator has purged a channel's history", "channel", name, "events", events)
	answerJSON(w, http.StatusOK, struct {
		Channel string `json:"channel"`
		Purged  int    `json:"purged"`
	}{name, events})
	return nil
}

// channelOf is the channel that the request's path names.
func channelOf(r *http.Request) (string, error) {
	name := r.PathValue("name")
	if err := command.CheckChannel([]byte(name)); err != nil {
		return "", err
	}
	return name, nil
}

func noSuchChannel(name string) error {
	return &apiError{status: http.StatusNotFound, code: codeNotFound, message: "no channel " + command.QuoteChannel([]byte(name)) + " is kept here"}
}

func pageQueryOf(r *http.Request) (q stream.PageQuery, err error) {
	query := r.URL.Query()
	q.HasSince = query.Has("since")
	switch {
	case q.HasSince && query.Has("before"):
		return q, badRequest("since and before exclude each other")
	case q.HasSince:
		if q.Since, err = command.ParsePosition(query.Get("since")); err != nil {
			return q, badRequest("since: %v", err)
		}
	case query.Has("before"):
		q.Before, err = strconv.ParseUint(query.Get("before"), 10, 64)
		if err != nil || q.Before < 1 || q.Before > jsonscan.MaxUint {
			return q, badRequest("before must be an offset, from 1 to %d", uint64(jsonscan.MaxUint))
		}
	}
	q.Limit, err = limitOf(r, stream.DefaultPage)
	return q, err
}
