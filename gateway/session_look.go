package gateway

import (
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// shownChannels is how many of a client's channels are named.
const shownChannels = 1000

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

// withClient calls f with the client of that id, if it is among a portion of the
// shard's clients, from a slot on. It returns where the next portion begins.
func (s *shard) withClient(from int, id uint64, f func(*session)) (next int, found bool) {
	next = s.loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
		c := h.(*session)
		if c.id == id && c.state == sessionOpen {
			found = true
			f(c)
		}
		return !found
	})
	return next, found
}

// describe is withClient for a description of it.
func (s *shard) describe(from int, id uint64) (next int, found bool, detail clientDetail, err error) {
	next, found = s.withClient(from, id, func(c *session) { detail, err = c.detail() })
	return next, found, detail, err
}

// disconnect is withClient for the end of its connection, for a reason of at most
// [websocket.MaxCloseReason] bytes.
func (s *shard) disconnect(from int, id uint64, reason string) (next int, found bool) {
	return s.withClient(from, id, func(c *session) { c.finish(disconnected, ws.StatusPolicyViolation, reason) })
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
