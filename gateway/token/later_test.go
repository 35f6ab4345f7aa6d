package token_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// ask asks about a token as a shard does. The channel gets each answer, of which there must be one.
func ask(ctx context.Context, t testing.TB, v *token.Verifier, from netip.Addr, text string) <-chan token.Verdict {
	t.Helper()
	_, left := v.Quick([]byte(text))
	if left == nil {
		t.Fatal("nothing is left of the token to be asked")
	}
	answers := make(chan token.Verdict, 2)
	v.Later(ctx, from, left, func(v token.Verdict) { answers <- v })
	return answers
}

// TestLater has each way in which a question ends answer it once, and without a goroutine
// while it waits.
func TestLater(t *testing.T) {
	c := newClock()
	one, other := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.51.100.1")
	signed := func(user int) string {
		return sign(t, "ES256", "", keys()["ES256"], claims(c, map[string]any{"sub": fmt.Sprint("u", user)}))
	}
	v := esVerifier(t, c, token.Options{Workers: 1, Queue: 100})
	forged := ask(t.Context(), t, v, one, sign(t, "ES256", "", keys()["other P-256"], claims(c, nil)))
	if got := <-forged; reasonOf(got) != token.Invalid {
		t.Errorf("forged: %+v", got)
	}

	release := v.Occupy()
	goroutines := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	gone := ask(ctx, t, v, other, signed(0))
	var waits []<-chan token.Verdict
	for i := range 99 {
		waits = append(waits, ask(t.Context(), t, v, one, signed(1+i)))
	}
	if n := runtime.NumGoroutine(); n > goroutines+10 {
		t.Errorf("%d goroutines wait with 100 questions", n-goroutines)
	}
	full := ask(t.Context(), t, v, one, signed(100))
	if got := <-full; reasonOf(got) != token.Busy || !got.Refusal.Temporary {
		t.Errorf("without room: %+v", got)
	}
	cancel()
	if got := <-gone; reasonOf(got) != token.Busy {
		t.Errorf("without a client: %+v", got)
	}
	waits = append(waits, ask(t.Context(), t, v, other, signed(101)), ask(t.Context(), t, v, other, signed(102)))
	if got := <-waits[98]; reasonOf(got) != token.Busy {
		t.Errorf("last of the address that has most: %+v", got)
	}
	before := v.Figures().Verifications
	release()
	for i, answers := range waits {
		if i == 98 {
			continue
		}
		if got := <-answers; got.Refusal != nil {
			t.Errorf("%d: %v", i, got.Refusal)
		}
	}
	if n := v.Figures().Verifications - before; n != 100 {
		t.Errorf("%d signatures were computed for 100 answers", n)
	}
	for _, answers := range append(waits, gone, full, forged) {
		if len(answers) > 0 {
			t.Errorf("a second answer: %+v", <-answers)
		}
	}
}

// TestLaterOfClosed has a verifier that is closed leave its questions to its successor.
func TestLaterOfClosed(t *testing.T) {
	c := newClock()
	o := token.Options{Issuers: []token.Issuer{{Issuer: issName, Keys: pemOf(t, keys()["ES256"])}}, Now: c.now, Logger: testrun.Log(t)}
	first, err := token.New(o)
	if err != nil {
		t.Fatal(err)
	}
	text := sign(t, "ES256", "", keys()["ES256"], claims(c, nil))
	_, left := first.Quick([]byte(text))
	_, late := first.Quick([]byte(text))
	o.Previous = first
	second := newVerifier(t, c, o)
	first.Close()
	answers := make(chan token.Verdict, 2)
	first.Later(t.Context(), netip.Addr{}, left, func(v token.Verdict) { answers <- v })
	if got := <-answers; got.Refusal != nil {
		t.Errorf("with a successor: %v", got.Refusal)
	}
	second.Close()
	second.Later(t.Context(), netip.Addr{}, late, func(v token.Verdict) { answers <- v })
	if got := <-answers; reasonOf(got) != token.Busy {
		t.Errorf("without a successor: %+v", got)
	}
}

// TestLaterWaitsForKeys answers when the issuer's keys have come.
func TestLaterWaitsForKeys(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
	o := token.Options{Issuers: []token.Issuer{{Issuer: issName, JWKS: s.URL}}, RootCAs: s.roots(), Now: c.now, Logger: testrun.Log(t)}
	o.SetTiming(time.Hour, time.Hour, time.Nanosecond, time.Minute, time.Minute)
	v := newVerifier(t, c, o)
	want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, nil)), "accepted")
	next := newP256(t)
	s.serve(jwksOf(t, jwkOf(t, next, "next")))
	answers := ask(t.Context(), t, v, netip.Addr{}, sign(t, "ES256", "next", next, claims(c, nil)))
	if got := <-answers; got.Refusal != nil {
		t.Errorf("%+v", got.Refusal)
	}
}
