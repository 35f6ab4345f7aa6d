package keys_test

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
)

// made is a new key and its entry.
func made(name string, channels ...string) (text string, key keys.Key) {
	text = keys.New()
	return text, keys.Key{Name: name, Digest: keys.DigestOf([]byte(text)), Channels: channels}
}

func TestNew(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		text := keys.New()
		if !keys.HasForm([]byte(text)) || len(text) != keys.TextLength || !strings.HasPrefix(text, keys.Prefix) || seen[text] {
			t.Fatalf("%q is no key, or was made before", text)
		}
		seen[text] = true
	}
}

func TestFind(t *testing.T) {
	first, a := made("a", "**")
	second, b := made("b", "news")
	set := keys.NewSet([]keys.Key{a, b})
	if g := set.Find([]byte(first)); g == nil || g.Name != "a" {
		t.Errorf("the first key is %+v", g)
	}
	if g := set.Find([]byte(second)); g == nil || g.Name != "b" {
		t.Errorf("the second key is %+v", g)
	}
	for _, text := range []string{
		"", keys.Prefix, keys.New(), first[:len(first)-1], first + "x", " " + first, first + "\n", strings.ToUpper(first), strings.TrimPrefix(first, keys.Prefix),
		a.Digest.String(), strings.Repeat("\x00", len(first)), keys.Prefix + strings.Repeat("=", len(first)-len(keys.Prefix)),
	} {
		if g := set.Find([]byte(text)); g != nil {
			t.Errorf("%q is taken for %s", text, g.Name)
		}
	}
	var none *keys.Set
	if none.Find([]byte(first)) != nil || none.Again(set.Find([]byte(first))) != nil || keys.NewSet(nil) != nil {
		t.Error("there are keys in an empty set")
	}
	next := keys.NewSet([]keys.Key{b})
	if next.Again(set.Find([]byte(first))) != nil || next.Again(set.Find([]byte(second))).Name != "b" || next.Again(nil) != nil {
		t.Error("Again does not find what is left")
	}
}

// The digest is what other programs say.
func TestDigest(t *testing.T) {
	text := keys.New()
	var d keys.Digest
	if err := d.UnmarshalText([]byte(strings.ToUpper(fmt.Sprintf("%x", sha256.Sum256([]byte(text)))))); err != nil || d != keys.DigestOf([]byte(text)) {
		t.Errorf("the digest is %v, %v", d, err)
	}
	for given, want := range map[string]string{
		text: "is the key itself", "abc": "has 3 characters", strings.Repeat("g", 64): "is not hexadecimal", "": "has 0 characters",
	} {
		if err := d.UnmarshalText([]byte(given)); err == nil || !strings.Contains(err.Error(), want) || given != "" && strings.Contains(err.Error(), given) {
			t.Errorf("%q is refused with %v", given, err)
		}
	}
}

