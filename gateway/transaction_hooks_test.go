package gateway

import (
	"context"
	"time"

	"fleetcast/poller"
)

// PassTime has the publish port look at the ages of transactions as if some time had
// passed.
func (g *Gateway) PassTime(passed time.Duration) error {
	for _, in := range g.publish.Loops {
		if err := g.ask(context.Background(), in.Post, func() { in.EndOldTransactions(poller.Now() + passed) }); err != nil {
			return err
		}
	}
	return nil
}
