package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"fleetcast/gateway/shard"
	"fleetcast/gateway/stats"
)

// operatorReason is what a client is told that is disconnected without a reason.
const operatorReason = shard.ByOperator

func (a *api) client(w http.ResponseWriter, r *http.Request) error {
	var detail shard.ClientDetail
	var failure error
	err := a.withClient(r, func(s *shard.Shard, from int, id uint64) (next int, found bool) {
		next, found, detail, failure = s.Describe(from, id)
		return next, found
	})
	if err := cmp.Or(err, failure); err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, detail)
	return nil
}

func (a *api) disconnect(w http.ResponseWriter, r *http.Request) error {
	return a.disconnectNamed(w, r, "client")
}

// disconnectNamed ends the connection of the client that the request's path names;
// the answer has its id under the given name.
func (a *api) disconnectNamed(w http.ResponseWriter, r *http.Request, name string) error {
	reason, err := reasonOf(w, r)
	if err != nil {
		return err
	}
	if err := a.withClient(r, func(s *shard.Shard, from int, id uint64) (int, bool) { return s.Disconnect(from, id, reason) }); err != nil {
		return err
	}
	id := r.PathValue("id")
	a.logOperator(r, "an operator has disconnected a client", "client", id, "reason", stats.Redact(reason))
	answerJSON(w, http.StatusOK, map[string]any{name: id, "disconnected": true})
	return nil
}

// withClient finds the client that the request's path names and has its shard
// do something with it. There is no index of clients, which would cost every client
// memory: the sessions are looked through, in portions.
func (a *api) withClient(r *http.Request, do func(s *shard.Shard, from int, id uint64) (next int, found bool)) error {
	id, err := parseClientID(r.PathValue("id"))
	if err != nil {
		return err
	}
	ctx, cancel := a.patience(r)
	defer cancel()
	for _, s := range a.of.Clients.Shards {
		found := false
		for next := 0; next >= 0 && !found; {
			if err := a.onShard(ctx, s, func() { next, found = do(s, next, id) }); err != nil {
				return err
			}
		}
		if found {
			return nil
		}
	}
	return &apiError{status: http.StatusNotFound, code: codeNotFound, message: fmt.Sprintf("no client %016x is connected here", id)}
}

// parseClientID reads an id as shard.appendClientID writes it.
func parseClientID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 || text != strings.ToLower(text) {
		return 0, badRequest("a client's id is 16 hexadecimal digits in lower case, as in its welcome")
	}
	return id, nil
}
