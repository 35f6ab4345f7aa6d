package keys

import (
	"bytes"
	"hash/maphash"
)

// cacheSlots is how many answers a Cache keeps. With names of the greatest length they
// take some 150 kB.
const cacheSlots = 512

// Cache remembers to which channels the holders of keys may publish. The patterns are
// looked at once for a channel that is published to often, and not for each event. It
// allocates nothing once its slots have room for the names. The zero value is not ready;
// see [NewCache].
type Cache struct {
	seed  maphash.Seed
	slots [cacheSlots]cacheSlot
}

type cacheSlot struct {
	grant   *Grant
	channel []byte
	may     bool
}

// NewCache makes an empty cache.
func NewCache() *Cache { return &Cache{seed: maphash.MakeSeed()} }

// MayPublish tells whether the holder of g may publish to a channel.
func (c *Cache) MayPublish(g *Grant, channel []byte) bool {
	if g.all {
		return true
	}
	slot := &c.slots[maphash.Bytes(c.seed, channel)%cacheSlots]
	if slot.grant != g || !bytes.Equal(slot.channel, channel) {
		*slot = cacheSlot{g, append(slot.channel[:0], channel...), g.MayPublish(channel)}
	}
	return slot.may
}
