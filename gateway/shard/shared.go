package shard

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"fleetcast/gateway/authority"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// Shared is what the shards of a gateway have in common. Its fields are set before
// the first shard runs. What they point to and the counts may be used by any
// goroutine; a shard of the list may only be posted to.
type Shared struct {
	Settings  *settings.Live
	Logger    *slog.Logger
	Log       *limits.ConnectionLog
	Streams   *stream.Streams
	Engine    stream.Engine // gets the events: the streams, but in tests
	Credits   *limits.Credits
	Addresses *limits.Quotas[netip.Addr]
	Users     *limits.Quotas[string] // connections of each user
	Blocked   *identity.Blocked      // users that may not connect
	// Authority decides who clients are. It holds nil if nobody is asked, and changes at
	// a reload.
	Authority atomic.Pointer[authority.Authority]
	// Hooks are asked about subscriptions; nil is none. They change at a reload.
	Hooks   atomic.Pointer[authority.Hooks]
	Now     func() time.Time // wall time
	HTTP    *plainhttp.Port  // gets the requests that are not for a WebSocket; or nil
	Ready   func() bool      // what health checks are answered
	Running context.Context  // ends when the gateway closes
	Shards  []*Shard         // all of them

	connections   atomic.Int64       // those that wait for their turn included
	subscriptions atomic.Int64       // of all clients
	Backlogs      backlog.Memory     // what the sockets of all clients have not taken
	ClientInput   limits.InputMemory // unfinished messages, and requests for a handshake
	Contexts      contextMemory
	Admission     admission
}

// UseEngine has events of clients go to another engine than before. It is called before
// the shards run.
func (a *Shared) UseEngine(e stream.Engine) {
	a.Engine = e
	for _, s := range a.Shards {
		s.useEngine(e)
	}
}

func (s *Shard) useEngine(e stream.Engine) {
	s.submit = stream.NewRequest(e, &s.wakes, &s.Counters.ClientPublished)
	s.submit.Duplicates = &s.Counters.ClientDuplicates
}

// contextMemory bounds the memory of the windows of all clients that compress with
// context, in bytes. Each window counts in full from the handshake to the end of the
// connection, whatever the client sends. If there is no room, a client gets the answer
// of a gateway that allows no context. Any goroutine may call its methods.
type contextMemory struct{ Held atomic.Int64 }

// reserve takes room for the largest window if that is within the limit.
func (m *contextMemory) reserve(windowBits uint8, limit int64) bool {
	if windowBits == 0 {
		return true
	}
	n := int64(1) << windowBits
	if m.Held.Add(n) > limit {
		m.Held.Add(-n)
		return false
	}
	return true
}

// settle keeps the window that was agreed on, and gives back the rest of what was
// reserved.
func (m *contextMemory) settle(windowBits uint8, agreed settings.Inbound) {
	reserved := int64(0)
	if windowBits > 0 {
		reserved = 1 << windowBits
	}
	m.Held.Add(agreed.ContextBytes() - reserved)
}

// release is for a client that is gone.
func (m *contextMemory) release(agreed settings.Inbound) {
	if n := agreed.ContextBytes(); n > 0 {
		m.Held.Add(-n)
	}
}
