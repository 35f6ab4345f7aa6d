package shard

import (
	"context"
	"fmt"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/identity"
)

// UserDetail is what is told about a user.
type UserDetail struct {
	User         string           `json:"user"`
	Total        int              `json:"total"` // connections
	Connections  []UserConnection `json:"connections"`
	BlockedUntil time.Time        `json:"blocked_until,omitzero"`
}

// UserDisconnected is the answer to a [UserOrder] to disconnect.
type UserDisconnected struct {
	User         string    `json:"user"`
	Disconnected int       `json:"disconnected"`
	BlockedUntil time.Time `json:"blocked_until,omitzero"`
}

// UserUnsubscribed is the answer to the order to unsubscribe a user from a channel.
type UserUnsubscribed struct {
	User         string `json:"user"`
	Channel      string `json:"channel"`
	Unsubscribed int    `json:"unsubscribed"`
}

// UserOrder says how a user is disconnected.
type UserOrder struct {
	Reason   string        // of the close frames
	Block    time.Duration // the user may not come back for so long
	HasBlock bool          // with a Block of 0, the user is blocked no more
}

// ByOperator is the reason of close frames for which an operator gives none.
const ByOperator = "disconnected by an operator"

const (
	// userListLimit is how many connections of a user are listed.
	userListLimit = 1000
	// longestBlock is how long a user can be blocked.
	longestBlock = 30 * 24 * time.Hour
)

func badOrder(format string, args ...any) *command.Error {
	return &command.Error{Code: command.BadRequest, Message: fmt.Sprintf(format, args...)}
}

// ReadUserOrder reads an order from a JSON object; an empty text is one without members. The
// error is a *command.Error.
func ReadUserOrder(text []byte) (order UserOrder, err error) {
	order.Reason = ByOperator
	if len(text) == 0 {
		return order, nil
	}
	err = command.EachMember(text, []string{"reason", "block_ms"}, func(key string, value []byte) error {
		if key == "reason" {
			reason, err := jsonscan.Unquote(value)
			if err != nil || len(reason) > websocket.MaxCloseReason {
				return badOrder("reason must be a text of at most %d bytes", websocket.MaxCloseReason)
			}
			order.Reason = string(reason)
			return nil
		}
		ms, ok := jsonscan.Uint(value)
		if !ok || ms > uint64(longestBlock/time.Millisecond) {
			return badOrder("block_ms must be a number from 0 to %d", longestBlock/time.Millisecond)
		}
		order.Block, order.HasBlock = time.Duration(ms)*time.Millisecond, true
		return nil
	})
	return order, err
}

// CheckUser names what is wrong with a user whom an order names. The error is a *command.Error.
func CheckUser(user string) error {
	if user == "" || len(user) > identity.MaxUser {
		return badOrder("a user's name has 1 to %d bytes", identity.MaxUser)
	}
	if err := identity.CheckUser(user); err != nil {
		return badOrder("%v", err)
	}
	return nil
}

// Walk has each shard do something with its clients in portions: do gets where one begins,
// and returns where the next one does, or a negative number. After an error what do writes to
// must not be looked at.
type Walk func(do func(s *Shard, from int) (next int)) error

// Walk is the Walk over all shards, until ctx ends. Its errors are *command.Errors.
func (all *Shared) Walk(ctx context.Context) Walk {
	return func(do func(s *Shard, from int) (next int)) error {
		for _, s := range all.Shards {
			for from := 0; from >= 0; {
				next := make(chan int, 1)
				s.Post(func() {
					if ctx.Err() == nil { // else the caller has stopped waiting
						next <- do(s, from)
					}
				})
				select {
				case from = <-next:
				case <-ctx.Done():
					return &command.Error{Code: command.NotAvailable, Message: fmt.Sprintf("shard %d has not answered in time", s.Port.Index)}
				case <-all.Running.Done():
					return &command.Error{Code: command.NotAvailable, Message: "the gateway has stopped"}
				}
			}
		}
		return nil
	}
}

// User looks at the connections of a user.
func (all *Shared) User(user string, walk Walk) (UserDetail, error) {
	detail := UserDetail{User: user, Connections: []UserConnection{}}
	err := walk(func(s *Shard, from int) int {
		return s.ListUser(from, user, &detail.Connections, &detail.Total, userListLimit)
	})
	if err != nil {
		return UserDetail{}, err
	}
	detail.BlockedUntil = all.blockedUntil(user)
	return detail, nil
}

// DisconnectUser ends all connections of a user. With a block, the user is blocked first, so
// none can come back between.
func (all *Shared) DisconnectUser(user string, order UserOrder, walk Walk) (UserDisconnected, error) {
	code, now := ws.StatusPolicyViolation, all.Now()
	switch {
	case order.Block > 0:
		code = authority.CloseForbidden
		if !all.Blocked.Block(user, now.Add(order.Block), now) {
			return UserDisconnected{}, &command.Error{Code: command.LimitExceeded, Message: fmt.Sprintf("%d users are blocked, which is the limit", identity.MaxBlocked)}
		}
	case order.HasBlock:
		all.Blocked.Unblock(user, now)
	}
	disconnected := 0
	err := walk(func(s *Shard, from int) int {
		return s.DisconnectUser(from, user, code, order.Reason, &disconnected)
	})
	if err != nil {
		return UserDisconnected{}, err
	}
	return UserDisconnected{user, disconnected, all.blockedUntil(user)}, nil
}

// UnsubscribeUser ends the subscriptions of all connections of a user to one channel, whose
// name has been checked.
func (all *Shared) UnsubscribeUser(user, channel string, walk Walk) (UserUnsubscribed, error) {
	unsubscribed := 0
	err := walk(func(s *Shard, from int) int {
		return s.UnsubscribeUser(from, user, channel, &unsubscribed)
	})
	if err != nil {
		return UserUnsubscribed{}, err
	}
	return UserUnsubscribed{user, channel, unsubscribed}, nil
}

func (all *Shared) blockedUntil(user string) time.Time {
	until, _ := all.Blocked.Until(user, all.Now())
	if !until.IsZero() {
		until = until.UTC().Round(time.Millisecond)
	}
	return until
}
