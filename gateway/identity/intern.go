package identity

import (
	"crypto/sha256"
	"runtime"
	"sync"
	"weak"
)

// Interner reads grants and gives the same Grants for the same text, so that a thousand
// clients with equal grants hold them once. It keeps no Grants alive: those that nobody
// holds any more are forgotten. Any goroutine may use it. The zero value is ready.
type Interner struct {
	mu     sync.Mutex
	byText map[digest]weak.Pointer[Grants]
}

type digest [sha256.Size]byte

// Parse is ParseGrants, interned by the text as it stands.
func (in *Interner) Parse(text []byte) (*Grants, error) {
	key := digest(sha256.Sum256(text))
	if g := in.find(key); g != nil {
		return g, nil
	}
	parsed, err := ParseGrants(text)
	if err != nil || parsed == noGrants {
		return parsed, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if g := in.byText[key].Value(); g != nil { // another goroutine was faster
		return g, nil
	}
	if in.byText == nil {
		in.byText = map[digest]weak.Pointer[Grants]{}
	}
	in.byText[key] = weak.Make(parsed)
	runtime.AddCleanup(parsed, in.forget, key)
	return parsed, nil
}

func (in *Interner) find(key digest) *Grants {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.byText[key].Value()
}

// forget runs when the grants with a key are gone. Others may have come in their place.
func (in *Interner) forget(key digest) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.byText[key].Value() == nil {
		delete(in.byText, key)
	}
}

// Len is how many different grants are held.
func (in *Interner) Len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.byText)
}
