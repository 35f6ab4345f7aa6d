package token_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// esVerifier trusts the key for ES256.
func esVerifier(t testing.TB, c *clock, o token.Options) *token.Verifier {
	o.Issuers = []token.Issuer{{Issuer: issName, Keys: pemOf(t, keys()["ES256"])}}
	return newVerifier(t, c, o)
}

// TestCacheKnowsTokens computes one signature for a token, good or bad, however often it
// comes.
func TestCacheKnowsTokens(t *testing.T) {
	c := newClock()
	v := esVerifier(t, c, token.Options{})
	good := sign(t, "ES256", "", keys()["ES256"], claims(c, nil))
	bad := sign(t, "ES256", "", keys()["other P-256"], claims(c, nil))
	if _, left := v.Quick([]byte(good)); left == nil {
		t.Fatal("a signature of ES256 is verified on the loop")
	}
	for range 3 {
		want(t, v, good, "accepted")
		want(t, v, bad, token.Invalid)
	}
	for _, text := range []string{good, bad} {
		if _, left := v.Quick([]byte(text)); left != nil {
			t.Error("not known on the loop")
		}
	}
	if f := v.Figures(); f.Verifications != 2 || f.Cached != 2 || f.Accepted != 4 {
		t.Errorf("%+v", f)
	}
	c.advance(11 * time.Minute) // a refused token is known for ten minutes
	want(t, v, bad, token.Invalid)
	want(t, v, good, "accepted")
	if f := v.Figures(); f.Verifications != 3 {
		t.Errorf("later: %+v", f)
	}
	c.advance(time.Hour)
	v.Sweep()
	if f := v.Figures(); f.Cached != 0 || f.CacheBytes != 0 {
		t.Errorf("known beyond the end: %+v", f)
	}
	want(t, v, good, token.Expired)
}

// TestCacheIsBounded keeps to the number of entries, forgets first what was asked for
// the longest ago, and has no refused token displace a good one.
func TestCacheIsBounded(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Keys: pemOf(t, keys()["EdDSA"])}}, Cache: 1024})
	first := sign(t, "EdDSA", "", keys()["EdDSA"], claims(c, nil))
	before := want(t, v, first, "accepted").Identity
	for i := range 3000 {
		want(t, v, sign(t, "EdDSA", "", keys()["EdDSA"], claims(c, map[string]any{"sub": fmt.Sprint("u", i)})), "accepted")
		if i%5 == 0 {
			want(t, v, first, "accepted") // it stays in use
		}
	}
	if f := v.Figures(); f.Cached > 1024 || f.Cached < 900 {
		t.Errorf("%d are known", f.Cached)
	}
	if want(t, v, first, "accepted").Identity != before {
		t.Error("one that is in use was forgotten")
	}
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := v.Figures().Cached
	for i := range 1000 {
		want(t, v, sign(t, "EdDSA", "", other, claims(c, map[string]any{"sub": fmt.Sprint("u", i)})), token.Invalid)
	}
	if f := v.Figures(); f.Cached > good+256 || f.Cached < good+200 {
		t.Errorf("%d are known, %d of them good", f.Cached, good)
	}
	if want(t, v, first, "accepted").Identity != before {
		t.Error("refused tokens have displaced a good one")
	}
}

// TestManyAskAtOnce has goroutines show the same tokens, and take over from each other's
// verifiers meanwhile.
func TestManyAskAtOnce(t *testing.T) {
	c := newClock()
	o := token.Options{Issuers: []token.Issuer{{Secret: secret, Keys: pemOf(t, keys()["ES256"])}}, Cache: 64, Now: c.now, Logger: testrun.Log(t)}
	v := newVerifier(t, c, o)
	var tokens []string
	for i := range 20 {
		who := map[string]any{"sub": fmt.Sprint("u", i)}
		tokens = append(tokens, sign(t, "ES256", "", keys()["ES256"], claims(c, who)), sign(t, "HS256", "", []byte(secret), claims(c, who)))
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 100 {
				at := (i*7 + worker) % len(tokens)
				verdict := v.Verify(context.Background(), netip.Addr{}, []byte(tokens[at]))
				if verdict.Refusal != nil || verdict.Identity.User != fmt.Sprint("u", at/2) {
					t.Errorf("%+v, %v", verdict.Identity, verdict.Refusal)
				}
				if i%50 == 0 {
					v.Sweep()
					v.Figures()
				}
			}
		})
	}
	all.Wait()
}

