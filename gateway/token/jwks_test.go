package token_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// keyServer is a server of keys over HTTPS, with a certificate of its own root.
type keyServer struct {
	*httptest.Server
	answer   atomic.Pointer[http.HandlerFunc]
	requests atomic.Int64
	stalled  chan struct{} // closed at the end: no handler stays
}

func newKeyServer(t testing.TB, body string) *keyServer {
	s := &keyServer{stalled: make(chan struct{})}
	s.serve(body)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		(*s.answer.Load())(w, r)
	}))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(func() {
		close(s.stalled)
		s.Close()
	})
	return s
}

func (s *keyServer) serve(body string) {
	s.handle(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
}

func (s *keyServer) handle(f http.HandlerFunc) { s.answer.Store(&f) }

func (s *keyServer) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// jwksVerifier trusts what a server serves. It fetches by itself once, and then only for
// unknown keys, unless change says otherwise.
func jwksVerifier(t testing.TB, c *clock, s *keyServer, change func(*token.Options)) *token.Verifier {
	t.Helper()
	o := token.Options{Issuers: []token.Issuer{{Issuer: issName, JWKS: s.URL + "/keys"}}, RootCAs: s.roots()}
	o.SetTiming(time.Hour, time.Hour, 0, time.Minute, time.Minute)
	if change != nil {
		change(&o)
	}
	return newVerifier(t, c, o)
}

// fetched waits until a verifier has fetched so many times.
func fetched(t testing.TB, v *token.Verifier, n uint64) {
	t.Helper()
	eventually(t, fmt.Sprint("fetched ", n, " times"), func() bool { return v.Figures().KeyFetches >= n })
}

func TestKeysAreFetched(t *testing.T) {
	c := newClock()
	old, next := newP256(t), newP256(t)
	s := newKeyServer(t, jwksOf(t, jwkOf(t, old, "old"), jwkOf(t, keys()["RS256"], "rsa")))
	v := jwksVerifier(t, c, s, nil)
	// The first token waits for the first keys.
	first := sign(t, "ES256", "old", old, claims(c, nil))
	want(t, v, first, "accepted")
	want(t, v, sign(t, "PS384", "rsa", keys()["RS256"], claims(c, nil)), "accepted")
	want(t, v, sign(t, "RS256", "", keys()["RS256"], claims(c, nil)), "accepted") // without a key id
	want(t, v, sign(t, "RS256", "old", keys()["RS256"], claims(c, nil)), token.Invalid)
	want(t, v, sign(t, "ES256", "old", next, claims(c, nil)), token.Invalid)
	want(t, v, sign(t, "HS256", "old", []byte(secret), claims(c, nil)), token.Invalid)
	if n := s.requests.Load(); n != 1 {
		t.Fatalf("%d requests", n)
	}

	// A key is added: the first token that names it has the keys fetched.
	s.serve(jwksOf(t, jwkOf(t, old, "old"), jwkOf(t, next, "new")))
	second := sign(t, "ES256", "new", next, claims(c, nil))
	want(t, v, second, "accepted")
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
	if _, left := v.Quick([]byte(first)); left != nil {
		t.Error("a token whose key stays is not known any more")
	}

	// A key is removed: what was accepted by it is no longer.
	s.serve(jwksOf(t, jwkOf(t, next, "new")))
	c.advance(31 * time.Second)
	unknown := sign(t, "ES256", "nobody's", old, claims(c, nil))
	want(t, v, unknown, token.UnknownKey)
	want(t, v, second, "accepted")
	want(t, v, first, token.KeysUnavailable) // its key may come back: the keys were fetched a moment ago, but not for it
	c.advance(31 * time.Second)
	want(t, v, first, token.UnknownKey)
	want(t, v, first, token.UnknownKey)
	if n := s.requests.Load(); n != 4 {
		t.Errorf("%d requests", n)
	}
}

// TestUnknownKeysFetchSeldom has tokens with many unknown keys cause one request in
// 30 seconds, and refuses what cannot be known as temporary.
func TestUnknownKeysFetchSeldom(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
	v := jwksVerifier(t, c, s, nil)
	want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, nil)), "accepted")
	for round := range 3 {
		for i := range 20 {
			text := sign(t, "ES256", fmt.Sprint("kid", round, "-", i), keys()["ES256"], claims(c, nil))
			reason := token.KeysUnavailable
			if i == 0 {
				reason = token.UnknownKey
			}
			if got := want(t, v, text, reason); got.Refusal != nil && got.Refusal.Temporary != (i > 0) {
				t.Errorf("%+v", got.Refusal)
			}
		}
		if n := s.requests.Load(); n != int64(round+2) {
			t.Fatalf("%d requests", n)
		}
		c.advance(29 * time.Second)
		want(t, v, sign(t, "ES256", "between", keys()["ES256"], claims(c, nil)), token.KeysUnavailable)
		c.advance(time.Second)
	}
}

