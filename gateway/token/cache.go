package token

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// digest stands for a token in the caches: nobody can make another text with it.
type digest [sha256.Size]byte

// entry is what is known about a token.
type entry struct {
	accepted *accepted
	refusal  *Refusal // if accepted is nil

	until  int64 // Unix seconds: from then on it is not known any more
	issuer *issuer
	key    *key    // that has verified the token, if it was accepted
	set    *keySet // the fetched keys of which none has, if it was refused
}

// holds tells whether the entry is still right: its issuer is configured as it was, and
// the key that has verified the token is still one of its, or, of a refused token, no
// other keys have come.
func (e *entry) holds(now int64) bool {
	switch {
	case now >= e.until || e.issuer.retired.Load():
		return false
	case e.accepted != nil:
		return !e.key.retired.Load()
	}
	return e.set == e.issuer.current()
}

// entryCost is about what an entry takes beside what its identity holds, in bytes.
const entryCost = 400

// size is about how many bytes the entry holds.
func (e *entry) size() int {
	if e.accepted == nil {
		return entryCost + len(e.refusal.Message)
	}
	return entryCost + len(e.accepted.identity.User)
}

// cacheParts is how many parts a cache has, each with its own lock, so that loops seldom
// wait for each other.
const cacheParts = 32

// cache knows tokens. It is bounded in entries and in bytes, and forgets what was not
// asked for the longest. Any goroutine may use it.
type cache struct {
	parts [cacheParts]cachePart
}

type cachePart struct {
	mu      sync.Mutex
	entries map[digest]*list.Element
	order   list.List // of *cached, the one asked for last in front
	bytes   int

	mostEntries, mostBytes int
}

type cached struct {
	digest digest
	entry  *entry
}

func newCache(entries, bytes int) *cache {
	c := &cache{}
	for i := range c.parts {
		p := &c.parts[i]
		p.entries = map[digest]*list.Element{}
		p.mostEntries, p.mostBytes = max(1, entries/cacheParts), max(2*entryCost, bytes/cacheParts)
	}
	return c
}

func (c *cache) part(d *digest) *cachePart { return &c.parts[d[0]%cacheParts] }

// find returns what is known about a token, nil if that is nothing.
func (c *cache) find(d *digest, now int64) *entry {
	p := c.part(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	element := p.entries[*d]
	if element == nil {
		return nil
	}
	known := element.Value.(*cached)
	if !known.entry.holds(now) {
		p.remove(element)
		return nil
	}
	p.order.MoveToFront(element)
	return known.entry
}

// put makes an entry known. If the same is known already, it returns that, so that
// clients with one token share one identity.
func (c *cache) put(d *digest, e *entry, now int64) *entry {
	p := c.part(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	if element := p.entries[*d]; element != nil {
		known := element.Value.(*cached).entry
		if known.accepted != nil && e.accepted != nil && known.holds(now) {
			return known
		}
		p.remove(element)
	}
	p.entries[*d] = p.order.PushFront(&cached{*d, e})
	p.bytes += e.size()
	for len(p.entries) > p.mostEntries || p.bytes > p.mostBytes {
		p.remove(p.order.Back())
	}
	return e
}

func (p *cachePart) remove(element *list.Element) {
	known := p.order.Remove(element).(*cached)
	delete(p.entries, known.digest)
	p.bytes -= known.entry.size()
}

// sweep forgets what does not hold any more.
func (c *cache) sweep(now int64) {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.Lock()
		for _, element := range p.entries {
			if !element.Value.(*cached).entry.holds(now) {
				p.remove(element)
			}
		}
		p.mu.Unlock()
	}
}

// once remembers tokens that came once, so that a cache need not. It has a fixed size: a
// token takes the place of an older one.
type once [onceSlots]atomic.Uint64

const onceSlots = 1 << 13

// again tells whether a token came before, and remembers it.
func (o *once) again(d *digest) bool {
	at := &o[binary.LittleEndian.Uint64(d[:])%onceSlots]
	mark := binary.LittleEndian.Uint64(d[8:])
	return at.Swap(mark) == mark
}

// sizes are the entries and bytes held.
func (c *cache) sizes() (entries, bytes int) {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.Lock()
		entries, bytes = entries+len(p.entries), bytes+p.bytes
		p.mu.Unlock()
	}
	return entries, bytes
}

// sweepEvery is how often a verifier sweeps its caches.
const sweepEvery = time.Minute