// TestOneIdentityForOneToken has goroutines show a token that nobody knows yet at the
// same time.
func TestOneIdentityForOneToken(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Keys: pemOf(t, keys()["EdDSA"])}}})
	for i := range 200 {
		text := []byte(sign(t, "EdDSA", "", keys()["EdDSA"], claims(c, map[string]any{"sub": fmt.Sprint("u", i)})))
		got := make([]token.Verdict, 4)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for worker := range got {
			all.Go(func() {
				<-begin
				got[worker] = v.Verify(context.Background(), netip.Addr{}, text)
			})
		}
		close(begin)
		all.Wait()
		for _, verdict := range got {
			if verdict.Identity == nil || verdict.Identity != got[0].Identity {
				t.Fatalf("token %d: %p and %p", i, verdict.Identity, got[0].Identity)
			}
		}
	}
}

// TestPoolIsBounded refuses as temporary what finds no place.
func TestPoolIsBounded(t *testing.T) {
	c := newClock()
	v := esVerifier(t, c, token.Options{Workers: 1, Queue: 4})
	make := func(i int) []byte {
		return []byte(sign(t, "ES256", "", keys()["ES256"], claims(c, map[string]any{"sub": fmt.Sprint("u", i)})))
	}
	release := v.Occupy()
	var all sync.WaitGroup
	for i := range 4 {
		text := make(i)
		all.Go(func() {
			if got := v.Verify(context.Background(), netip.Addr{}, text); got.Refusal != nil {
				t.Error(got.Refusal)
			}
		})
	}
	eventually(t, "four wait", func() bool { return v.Figures().Waiting == 4 })
	if got := v.Verify(t.Context(), netip.Addr{}, make(5)); reasonOf(got) != token.Busy || !got.Refusal.Temporary {
		t.Errorf("with a full queue: %+v", got)
	}
	want(t, v, sign(t, "EdDSA", "", keys()["EdDSA"], claims(c, nil)), token.Invalid) // needs no place
	release()
	all.Wait()
	if got := v.Verify(t.Context(), netip.Addr{}, make(5)); got.Refusal != nil {
		t.Errorf("with an empty queue: %v", got.Refusal)
	}

	release = v.Occupy()
	ctx, cancel := context.WithCancel(t.Context())
	all.Go(func() {
		if got := v.Verify(ctx, netip.Addr{}, make(6)); reasonOf(got) != token.Busy {
			t.Errorf("without a client any more: %+v", got)
		}
	})
	eventually(t, "one waits", func() bool { return v.Figures().Waiting == 1 })
	cancel()
	all.Wait()
	before := v.Figures().Verifications
	release()
	want(t, v, string(make(7)), "accepted") // behind the one whose client is gone
	if n := v.Figures().Verifications; n != before+1 {
		t.Errorf("%d signatures were computed, one for nobody", n-before)
	}
}

