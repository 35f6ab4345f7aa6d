package gateway

import (
	"sync/atomic"

	"fleetcast/gateway/settings"
)

// contextMemory bounds the memory of the windows of all clients that compress with
// context, in bytes. Each window counts in full from the handshake to the end of the
// connection, whatever the client sends. If there is no room, a client gets the answer
// of a gateway that allows no context. Any goroutine may call its methods.
type contextMemory struct{ held atomic.Int64 }

// reserve takes room for the largest window if that is within the limit.
func (m *contextMemory) reserve(windowBits uint8, limit int64) bool {
	if windowBits == 0 {
		return true
	}
	n := int64(1) << windowBits
	if m.held.Add(n) > limit {
		m.held.Add(-n)
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
	m.held.Add(agreed.ContextBytes() - reserved)
}

// release is for a client that is gone.
func (m *contextMemory) release(agreed settings.Inbound) {
	if n := agreed.ContextBytes(); n > 0 {
		m.held.Add(-n)
	}
}