func TestCheck(t *testing.T) {
	_, good := made("good", "prices.**", "news")
	for want, change := range map[string]func(list []keys.Key) []keys.Key{
		"":                            func(list []keys.Key) []keys.Key { return list },
		"two keys with the name good": func(list []keys.Key) []keys.Key { _, again := made("good", "x"); return append(list, again) },
		"same key twice, as good and as other": func(list []keys.Key) []keys.Key {
			again := list[0]
			again.Name = "other"
			return append(list, again)
		},
		"without its sha256": func(list []keys.Key) []keys.Key { list[0].Digest = keys.Digest{}; return list },
		"with 65 channels":   func(list []keys.Key) []keys.Key { list[0].Channels = slices.Repeat([]string{"a"}, 65); return list },
		"without channels":   func(list []keys.Key) []keys.Key { list[0].Channels = nil; return list },
		"bad entry":          func(list []keys.Key) []keys.Key { list[0].Channels = []string{"a b"}; return list },
		"a key has no user":  func(list []keys.Key) []keys.Key { list[0].Channels = []string{"inbox.{user}"}; return list },
		"has 0 bytes":        func(list []keys.Key) []keys.Key { list[0].Name = ""; return list },
		"as a key does":      func(list []keys.Key) []keys.Key { list[0].Name = keys.New(); return list },
		"letters, digits":    func(list []keys.Key) []keys.Key { list[0].Name = "a b"; return list },
		"is for publishers":  func(list []keys.Key) []keys.Key { list[0].Scope, list[0].Users = keys.Write, true; return list },
		"with a rate":        func(list []keys.Key) []keys.Key { list[0].Rate = limits.Rate{PerSecond: -1, Burst: 1}; return list },
	} {
		err := keys.Check(change([]keys.Key{good}))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// TestCache: an answer that is remembered is the one that the patterns give, also where
// names share a slot, and for each key its own.
func TestCache(t *testing.T) {
	aText, a := made("a", "a.*", "both.*")
	bText, b := made("b", "b.*", "both.*")
	allText, all := made("all", "**")
	set := keys.NewSet([]keys.Key{a, b, all})
	holders := []*keys.Holder{set.Find([]byte(aText)), set.Find([]byte(bText)), set.Find([]byte(allText))}
	var cache keys.Cache
	for range 2 {
		for i := range 2000 {
			for prefix, may := range map[string][3]bool{"a.": {true, false, true}, "b.": {false, true, true}, "both.": {true, true, true}, "c.": {false, false, true}} {
				name := fmt.Append(nil, prefix, i)
				for at, g := range holders {
					if got, _ := cache.MayPublish(g, name); got != may[at] {
						t.Fatalf("%s to %s: %v", g.Name, name, got)
					}
					if _, looked := cache.MayPublish(g, name); looked != 0 {
						t.Fatalf("%s to %s: the second look is at %d patterns", g.Name, name, looked)
					}
				}
			}
		}
	}
	g, name := holders[0], []byte("a.news")
	if n := testing.AllocsPerRun(1000, func() { cache.MayPublish(g, name) }); n != 0 {
		t.Errorf("a look takes %v allocations", n)
	}
}

func TestRate(t *testing.T) {
	text, k := made("a", "**")
	k.Rate = limits.Rate{PerSecond: 1, Burst: 10}
	set := keys.NewSet([]keys.Key{k})
	g := set.Find([]byte(text))
	if !g.Limited() || g.Take(6, time.Second) != nil || g.Left(time.Second) != 4 {
		t.Fatalf("6 of 10 were not taken: %d are left", g.Left(time.Second))
	}
	if refusal := g.Take(6, time.Second); refusal == nil || refusal.Code != "rate_limited" || refusal.RetryAfter != 2*time.Second {
		t.Errorf("6 of 4 are answered with %v", refusal)
	}
	g.Give(3)
	if left := g.Left(time.Second); left != 7 {
		t.Errorf("%d are left", left)
	}
	// A reload does not fill the bucket, a new rate does.
	next := keys.NewSet([]keys.Key{k})
	next.Continue(set)
	if left := next.Find([]byte(text)).Left(time.Second); left != 7 {
		t.Errorf("after a reload %d are left", left)
	}
	k.Rate.Burst = 20
	next = keys.NewSet([]keys.Key{k})
	next.Continue(set)
	if left := next.Find([]byte(text)).Left(time.Second); left != 20 {
		t.Errorf("with a new rate %d are left", left)
	}
}

// TestTries: ten wrong keys, then one in six seconds, for each address, or network of
// IPv6, alone.
func TestTries(t *testing.T) {
	tries, now := keys.NewTries(), time.Hour
	here, neighbour, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.1")
	for i := range 10 {
		if wait := tries.Wrong(here, now); wait > 0 {
			t.Fatalf("try %d has to wait for %v", i, wait)
		}
	}
	if wait := tries.Wrong(neighbour, now); wait != 6*time.Second {
		t.Errorf("the next of this network has to wait for %v", wait)
	}
	if wait := tries.Wrong(other, now); wait > 0 {
		t.Errorf("another network has to wait for %v", wait)
	}
	if wait := tries.Wrong(netip.Addr{}, now); wait > 0 {
		t.Errorf("an unknown address has to wait for %v", wait)
	}
	now += 6 * time.Second
	tries.Sweep(now)
	if tries.Wrong(here, now) > 0 || tries.Wrong(here, now) == 0 {
		t.Error("six seconds later there is not one more")
	}
	now += time.Hour
	tries.Sweep(now)
	if wait := tries.Wrong(here, now); wait > 0 {
		t.Errorf("an hour later a try has to wait for %v", wait)
	}
}

func FuzzFind(f *testing.F) {
	text, k := made("a", "**")
	set := keys.NewSet([]keys.Key{k})
	f.Add([]byte(text))
	f.Add([]byte(keys.Prefix))
	f.Fuzz(func(t *testing.T, given []byte) {
		if found := set.Find(given) != nil; found != (string(given) == text) {
			t.Errorf("%q: %v", given, found)
		}
	})
}

func BenchmarkMayPublish(b *testing.B) {
	for name, patterns := range map[string][]string{"all": {"**"}, "one": {"prices.*"}, "ten": {"a.*", "b.*", "c.*", "d.*", "e.*", "f.*", "g.*", "h.*", "i.*", "prices.*"}} {
		text, k := made("a", patterns...)
		g, channel := keys.NewSet([]keys.Key{k}).Find([]byte(text)), []byte("prices.eur")
		b.Run(name+"/cached", func(b *testing.B) {
			var cache keys.Cache
			for b.Loop() {
				if may, _ := cache.MayPublish(g, channel); !may {
					b.Fatal("it may not")
				}
			}
		})
		b.Run(name+"/patterns", func(b *testing.B) {
			for b.Loop() {
				if !g.MayPublish(channel) {
					b.Fatal("it may not")
				}
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	text, k := made("a", "**")
	set := keys.NewSet([]keys.Key{k})
	for b.Loop() {
		if set.Find([]byte(text)) == nil {
			b.Fatal("not found")
		}
	}
}
