package identity_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/gateway/identity"
)

func TestBlocked(t *testing.T) {
	var list identity.Blocked
	if _, blocked := list.Until("alice", start); blocked {
		t.Error("someone is on an empty list")
	}
	if !list.Block("alice", start.Add(time.Minute), start) || list.Block("", start.Add(time.Minute), start) {
		t.Error("the wrong ones can be blocked")
	}
	for _, test := range []struct {
		user  string
		after time.Duration
		want  bool
	}{
		{"alice", 0, true}, {"alice", time.Minute - 1, true}, {"alice", time.Minute, false}, {"bob", 0, false}, {"", 0, false},
	} {
		if until, got := list.Until(test.user, start.Add(test.after)); got != test.want || got && !until.Equal(start.Add(time.Minute)) {
			t.Errorf("%q after %v: %v, %t", test.user, test.after, until, got)
		}
	}
	list.Block("alice", start.Add(time.Hour), start)
	if until, _ := list.Until("alice", start.Add(time.Minute)); !until.Equal(start.Add(time.Hour)) {
		t.Errorf("blocked again, until %v", until)
	}
	if !list.Unblock("alice", start) || list.Unblock("alice", start) {
		t.Error("unblocked other than once")
	}
	list.Block("bob", start.Add(time.Second), start)
	if all := list.All(start); len(all) != 1 {
		t.Errorf("%v", all)
	}
	if all := list.All(start.Add(time.Second)); len(all) != 0 {
		t.Errorf("after the end: %v", all)
	}
}

// TestBlockedIsBounded refuses more than a number of users, until some are over.
func TestBlockedIsBounded(t *testing.T) {
	var list identity.Blocked
	for i := range identity.MaxBlocked {
		if !list.Block(fmt.Sprint("u", i), start.Add(time.Duration(i+1)*time.Second), start) {
			t.Fatalf("full at %d", i)
		}
	}
	if list.Block("more", start.Add(time.Hour), start) {
		t.Error("more than the bound")
	}
	if !list.Block("u3", start.Add(time.Hour), start) {
		t.Error("one that is on the list cannot be blocked for longer")
	}
	if !list.Block("more", start.Add(time.Hour), start.Add(time.Second)) {
		t.Error("full although one is over")
	}
}

func TestBlockedManyReaders(t *testing.T) {
	var list identity.Blocked
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			user := fmt.Sprint("u", i/2)
			for range 500 {
				list.Block(user, start.Add(time.Minute), start)
				list.Until(user, start)
				list.All(start)
				list.Unblock(user, start)
			}
		})
	}
	all.Wait()
	if all := list.All(start); len(all) != 0 {
		t.Errorf("left: %v", all)
	}
}

func TestInterner(t *testing.T) {
	var in identity.Interner
	text := []byte(`{"subscribe":["chat.*"]}`)
	a, err := in.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := in.Parse(text)
	other, _ := in.Parse([]byte(`{"subscribe":["chat.x"]}`))
	if a != b || a == other || in.Len() != 2 {
		t.Errorf("%p, %p, %p of %d", a, b, other, in.Len())
	}
	if _, err := in.Parse([]byte(`{"subscribe":1}`)); err == nil || in.Len() != 2 {
		t.Errorf("%v, %d held", err, in.Len())
	}
	runtime.KeepAlive(other)
	runtime.KeepAlive(b)
	for end := time.Now().Add(time.Minute); in.Len() > 0; { // a, b and other are no longer used
		if time.Now().After(end) {
			t.Fatalf("%d grants are held that nobody uses", in.Len())
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

func TestInternerManyAtOnce(t *testing.T) {
	var in identity.Interner
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 300 {
				text := fmt.Sprintf(`{"subscribe":["c%d"]}`, i%10)
				g, err := in.Parse([]byte(text))
				if err != nil || g.Text() != text {
					t.Errorf("%s: %v, %v", text, g, err)
				}
				if i%100 == 0 {
					runtime.GC()
				}
			}
		})
	}
	all.Wait()
}

func TestCheckUser(t *testing.T) {
	for _, name := range []string{"", "alice", "auth0|123", "Jürgen Groß", "*", strings.Repeat("x", identity.MaxUser)} {
		if err := identity.CheckUser(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"a\nb", "a\x00", "a\u0085", "\xff", strings.Repeat("x", identity.MaxUser+1)} {
		if err := identity.CheckUser(name); err == nil {
			t.Errorf("%q is right", name)
		}
	}
}