// TestPoolIsShared has one address fill the queue. Another one finds room all the same, and
// does not wait for all that was there before.
func TestPoolIsShared(t *testing.T) {
	c := newClock()
	v := esVerifier(t, c, token.Options{Workers: 1, Queue: 8})
	make := func(i int) []byte {
		return []byte(sign(t, "ES256", "", keys()["ES256"], claims(c, map[string]any{"sub": fmt.Sprint("u", i)})))
	}
	many, other := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.51.100.1")
	release := sync.OnceFunc(v.Occupy())
	t.Cleanup(release)
	var all sync.WaitGroup
	var busy atomic.Int64
	for i := range 9 {
		text := make(i)
		all.Go(func() {
			if got := v.Verify(context.Background(), many, text); reasonOf(got) == token.Busy {
				busy.Add(1)
			}
		})
	}
	eventually(t, "one finds no place", func() bool { return v.Figures().Waiting == 8 && busy.Load() == 1 })
	all.Go(func() {
		if got := v.Verify(context.Background(), other, make(9)); got.Refusal != nil {
			t.Errorf("the other address: %v", got.Refusal)
		}
	})
	eventually(t, "another one makes room", func() bool { return busy.Load() == 2 })
	release()
	all.Wait()
	if got := busy.Load(); got != 2 || v.Figures().Waiting != 0 {
		t.Errorf("%d are refused, %d wait", got, v.Figures().Waiting)
	}
}

// TestPoolWeighsCosts lets fewer tokens wait if they take longer.
func TestPoolWeighsCosts(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Workers: 1, Queue: 100_000, Issuers: []token.Issuer{{Issuer: issName, Keys: pemOf(t, keys()["ES512"])}}})
	text := []byte(sign(t, "ES512", "", keys()["ES512"], claims(c, nil)))
	release := v.Occupy()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for i := 0; ; i++ {
		if i > 700 { // two seconds of work are some 526 of them
			t.Fatal("there is no end to what may wait")
		}
		before := v.Figures()
		all.Go(func() { v.Verify(ctx, netip.Addr{}, text) })
		eventually(t, "it waits or is refused", func() bool {
			now := v.Figures()
			return now.Waiting > before.Waiting || now.Refused[token.Busy] > before.Refused[token.Busy]
		})
		if v.Figures().Refused[token.Busy] > 0 {
			if i < 400 {
				t.Errorf("full at %d", i)
			}
			return
		}
	}
}

// TestClose finishes what waits, refuses what comes later as temporary, and leaves no
// goroutine.
func TestClose(t *testing.T) {
	c := newClock()
	before := runtime.NumGoroutine()
	v, err := token.New(token.Options{Issuers: []token.Issuer{{Issuer: issName, Keys: pemOf(t, keys()["ES256"])}, {JWKS: "http://127.0.0.1:1/keys"}}, Now: c.now, Logger: testrun.Log(t), Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(sign(t, "ES256", "", keys()["ES256"], claims(c, nil)))
	release := v.Occupy()
	answered := make(chan token.Verdict)
	go func() { answered <- v.Verify(context.Background(), netip.Addr{}, text) }()
	eventually(t, "it waits", func() bool { return v.Figures().Waiting == 1 })
	closed := make(chan struct{})
	go func() {
		v.Close()
		close(closed)
	}()
	release()
	if got := <-answered; got.Refusal != nil {
		t.Errorf("what waited: %v", got.Refusal)
	}
	<-closed
	v.Close()
	late := []byte(sign(t, "ES256", "", keys()["ES256"], claims(c, map[string]any{"sub": "bob"})))
	if got := v.Verify(context.Background(), netip.Addr{}, late); reasonOf(got) != token.Busy {
		t.Errorf("after Close: %+v", got)
	}
	eventually(t, "its goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// TestHMACThatComesAgain has the caches know an HMAC when it comes the second time: a token
// that comes once costs no memory.
func TestHMACThatComesAgain(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret}}})
	good, bad := sign(t, "HS256", "", []byte(secret), claims(c, nil)), sign(t, "HS256", "", []byte(secret+"."), claims(c, nil))
	for i, known := range []struct{ verifications, cached int }{{2, 0}, {4, 2}, {4, 2}} {
		want(t, v, good, "accepted")
		want(t, v, bad, token.Invalid)
		if f := v.Figures(); int(f.Verifications) != known.verifications || int(f.Cached) != known.cached {
			t.Errorf("after %d times: %+v", i+1, f)
		}
	}
}
