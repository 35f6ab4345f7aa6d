package gateway

import (
	"sync/atomic"

	"fleetcast/gateway/settings"
)

// contextMemory is what the windows of all clients that compress with context may
// take, in bytes: each counts in full from the handshake to the connection's end, whatever the
// client sends. A client for which there is no room is answered as if none might
// have a context. All methods may be called from any goroutine.
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

// settle gives back what was reserved but for the window that was agreed on.
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
