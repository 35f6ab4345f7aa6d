package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/poller"
)

const (
	// walkPortion is how many sessions a shard looks at in one call, so that a
	// search does not hold it up: some tenths of a millisecond.
	walkPortion = 4096
	// shownChannels is how many of a client's channels are named.
	shownChannels = 1000
	// closeReasonLimit is how long the reason in a close frame may be, in bytes
	// (RFC 6455, section 5.5).
	closeReasonLimit = 123
	operatorReason   = "disconnected by an operator"
)

// clientDetail is one client as /api/clients/{id} shows it.
type clientDetail struct {
	Client        string        `json:"client"`
	Shard         int           `json:"shard"`
	Address       string        `json:"address"`
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

func (a *api) client(w http.ResponseWriter, r *http.Request) error {
	var detail clientDetail
	var failure error
	if err := a.withClient(r, func(c *session) { detail, failure = c.detail() }); err != nil {
		return err
	}
	if failure != nil {
		return failure
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
	if err := a.withClient(r, func(c *session) { c.finish(disconnected, ws.StatusPolicyViolation, reason) }); err != nil {
		return err
	}
	id := r.PathValue("id")
	a.gateway.logger.Info("an operator has disconnected a client", "client", id, "reason", reason, "from", r.RemoteAddr)
	answerJSON(w, http.StatusOK, map[string]any{name: id, "disconnected": true})
	return nil
}

// withClient finds the client that the request's path names and has its shard call f
// with it. There is no index of clients, because it would cost memory for every client.
// The sessions are searched in portions.
func (a *api) withClient(r *http.Request, f func(*session)) error {
	id, err := parseClientID(r.PathValue("id"))
	if err != nil {
		return err
	}
	ctx, cancel := a.patience(r)
	defer cancel()
	for _, s := range a.gateway.clients.shards {
		found := false
		for next := 0; next >= 0; {
			err := a.onShard(ctx, s, func() {
				next = s.loop.Walk(next, walkPortion, func(h poller.Handler) bool {
					c := h.(*session)
					if c.id == id && c.state == sessionOpen {
						found = true
						f(c)
					}
					return !found
				})
			})
			if err != nil {
				return err
			}
		}
		if found {
			return nil
		}
	}
	return &apiError{http.StatusNotFound, codeNotFound, fmt.Sprintf("no client %016x is connected here", id)}
}

// parseClientID reads an id as appendClientID writes it.
func parseClientID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 || text != strings.ToLower(text) {
		return 0, badRequest("a client's id is 16 hexadecimal digits in lower case, as in its welcome")
	}
	return id, nil
}

// detail describes the session; its shard calls it.
func (c *session) detail() (clientDetail, error) {
	traffic, err := c.conn.Traffic()
	if err != nil {
		return clientDetail{}, err
	}
	now := c.shard.loop.Refresh()
	age := c.opened.since(now)
	detail := clientDetail{
		Client:        c.clientID(),
		Shard:         c.shard.port.Index,
		Address:       c.address(),
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
