package token

import (
	"hash/maphash"
	"sync/atomic"
)

// Bounds of the heads that are known.
const (
	headSlots = 64
	maxHead   = 256 // bytes, in base64url
)

// heads knows heads of tokens that were read before. A head takes the place of another one. Any
// goroutine may use it; nil knows none.
type heads [headSlots]atomic.Pointer[knownHead]

// knownHead is what a head says. It is immutable.
type knownHead struct{ text, alg, kid string }

// headSeed keeps clients from choosing which slots their heads take.
var headSeed = maphash.MakeSeed()

func (h *heads) slot(text []byte) *atomic.Pointer[knownHead] {
	return &h[maphash.Bytes(headSeed, text)%headSlots]
}

// find returns what a head says, in base64url. alg is empty if it is not known.
func (h *heads) find(text []byte) (alg, kid string) {
	if h == nil {
		return "", ""
	}
	if known := h.slot(text).Load(); known != nil && known.text == string(text) {
		return known.alg, known.kid
	}
	return "", ""
}

// put makes a head known that was read without a refusal.
func (h *heads) put(text []byte, alg, kid string) {
	if h != nil && len(text) <= maxHead {
		h.slot(text).Store(&knownHead{string(text), alg, kid})
	}
}
