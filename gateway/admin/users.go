package admin

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/shard"
)

// longestBlock is how long a user can be blocked.
const longestBlock = 30 * 24 * time.Hour

// userDetail is the answer of /api/users/{user}.
type userDetail struct {
	User         string                 `json:"user"`
	Total        int                    `json:"total"` // connections
	Connections  []shard.UserConnection `json:"connections"`
	BlockedUntil time.Time              `json:"blocked_until,omitzero"`
}

func (a *api) user(w http.ResponseWriter, r *http.Request) error {
	user, err := userOf(r)
	if err != nil {
		return err
	}
	detail := userDetail{User: user, Connections: []shard.UserConnection{}}
	err = a.walkShards(r, func(s *shard.Shard, from int) int {
		return s.ListUser(from, user, &detail.Connections, &detail.Total, listLimit)
	})
	if err != nil {
		return err
	}
	detail.BlockedUntil = a.blockedUntil(user)
	answerJSON(w, http.StatusOK, detail)
	return nil
}

// disconnectUser ends all connections of a user. With block_ms the user is blocked first, so
// none can come back between.
func (a *api) disconnectUser(w http.ResponseWriter, r *http.Request) error {
	user, err := userOf(r)
	if err != nil {
		return err
	}
	order, err := readUserOrder(w, r)
	if err != nil {
		return err
	}
	code := ws.StatusPolicyViolation
	now := a.of.Clients.Now()
	switch {
	case order.block > 0:
		code = authority.CloseForbidden
		if !a.of.Clients.Blocked.Block(user, now.Add(order.block), now) {
			return &apiError{status: http.StatusServiceUnavailable, code: command.LimitExceeded, message: fmt.Sprintf("%d users are blocked, which is the limit", identity.MaxBlocked)}
		}
	case order.hasBlock:
		a.of.Clients.Blocked.Unblock(user, now)
	}
	disconnected := 0
	err = a.walkShards(r, func(s *shard.Shard, from int) int {
		return s.DisconnectUser(from, user, code, order.reason, &disconnected)
	})
	if err != nil {
		return err
	}
	a.of.Logger.Info("an operator has disconnected a user", "user", user, "connections", disconnected, "blocked_for", order.block, "reason", order.reason, "from", r.RemoteAddr)
	answerJSON(w, http.StatusOK, struct {
		User         string    `json:"user"`
		Disconnected int       `json:"disconnected"`
		BlockedUntil time.Time `json:"blocked_until,omitzero"`
	}{user, disconnected, a.blockedUntil(user)})
	return nil
}

// userOrder is the body of a request about a user's connections.
type userOrder struct {
	reason   string
	block    time.Duration
	hasBlock bool
}

func readUserOrder(w http.ResponseWriter, r *http.Request) (order userOrder, err error) {
	order.reason = operatorReason
	err = readObject(w, r, []string{"reason", "block_ms"}, func(key string, value []byte) error {
		if key == "reason" {
			order.reason, err = closeReason(value)
			return err
		}
		ms, ok := jsonscan.Uint(value)
		if !ok || ms > uint64(longestBlock/time.Millisecond) {
			return badRequest("block_ms must be a number from 0 to %d", longestBlock/time.Millisecond)
		}
		order.block, order.hasBlock = time.Duration(ms)*time.Millisecond, true
		return nil
	})
	return order, err
}

// closeReason reads the reason of a close frame.
func closeReason(value []byte) (string, error) {
	text, err := jsonscan.Unquote(value)
	if err != nil || len(text) > websocket.MaxCloseReason {
		return "", badRequest("reason must be a text of at most %d bytes", websocket.MaxCloseReason)
	}
	return string(text), nil
}

// unsubscribeUser ends the subscriptions of all connections of a user to one channel.
func (a *api) unsubscribeUser(w http.ResponseWriter, r *http.Request) error {
	user, err := userOf(r)
	if err != nil {
		return err
	}
	var channel []byte
	err = readObject(w, r, []string{"channel"}, func(_ string, value []byte) (err error) {
		if channel, err = jsonscan.Unquote(value); err != nil {
			return badRequest("channel must be a text")
		}
		return command.CheckChannel(channel)
	})
	if err == nil && channel == nil {
		err = badRequest("channel is missing")
	}
	if err != nil {
		return err
	}
	unsubscribed := 0
	err = a.walkShards(r, func(s *shard.Shard, from int) int {
		return s.UnsubscribeUser(from, user, string(channel), &unsubscribed)
	})
	if err != nil {
		return err
	}
	a.of.Logger.Info("an operator has unsubscribed a user", "user", user, "channel", string(channel), "subscriptions", unsubscribed, "from", r.RemoteAddr)
	answerJSON(w, http.StatusOK, map[string]any{"user": user, "channel": string(channel), "unsubscribed": unsubscribed})
	return nil
}

// userOf is the user that the request's path names.
func userOf(r *http.Request) (string, error) {
	user := r.PathValue("user")
	if user == "" || len(user) > identity.MaxUser {
		return "", badRequest("a user's name has 1 to %d bytes", identity.MaxUser)
	}
	return user, nil
}

func (a *api) blockedUntil(user string) time.Time {
	until, _ := a.of.Clients.Blocked.Until(user, a.of.Clients.Now())
	if !until.IsZero() {
		until = until.UTC().Round(time.Millisecond)
	}
	return until
}

// walkShards has each shard do something with its clients in portions: do gets where one
// begins, and returns where the next one does.
func (a *api) walkShards(r *http.Request, do func(s *shard.Shard, from int) (next int)) error {
	ctx, cancel := a.patience(r)
	defer cancel()
	for _, s := range a.of.Clients.Shards {
		for next := 0; next >= 0; {
			if err := a.onShard(ctx, s, func() { next = do(s, next) }); err != nil {
				return err
			}
		}
	}
	return nil
}