// TestUnknownKeysTogether has many tokens with a new key wait for one request.
func TestUnknownKeysTogether(t *testing.T) {
	c := newClock()
	next := newP256(t)
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
	v := jwksVerifier(t, c, s, nil)
	fetched(t, v, 1)
	entered, leave := make(chan struct{}, 9), make(chan struct{})
	body := jwksOf(t, jwkOf(t, next, "new"))
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-leave
		fmt.Fprint(w, body)
	})
	var all sync.WaitGroup
	for i := range 16 {
		text := []byte(sign(t, "ES256", "new", next, claims(c, map[string]any{"sub": fmt.Sprint("u", i)})))
		all.Go(func() {
			if got := v.Verify(context.Background(), netip.Addr{}, text); got.Refusal != nil {
				t.Error(got.Refusal)
			}
		})
	}
	<-entered
	// Other tokens are verified meanwhile, and one whose client goes is let go.
	want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, nil)), "accepted")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := v.Verify(ctx, netip.Addr{}, []byte(sign(t, "ES256", "new", next, claims(c, nil)))); got.Refusal == nil || !got.Refusal.Temporary {
		t.Errorf("%+v", got)
	}
	close(leave)
	all.Wait()
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestKeysWithoutID are replaced: that a signature fails is the only sign of it.
func TestKeysWithoutID(t *testing.T) {
	c := newClock()
	next := newP256(t)
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "")))
	v := jwksVerifier(t, c, s, nil)
	before := sign(t, "ES256", "", keys()["ES256"], claims(c, nil))
	want(t, v, before, "accepted")
	s.serve(jwksOf(t, jwkOf(t, next, "")))
	want(t, v, sign(t, "ES256", "", next, claims(c, nil)), "accepted")
	want(t, v, sign(t, "ES256", "named", next, claims(c, nil)), "accepted")
	want(t, v, before, token.Invalid)
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestBadAnswersChangeNothing has a server of keys fail in all manners: the keys that are
// there stay, and a token with a new key is refused as temporary.
func TestBadAnswersChangeNothing(t *testing.T) {
	next := newP256(t)
	good := jwksOf(t, jwkOf(t, next, "new"))
	for name, answer := range map[string]func(*keyServer) http.HandlerFunc{
		"500": func(*keyServer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, good, http.StatusInternalServerError) }
		},
		"404": func(*keyServer) http.HandlerFunc { return http.NotFound },
		"redirect": func(s *keyServer) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/good" {
					fmt.Fprint(w, good)
					return
				}
				http.Redirect(w, r, "/good", http.StatusFound)
			}
		},
		"10 MB": func(*keyServer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, strings.TrimSuffix(good, "}"), `,"filler":"`)
				for range 10 << 10 {
					fmt.Fprint(w, strings.Repeat("x", 1024))
				}
				fmt.Fprint(w, `"}`)
			}
		},
		"10 MB of spaces behind": func(*keyServer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, good)
				for range 10 << 10 {
					fmt.Fprint(w, strings.Repeat(" ", 1024))
				}
			}
		},
		"10 MB of headers": func(*keyServer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				for i := range 10 << 10 {
					w.Header().Set(fmt.Sprint("H-", i), strings.Repeat("x", 1024))
				}
				fmt.Fprint(w, good)
			}
		},
		"no keys":       body(`{"keys":[]}`),
		"null":          body(`null`),
		"nothing":       body(``),
		"HTML":          body(`<html>maintenance</html>`),
		"no set":        body(`{"error":"maintenance"}`),
		"cut off":       body(good[:len(good)-1]),
		"secrets only":  body(`{"keys":[{"kty":"oct","kid":"new","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY","alg":"HS256"}]}`),
		"unknown types": body(`{"keys":[{"kty":"XX","kid":"new"}]}`),
		"broken off": func(*keyServer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(good)+10))
				fmt.Fprint(w, good)
			}
		},
		"hangs up": func(*keyServer) http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
			v := jwksVerifier(t, c, s, nil)
			known := sign(t, "ES256", "known", keys()["ES256"], claims(c, nil))
			want(t, v, known, "accepted")
			s.handle(answer(s))
			token1 := sign(t, "ES256", "new", next, claims(c, nil))
			if got := want(t, v, token1, token.KeysUnavailable); got.Refusal != nil && !got.Refusal.Temporary {
				t.Errorf("%+v", got.Refusal)
			}
			want(t, v, sign(t, "HS256", "new", []byte("0123456789abcdef0123456789abcdef"), claims(c, nil)), token.Invalid)
			want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, map[string]any{"sub": "bob"})), "accepted")
			if f := v.Figures(); f.KeyFetchFailure != 1 || f.IssuersFailing != 1 || f.IssuersKeyless != 0 {
				t.Errorf("%+v", f)
			}
			s.serve(good) // it is well again
			c.advance(31 * time.Second)
			want(t, v, token1, "accepted")
		})
	}
}

