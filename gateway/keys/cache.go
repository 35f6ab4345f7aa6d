package keys

import (
	"bytes"
	"encoding/binary"
)

// cacheSlots is how many answers a Cache keeps. With names of the greatest length they
// take some 150 kB.
const cacheSlots = 1 << cacheBits

const cacheBits = 9

// Cache remembers to which channels the holders of keys may publish. The patterns are
// looked at once for a channel that is published to often, and not for each event. It
// allocates nothing once its slots have room for the names. The zero value is ready.
type Cache struct{ slots [cacheSlots]cacheSlot }

type cacheSlot struct {
	holder  *Holder
	channel []byte
	may     bool
}

// MayPublish tells whether a holder may publish to a channel, and how many
// patterns it has looked at for that.
func (c *Cache) MayPublish(h *Holder, channel []byte) (may bool, looked int) {
	if h.all {
		return true, 0
	}
	slot := &c.slots[slotOf(channel)]
	if slot.holder != h || !bytes.Equal(slot.channel, channel) {
		*slot = cacheSlot{h, append(slot.channel[:0], channel...), h.MayPublish(channel)}
		looked = len(h.channels)
	}
	return slot.may, looked
}

// slotOf finds the slot of a name by its length and its ends. Names that share a slot
// cost a look at the patterns, which is bounded, so the hash need not resist whoever
// chooses them.
func slotOf(channel []byte) uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	h := uint64(len(channel))
	if len(channel) >= 8 {
		h ^= binary.LittleEndian.Uint64(channel) ^ binary.LittleEndian.Uint64(channel[len(channel)-8:])*golden
	} else {
		for _, c := range channel {
			h = h<<8 | uint64(c)
		}
	}
	return h * golden >> (64 - cacheBits)
}
