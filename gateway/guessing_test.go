package gateway_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/token"
)

// guessesAtOnce is how many guesses are under way at a time.
const guessesAtOnce = 16

// loopback is an address of this machine, another one for each number below 2^22.
func loopback(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(64 + n>>16), byte(n >> 8), byte(n)})
}

// answerTo connects from one address of this machine to another, sends a text, and returns
// the first line of the answer.
func answerTo(from netip.Addr, to, text string) (line string, err error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetLinger(0) // thousands would use up the ports
	conn.SetDeadline(time.Now().Add(patience))
	if _, err = conn.Write([]byte(text)); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

// guess calls try for each number, several at a time, and counts the answers by their kinds.
func guess(t *testing.T, n int, kinds []string, try func(i int) (line string, err error)) map[string]int {
	t.Helper()
	var next atomic.Int64
	var lock sync.Mutex
	counts := map[string]int{}
	var all sync.WaitGroup
	for range guessesAtOnce {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				line, err := try(i)
				kind := fmt.Sprintf("%.100q %v", line, err)
				for _, k := range kinds {
					if err == nil && strings.Contains(line, k) {
						kind = k
					}
				}
				lock.Lock()
				counts[kind]++
				lock.Unlock()
			}
		})
	}
	all.Wait()
	return counts
}

// usage is what guesses must not use up.
type usage struct {
	heap        uint64
	goroutines  int
	descriptors int
}

func used(t *testing.T) usage {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return usage{m.HeapAlloc, runtime.NumGoroutine(), descriptors(t)}
}

// released checks that guesses have left neither goroutines nor connections behind, and not
// much memory.
func (before usage) released(t *testing.T, most uint64) {
	t.Helper()
	until(t, "the end of all connections and goroutines", func() bool {
		return runtime.NumGoroutine() <= before.goroutines+2 && descriptors(t) <= before.descriptors+2
	})
	if now := used(t); now.heap > before.heap+most {
		t.Errorf("the heap has grown by %d bytes", now.heap-before.heap)
	}
}

// keyWays are the ways to show a key: to which port, in what form, and how the answer
// begins that refuses it.
func keyWays(s *server, o *operator) map[string]struct{ to, form, wrong, limited, right string } {
	const bearer = "\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nAuthorization: Bearer %s\r\n\r\n{}"
	admin := o.web.Listener.Addr().String()
	return map[string]struct{ to, form, wrong, limited, right string }{
		"AUTH":  {s.publishAddr(), "*2\r\n$4\r\nAUTH\r\n$47\r\n%s\r\n", "-WRONGPASS", "-ERR rate limited", "+OK"},
		"HELLO": {s.publishAddr(), "*5\r\n$5\r\nHELLO\r\n$1\r\n2\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$47\r\n%s\r\n", "-WRONGPASS", "-ERR rate limited", "*14"},
		"line":  {s.publishAddr(), `{"id":1,"auth":"%s"}` + "\n", `"invalid_key"`, `"rate_limited"`, `"authenticated"`},
		"API":   {admin, "POST /api/publish HTTP/1.1" + bearer, " 401 ", " 429 ", " 400 "},
		"admin": {admin, "POST /api/publishers/999/disconnect HTTP/1.1" + bearer, " 401 ", " 429 ", " 404 "},
	}
}

// TestGuessedKeys: thousands of addresses guess keys, and one address does so again and again,
// in every way. Each address may be wrong ten times at once. A right key is taken at once, at
// the guesser's address and at others.
func TestGuessedKeys(t *testing.T) { guessKeys(t, scaled(1_500, 5)) }