func body(text string) func(*keyServer) http.HandlerFunc {
	return func(*keyServer) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
}

// TestKeysBesideOnesOfNoUse takes what can be used of a set.
func TestKeysBesideOnesOfNoUse(t *testing.T) {
	c := newClock()
	private := jwkOf(t, newP256(t), "private")
	private["d"] = "AAAA"
	s := newKeyServer(t, jwksOf(t, map[string]any{"kty": "XX"}, map[string]any{"kty": "oct", "kid": "o", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"},
		private, withMember(jwkOf(t, keys()["RS256"], "enc"), "use", "enc"), withMember(jwkOf(t, keys()["ES256"], "good"), "x5u", "https://evil.example/"), withMember(jwkOf(t, keys()["ES384"], "also"), "x5c", []string{"no certificate"})))
	v := jwksVerifier(t, c, s, nil)
	want(t, v, sign(t, "ES256", "good", keys()["ES256"], claims(c, nil)), "accepted")
	want(t, v, sign(t, "ES384", "also", keys()["ES384"], claims(c, nil)), "accepted")
	want(t, v, sign(t, "RS256", "enc", keys()["RS256"], claims(c, nil)), token.UnknownKey)
	want(t, v, sign(t, "HS256", "o", []byte(secret), claims(c, nil)), token.Invalid)
}

// TestStalledServer lets no token wait long, and holds up nobody but those that need the
// new keys.
func TestStalledServer(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
	v := jwksVerifier(t, c, s, func(o *token.Options) {
		o.SetTiming(time.Hour, time.Hour, 0, 20*time.Millisecond, time.Hour)
		o.Workers, o.Queue = 1, 1
	})
	fetched(t, v, 1)
	s.handle(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-s.stalled:
		case <-r.Context().Done():
		}
	})
	for i := range 5 {
		answered := make(chan string, 1)
		text := []byte(sign(t, "ES256", fmt.Sprint("new", i), keys()["ES256"], claims(c, nil)))
		go func() { answered <- reasonOf(v.Verify(context.Background(), netip.Addr{}, text)) }()
		select {
		case got := <-answered:
			if got != token.KeysUnavailable {
				t.Error(got)
			}
		case <-time.After(time.Minute):
			t.Fatal("a token waits without end")
		}
		want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, map[string]any{"sub": fmt.Sprint("u", i)})), "accepted")
	}
}

// TestWaitingIsBounded lets so many tokens wait for keys, and no more.
func TestWaitingIsBounded(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, "")
	s.handle(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-s.stalled:
		case <-r.Context().Done():
		}
	})
	v := jwksVerifier(t, c, s, func(o *token.Options) { o.SetTiming(0, 0, 0, time.Hour, time.Hour) })
	if f := v.Figures(); f.IssuersKeyless != 1 {
		t.Errorf("%+v", f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	text := []byte(sign(t, "ES256", "new", keys()["ES256"], claims(c, nil)))
	for range 1024 + 3 {
		all.Go(func() { v.Verify(ctx, netip.Addr{}, text) })
	}
	eventually(t, "three are refused", func() bool { return v.Figures().Refused[token.Busy] == 3 })
	cancel()
	all.Wait()
	if f := v.Figures(); f.Refused[token.Busy] != 3 || f.Refused[token.KeysUnavailable] != 1024 {
		t.Errorf("%+v", f)
	}
}

// TestStallEnds ends a fetch that takes too long: the next one finds the server well.
func TestStallEnds(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, "")
	good := jwksOf(t, jwkOf(t, keys()["ES256"], "known"))
	slowly := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, good[:10])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	s.handle(slowly)
	v := jwksVerifier(t, c, s, func(o *token.Options) { o.SetTiming(time.Hour, time.Millisecond, 0, time.Minute, 500*time.Millisecond) })
	fetched(t, v, 1)
	s.serve(good)
	eventually(t, "accepted", func() bool {
		return reasonOf(verify(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, nil)))) == "accepted"
	})
}

// TestPeriodicRefresh brings new keys, and takes old ones away, without any token that
// asks for them.
func TestPeriodicRefresh(t *testing.T) {
	c := newClock()
	next := newP256(t)
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "old")))
	v := jwksVerifier(t, c, s, func(o *token.Options) {
		o.SetTiming(20*time.Millisecond, time.Millisecond, 0, time.Minute, time.Minute)
	})
	before := sign(t, "ES256", "old", keys()["ES256"], claims(c, nil))
	want(t, v, before, "accepted")
	s.serve(jwksOf(t, jwkOf(t, next, "new")))
	eventually(t, "the old key is gone", func() bool { return reasonOf(verify(t, v, before)) != "accepted" })
	want(t, v, sign(t, "ES256", "new", next, claims(c, nil)), "accepted")
}

