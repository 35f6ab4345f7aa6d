package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"fleetcast/gateway/ingest"
	"fleetcast/gateway/shard"
)

// doUser does what a publisher asks about a user, as the API does for an operator. An error
// is a *command.Error.
func (g *Gateway) doUser(ctx context.Context, r ingest.UserRequest) (answer []byte, err error) {
	if err := shard.CheckUser(r.User); err != nil {
		return nil, err
	}
	by := g.logger.With("user", r.User, "from", r.From, "key", r.Key)
	done, err := g.doneToUser(ctx, r, by)
	if err != nil {
		return nil, err
	}
	if answer, err = json.Marshal(done); err != nil {
		return nil, fmt.Errorf("write what became of a request about a user: %w", err)
	}
	return answer, nil
}

func (g *Gateway) doneToUser(ctx context.Context, r ingest.UserRequest, by *slog.Logger) (any, error) {
	walk := g.clients.Walk(ctx)
	switch {
	case len(r.Disconnect) > 0:
		order, err := shard.ReadUserOrder(r.Disconnect)
		if err != nil {
			return nil, err
		}
		done, err := g.clients.DisconnectUser(r.User, order, walk)
		if err == nil {
			by.Info("a publisher has disconnected a user", "connections", done.Disconnected, "blocked_for", order.Block, "reason", order.Reason)
		}
		return done, err
	case r.Unsubscribe != "":
		done, err := g.clients.UnsubscribeUser(r.User, r.Unsubscribe, walk)
		if err == nil {
			by.Info("a publisher has unsubscribed a user", "channel", r.Unsubscribe, "subscriptions", done.Unsubscribed)
		}
		return done, err
	}
	return g.clients.User(r.User, walk)
}
