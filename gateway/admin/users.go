package admin

import (
	"errors"
	"net/http"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/shard"
)

func (a *api) user(w http.ResponseWriter, r *http.Request) error {
	user := r.PathValue("user")
	if err := shard.CheckUser(user); err != nil {
		return err
	}
	detail, err := a.of.Clients.User(user, a.walkShards(r))
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, detail)
	return nil
}

// disconnectUser ends all connections of a user, and may block the user.
func (a *api) disconnectUser(w http.ResponseWriter, r *http.Request) error {
	user := r.PathValue("user")
	if err := shard.CheckUser(user); err != nil {
		return err
	}
	body, err := readBody(w, r, bodyLimit)
	if err != nil {
		return err
	}
	order, err := shard.ReadUserOrder(body)
	if err != nil {
		return err
	}
	done, err := a.of.Clients.DisconnectUser(user, order, a.walkShards(r))
	if refusal := (*command.Error)(nil); errors.As(err, &refusal) && refusal.Code == command.LimitExceeded {
		return &apiError{status: http.StatusServiceUnavailable, code: refusal.Code, message: refusal.Message}
	}
	if err != nil {
		return err
	}
	a.of.Logger.Info("an operator has disconnected a user", "user", user, "connections", done.Disconnected, "blocked_for", order.Block, "reason", order.Reason, "from", r.RemoteAddr)
	answerJSON(w, http.StatusOK, done)
	return nil
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
	user := r.PathValue("user")
	if err := shard.CheckUser(user); err != nil {
		return err
	}
	var channel []byte
	err := readObject(w, r, []string{"channel"}, func(_ string, value []byte) (err error) {
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
	done, err := a.of.Clients.UnsubscribeUser(user, string(channel), a.walkShards(r))
	if err != nil {
		return err
	}
	a.of.Logger.Info("an operator has unsubscribed a user", "user", user, "channel", string(channel), "subscriptions", done.Unsubscribed, "from", r.RemoteAddr)
	answerJSON(w, http.StatusOK, done)
	return nil
}

// walkShards has each shard do something with its clients, and answers for those that do not
// in time.
func (a *api) walkShards(r *http.Request) shard.Walk {
	return func(do func(s *shard.Shard, from int) (next int)) error {
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
}
