package limits

import (
	"net/netip"
	"sync"
)

// crowdShare is how many times the room that is left one address may take: the first one 7/8
// of it all, the next one 7/8 of the rest, and so on. Clients behind a proxy that names none of
// them are one address, and must find room too.
const crowdShare = 7

// Crowd counts those who wait for one thing, whose number has a limit, and how many of them
// come from each address. What counts as one address is that of [Network]; all without an
// address are one. The zero value is nobody. Any goroutine may call its methods.
type Crowd struct {
	mu    sync.Mutex
	all   int
	froms map[netip.Addr]int
}

// Enter counts one more from an address, if there is room for that. The caller must then call
// Leave with the same address, once. Limits of 8 and less have no shares.
func (c *Crowd) Enter(from netip.Addr, limit int) bool {
	from = crowdAddress(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := limit - c.all; room <= 0 || (c.froms[from]-1)/crowdShare >= room { // a product could overflow
		return false
	}
	if c.froms == nil {
		c.froms = make(map[netip.Addr]int)
	}
	c.all++
	c.froms[from]++
	return true
}

// Leave ends what Enter has counted.
func (c *Crowd) Leave(from netip.Addr) {
	from = crowdAddress(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.froms[from]--; c.froms[from] == 0 {
		delete(c.froms, from)
	}
}

// Len is how many are counted.
func (c *Crowd) Len() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.all)
}

func crowdAddress(from netip.Addr) netip.Addr {
	if !from.IsValid() {
		return from
	}
	return Network(from.Unmap())
}
