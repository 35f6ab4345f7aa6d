package gateway

import "time"

// WatchEvery has the watch look at the loops more often. It is called before Run.
func (g *Gateway) WatchEvery(interval time.Duration) { g.watch.every = interval }
