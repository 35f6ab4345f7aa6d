package shard

import (
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// UserConnection is one connection of a user as /api/users/{user} lists it.
type UserConnection struct {
	Client        string    `json:"client"`
	Shard         int       `json:"shard"`
	Address       string    `json:"address"`
	ConnectedAt   time.Time `json:"connected_at"`
	Subscriptions int       `json:"subscriptions"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"` // of its identity
}

// eachOfUser calls f with the clients of a user among a portion of the shard's clients, from
// a slot on. It returns where the next portion begins. There is no index of users, which
// would cost every client memory.
func (s *Shard) eachOfUser(from int, user string, f func(*session)) (next int) {
	return s.Loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
		if c := h.(*session); c.state == sessionOpen && c.who().User == user {
			f(c)
		}
		return true
	})
}

// ListUser is eachOfUser for a list of the connections. It counts all of them in total, and
// appends no more than limit.
func (s *Shard) ListUser(from int, user string, to *[]UserConnection, total *int, limit int) (next int) {
	wall, now := time.Now(), s.Loop.Refresh()
	return s.eachOfUser(from, user, func(c *session) {
		if *total++; len(*to) >= limit {
			return
		}
		entry := UserConnection{
			Client: c.clientID(), Shard: s.Port.Index, Address: c.address(), Subscriptions: len(c.subscriptions),
			ConnectedAt: wall.Add(-c.opened.since(now)).UTC().Round(time.Millisecond),
		}
		if expires := c.who().Expires; expires != 0 {
			entry.ExpiresAt = time.Unix(expires, 0).UTC()
		}
		*to = append(*to, entry)
	})
}

// DisconnectUser is eachOfUser for the end of the connections, with a close code and a
// reason of at most [websocket.MaxCloseReason] bytes. It counts them in total.
func (s *Shard) DisconnectUser(from int, user string, code ws.StatusCode, reason string, total *int) (next int) {
	return s.eachOfUser(from, user, func(c *session) {
		*total++
		c.finish(Disconnected, code, reason)
	})
}

// UnsubscribeUser is eachOfUser for the end of the subscriptions to a channel, of which the
// clients are told. It counts them in total.
func (s *Shard) UnsubscribeUser(from int, user, channel string, total *int) (next int) {
	return s.eachOfUser(from, user, func(c *session) {
		ch := s.channels[channel]
		if ch == nil {
			return
		}
		if number := c.find(ch); number >= 0 {
			*total++
			c.withdraw(number, command.Withdrawn)
			c.flushReplies()
		}
	})
}
