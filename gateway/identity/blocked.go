package identity

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// MaxBlocked is how many users can be blocked at a time.
const MaxBlocked = 65_536

// Blocked is a list of users that may not connect until some time. Any goroutine may
// use it. The zero value is an empty list.
type Blocked struct {
	count atomic.Int64 // len(until), so that nobody takes the lock of an empty list
	mu    sync.RWMutex
	until map[string]time.Time
}

// Block blocks a user until a time, which replaces an earlier one. It returns false,
// and blocks nobody, if the list is full or the user has no name.
func (b *Blocked) Block(user string, until, now time.Time) bool {
	if user == "" {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, again := b.until[user]; !again && len(b.until) >= MaxBlocked {
		b.drop(now)
		if len(b.until) >= MaxBlocked {
			return false
		}
	}
	if b.until == nil {
		b.until = map[string]time.Time{}
	}
	b.until[user] = until
	b.count.Store(int64(len(b.until)))
	return true
}

// drop forgets those whose time is over.
func (b *Blocked) drop(now time.Time) {
	maps.DeleteFunc(b.until, func(_ string, until time.Time) bool { return !now.Before(until) })
	b.count.Store(int64(len(b.until)))
}

// Unblock ends the blocking of a user, and tells whether there was one.
func (b *Blocked) Unblock(user string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, found := b.until[user]
	delete(b.until, user)
	b.drop(now)
	return found && now.Before(until)
}

// Until returns the end of a user's blocking, and false if the user is not blocked.
func (b *Blocked) Until(user string, now time.Time) (time.Time, bool) {
	if b.count.Load() == 0 || user == "" {
		return time.Time{}, false
	}
	b.mu.RLock()
	until, found := b.until[user]
	b.mu.RUnlock()
	if !found || !now.Before(until) {
		return time.Time{}, false
	}
	return until, true
}

// Len is how many users are blocked.
func (b *Blocked) Len(now time.Time) int {
	if b.count.Load() == 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(now)
	return len(b.until)
}

// All returns who is blocked, and until when.
func (b *Blocked) All(now time.Time) map[string]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(now)
	return maps.Clone(b.until)
}