func guessKeys(t *testing.T, many int) {
	w := newWitness(t)
	publisherText, publisher := w.key("upstream", "**")
	operatorText, admin := w.operatorKey("ops", keys.Write)
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys, c.AdminKeys = []gateway.Key{publisher}, []gateway.Key{admin} })
	ways := keyWays(s, s.operator())
	text := map[string]string{"AUTH": publisherText, "HELLO": publisherText, "line": publisherText, "API": publisherText, "admin": operatorText}
	honest := func(name string, from netip.Addr) {
		t.Helper()
		way := ways[name]
		if line, err := answerTo(from, way.to, fmt.Sprintf(way.form, text[name])); err != nil || !strings.Contains(line, way.right) {
			t.Errorf("%s: a right key from %v is answered with %q, %v", name, from, line, err)
		}
	}
	before, guesses, addresses := used(t), 0, 0
	each := many / len(ways)
	for name, way := range ways {
		many := guess(t, each, []string{way.wrong}, func(i int) (string, error) {
			return answerTo(loopback(addresses+i), way.to, fmt.Sprintf(way.form, keys.New()))
		})
		if many[way.wrong] != each {
			t.Errorf("%s: guesses from as many addresses are answered with %v", name, many)
		}
		honest(name, loopback(addresses))
		addresses += each
		one := loopback(addresses)
		addresses++
		start := time.Now()
		often := guess(t, each/2, []string{way.wrong, way.limited}, func(int) (string, error) {
			return answerTo(one, way.to, fmt.Sprintf(way.form, keys.New()))
		})
		most := 10 + int(time.Since(start)/(6*time.Second)) + 1
		if often[way.wrong] > most || often[way.wrong]+often[way.limited] != each/2 {
			t.Errorf("%s: guesses from one address are answered with %v, at most %d should be looked at", name, often, most)
		}
		for other := range ways {
			honest(other, one)
		}
		honest(name, loopback(addresses))
		guesses += each + each/2
	}
	before.released(t, 16<<20)
	stats := s.stats()
	if n := stats.Publish.Errors["invalid_key"] + stats.AdminRefused["invalid_key"]; n != uint64(guesses) || stats.Publish.Events != 0 {
		t.Errorf("%d of %d guesses are counted, and %d events", n, guesses, stats.Publish.Events)
	}
}

// requestWith is a request to connect that shows a token.
func requestWith(token string) string {
	return head + "Authorization: Bearer " + token + "\r\n\r\n"
}

// forged is alice's token with another signature, another one for each number.
func forged(n int) string {
	text := alice()
	sum := sha256.Sum256(fmt.Append(nil, n, text))
	return text[:strings.LastIndexByte(text, '.')+1] + base64.RawURLEncoding.EncodeToString(sum[:])
}

// TestGuessedTokens: thousands of addresses guess tokens, and one does so again and again, by
// requests to connect and by messages. Of one address --address-connects are taken, whatever
// they show; so an honest user there gets in when the rate allows the next, and one at
// another address at once. On a connection --client-commands bounds guesses.
func TestGuessedTokens(t *testing.T) { guessTokens(t, scaled(1_000, 2)) }

func guessTokens(t *testing.T, many int) {
	s := start(t, identified, func(c *gateway.Config) {
		c.AddressConnects = gateway.Rate{PerSecond: 2, Burst: 20}
		c.ClientCommands = gateway.Rate{PerSecond: 1, Burst: 50}
	})
	p := s.shows("Authorization: Bearer " + alice())
	p.welcomed()
	p.subscribe("chat.a")
	before := used(t)
	const refused, wait, taken = " 401 ", " 429 ", " 101 "
	if got := guess(t, many, []string{refused}, func(i int) (string, error) {
		return answerTo(loopback(i), s.clientAddr(), requestWith(forged(i)))
	}); got[refused] != many {
		t.Errorf("guesses from as many addresses are answered with %v", got)
	}
	one, start := loopback(many), time.Now()
	if got := guess(t, many/2, []string{refused, wait}, func(i int) (string, error) {
		return answerTo(one, s.clientAddr(), requestWith(forged(many+i)))
	}); got[refused] > 21+2*int(time.Since(start)/time.Second+1) || got[refused]+got[wait] != many/2 {
		t.Errorf("guesses from one address are answered with %v", got)
	}
	if line, err := answerTo(loopback(many+1), s.clientAddr(), requestWith(alice())); !strings.Contains(line, taken) {
		t.Errorf("an honest user at another address is answered with %q, %v", line, err)
	}
	until(t, "an honest user at the guesser's address", func() bool {
		line, _ := answerTo(one, s.clientAddr(), requestWith(alice()))
		return strings.Contains(line, taken)
	})

	// A client goes on being who it is, whatever it guesses, and its guesses are commands.
	limited := 0
	for i := range 200 {
		p.says(fmt.Sprintf(`{"type":"authenticate","id":1,"token":%q}`, forged(i)))
		switch m := decode[standing](p, p.text()); m.Code {
		case "token_invalid":
		case "limit_exceeded", "rate_limited":
			limited++
		default:
			t.Fatalf("a guess is answered with %+v", m)
		}
	}
	if limited < 50 { // on a machine that is slow, some are allowed again
		t.Errorf("%d of 200 guesses are too many", limited)
	}
	s.publish("chat.a", "1")
	if m := decode[message](p, p.text()); m.Channel != "chat.a" {
		t.Errorf("the client gets %+v", m)
	}
	before.released(t, 16<<20)
	if total := s.stats().Total; total.Clients != 1 {
		t.Errorf("%d clients", total.Clients)
	}
}

