package gateway

import (
	"context"
	"time"
)

// PassTime has the publish port look at the ages of transactions as if some time had
// passed.
func (g *Gateway) PassTime(passed time.Duration) error {
	for _, in := range g.publish.loops {
		if err := g.ask(context.Background(), in.post, func() {
			in.looked = 0
			in.endOldTransactions(in.loop.Now() + passed)
		}); err != nil {
			return err
		}
	}
	return nil
}
