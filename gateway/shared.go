package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"fleetcast/gateway/backlog"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// shared is what the shards of a gateway have in common. Its fields are set before
// the first shard runs. What they point to and the counts may be used by any
// goroutine; a shard of the list may only be posted to.
type shared struct {
	settings  *settings.Live
	logger    *slog.Logger
	log       *limits.ConnectionLog
	streams   *stream.Streams
	engine    stream.Engine // gets the events: the streams, but in tests
	credits   *limits.Credits
	addresses *limits.Quotas[netip.Addr]
	http      *plainhttp.Port // gets the requests that are not for a WebSocket; or nil
	ready     func() bool     // what health checks are answered
	running   context.Context // ends when the gateway closes
	shards    []*shard        // all of them

	connections   atomic.Int64       // those that wait for their turn included
	subscriptions atomic.Int64       // of all clients
	backlogs      backlog.Memory     // what the sockets of all clients have not taken
	clientInput   limits.InputMemory // unfinished messages, and requests for a handshake
	contexts      contextMemory
	admission     admission
}

// useEngine has events of clients go to another engine than before. It is called before
// the shards run.
func (a *shared) useEngine(e stream.Engine) {
	a.engine = e
	for _, s := range a.shards {
		s.submit = stream.NewRequest(e, &s.wakes, &s.counters.ClientPublished)
	}
}