// newES256 is a key that signs by ES256.
func newES256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// publicPEM is the public part of a key, for an issuer.
func publicPEM(key *ecdsa.PrivateKey) string {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err) // the curve is known
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}

// signedES256 is a token with claims. Without a key its signature is made up.
func signedES256(c claims, key *ecdsa.PrivateKey) string {
	body, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"ES256"}`)) + "." + encode(body)
	digest := sha256.Sum256([]byte(text))
	signature := append(digest[:], digest[:]...)
	if key != nil {
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
	}
	return text + "." + encode(signature)
}

// TestForgedES256 has many tokens come that each cost a verification. Beside them,
// users with a token that is known connect at once, users with a new one when its turn has
// come, and subscribers miss nothing. What has been refused once costs nothing again.
func TestForgedES256(t *testing.T) { forgeES256(t, scaled(1_000, 2)) }

func forgeES256(t *testing.T, many int) {
	key := newES256(t)
	end := time.Now().Add(time.Hour).Unix()
	of := func(user string) claims {
		return claims{"sub": user, "exp": end, "fleetcast": grants(`{"subscribe":["chat.*"]}`)}
	}
	s := start(t, noPings, func(c *gateway.Config) { c.Issuers = []token.Issuer{{Keys: publicPEM(key)}} })
	known := signedES256(of("alice"), key)
	p := s.shows("Authorization: Bearer " + known)
	p.welcomed()
	p.subscribe("chat.a")
	before := used(t)
	flooded := make(chan map[string]int)
	flood := func(n int) (counts map[string]int) {
		return guess(t, n, []string{" 401 "}, func(i int) (string, error) {
			return answerTo(loopback(i), s.clientAddr(), requestWith(signedES256(of(fmt.Sprint("mallory", i)), nil)))
		})
	}
	go func() { flooded <- flood(many) }()
	for n := 0; ; n++ {
		for name, text := range map[string]string{"known": known, "new": signedES256(of(fmt.Sprint("bob", n)), key)} {
			if line, err := answerTo(loopback(many+1), s.clientAddr(), requestWith(text)); !strings.Contains(line, " 101 ") {
				t.Errorf("a user with a token that is %s is answered with %q, %v", name, line, err)
			}
		}
		s.publish("chat.a", fmt.Sprint(n))
		if m := decode[message](p, p.text()); m.Offset != uint64(n+1) {
			t.Fatalf("the subscriber gets %+v", m)
		}
		select {
		case counts := <-flooded:
			if counts[" 401 "] != many {
				t.Errorf("forged tokens are answered with %v", counts)
			}
			again := min(many, 1000)
			if counts := flood(again); counts[" 401 "] != again {
				t.Errorf("the same again are answered with %v", counts)
			}
			verified := s.stats().Tokens.Verifications
			if honest := uint64(n + 2); verified > uint64(many)+honest {
				t.Errorf("%d verifications for %d forged tokens and %d others", verified, many, honest)
			}
			before.released(t, 32<<20)
			return
		default:
		}
	}
}