// TestWrongCertificate trusts no server that cannot show who it is.
func TestWrongCertificate(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
	v := jwksVerifier(t, c, s, func(o *token.Options) { o.RootCAs = x509.NewCertPool() })
	want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, nil)), token.KeysUnavailable)
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestQueryIsHidden: a secret may stand in the query of a URL. No line of the log has it.
func TestQueryIsHidden(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, "no keys")
	for name, at := range map[string]string{"an answer without keys": s.URL + "/keys", "nobody there": "http://127.0.0.1:1/keys"} {
		var log logged
		v := jwksVerifier(t, c, s, func(o *token.Options) {
			o.Issuers[0].JWKS = at + "?key=" + testrun.Secret
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, nil)), token.KeysUnavailable)
		eventually(t, name, func() bool { return strings.Contains(log.String(), "cannot be fetched") })
		if text := log.String(); strings.Contains(text, testrun.Secret) || !strings.Contains(text, "url="+at+" ") {
			t.Errorf("%s is logged as %s", name, text)
		}
	}
}

// TestUnusedKeysAreTold: a key that is too weak is left out, and the log says so once.
func TestUnusedKeysAreTold(t *testing.T) {
	c := newClock()
	good, weak := jwkOf(t, keys()["ES256"], "known"), jwkOf(t, newRSA(t, 1024), "weak")
	s := newKeyServer(t, jwksOf(t, good, weak))
	var log logged
	v := jwksVerifier(t, c, s, func(o *token.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.SetTiming(time.Millisecond, time.Hour, 0, time.Minute, time.Minute)
	})
	want(t, v, sign(t, "ES256", "known", keys()["ES256"], claims(c, nil)), "accepted")
	fetched(t, v, 3)
	if text := log.String(); strings.Count(text, "not used") != 1 || !strings.Contains(text, "used=1 unused=1") || !strings.Contains(text, "key 2: it is an RSA key of 1024 bits") {
		t.Errorf("logged: %s", text)
	}
}

// logged is what is logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestKeysOnDisk starts with the last good keys where the server does not answer.
func TestKeysOnDisk(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
	withDir := func(o *token.Options) { o.KeysDir = dir }
	text := sign(t, "ES256", "known", keys()["ES256"], claims(c, nil))
	want(t, jwksVerifier(t, c, s, withDir), text, "accepted")
	eventually(t, "saved", func() bool { return len(files(t, dir)) == 1 })
	s.serve(`{"keys":[]}`)
	again := jwksVerifier(t, c, s, withDir)
	want(t, again, text, "accepted")
	fetched(t, again, 1)
	want(t, again, sign(t, "ES256", "known", keys()["ES256"], claims(c, map[string]any{"sub": "bob"})), "accepted")
	want(t, jwksVerifier(t, c, s, nil), text, token.KeysUnavailable)
	want(t, jwksVerifier(t, c, s, func(o *token.Options) {
		o.KeysDir = dir
		o.Issuers[0].JWKS += "?other" // another URL's keys are others
	}), text, token.KeysUnavailable)

	// A set on disk that is broken counts as none, and good keys replace it.
	path := files(t, dir)[0]
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte(`{"keys":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, jwksVerifier(t, c, s, withDir), text, token.KeysUnavailable)
	good := jwksOf(t, jwkOf(t, keys()["ES256"], "known"))
	s.serve(good)
	want(t, jwksVerifier(t, c, s, withDir), text, "accepted")
	eventually(t, "saved again", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && string(text) == good
	})
	// A folder that is not there costs no token.
	want(t, jwksVerifier(t, c, s, func(o *token.Options) { o.KeysDir = filepath.Join(dir, "not", "there") }), text, "accepted")
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "jwks-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestTooManyKeysToTry bounds the work for a token that names no key.
func TestTooManyKeysToTry(t *testing.T) {
	c := newClock()
	var set []map[string]any
	for i := range 9 {
		set = append(set, jwkOf(t, newP256(t), fmt.Sprint("k", i)))
	}
	set = append(set, jwkOf(t, keys()["ES256"], "mine"))
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Issuer: issName, Keys: jwksOf(t, set...)}}})
	want(t, v, sign(t, "ES256", "", keys()["ES256"], claims(c, nil)), token.Invalid)
	want(t, v, sign(t, "ES256", "mine", keys()["ES256"], claims(c, nil)), "accepted")
	if f := v.Figures(); f.Verifications != 1 {
		t.Errorf("%d signatures were computed", f.Verifications)
	}
}
