package peer

import "sync"

// Hub is the set of clients that are connected. Any goroutine may call its
// methods; calls of Each exclude one another, so that all clients get events in
// one order.
type Hub[C comparable] struct {
	mu      sync.Mutex
	clients []C
	index   map[C]int // of a client in clients
}

// NewHub returns an empty hub.
func NewHub[C comparable]() *Hub[C] {
	return &Hub[C]{index: make(map[C]int)}
}

// Add adds a client that is not in the hub.
func (h *Hub[C]) Add(client C) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.index[client] = len(h.clients)
	h.clients = append(h.clients, client)
}

// Remove removes a client; one that is not in the hub is ignored.
func (h *Hub[C]) Remove(client C) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.index[client]
	if !ok {
		return
	}
	delete(h.index, client)
	last := len(h.clients) - 1
	if i != last {
		h.clients[i] = h.clients[last]
		h.index[h.clients[i]] = i
	}
	var zero C
	h.clients[last] = zero
	h.clients = h.clients[:last]
}

// Each calls f for every client. f must not call methods of the hub.
func (h *Hub[C]) Each(f func(C)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, client := range h.clients {
		f(client)
	}
}
