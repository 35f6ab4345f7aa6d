package gateway

import (
	"fleetcast/gateway/shard"

	"fleetcast/gateway/admin"
)

// APIRoutes are the methods and paths of the API.
func APIRoutes() []string { return admin.Routes() }

// Lagging counts the sessions that the shards list as lagging.
func (g *Gateway) Lagging() (n int) {
	g.onShards(func(s *shard.Shard) { n += s.Listed() })
	return n
}
