package web_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/token"
	"fleetcast/gateway/web"
	"fleetcast/gateway/web/browsertest"
)

// secret signs the tokens of these tests, unless they say otherwise.
const secret = testrun.Secret + "0123456789abcdef"

// identified has clients say who they are, by tokens that secret signs.
func identified(c *gateway.Config) { c.Issuers = []token.Issuer{{Secret: secret}} }

// signed is a token that key signs, a []byte or a private key, good for the time that is given.
func signed(key any, life time.Duration, claims jwt.MapClaims) string {
	var method jwt.SigningMethod = jwt.SigningMethodHS256
	if _, asymmetric := key.(crypto.Signer); asymmetric {
		method = jwt.SigningMethodES256
	}
	all := jwt.MapClaims{"exp": time.Now().Add(life).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	text, err := jwt.NewWithClaims(method, all).SignedString(key)
	if err != nil {
		panic(err)
	}
	return text
}

// alice has a token of the user alice, good for that long, with further grants beside subscribe.
func alice(life time.Duration, subscribe ...string) string {
	return signed([]byte(secret), life, jwt.MapClaims{"sub": "alice", "fleetcast": map[string]any{"subscribe": subscribe}})
}

// issuing is a server that gives tokens to pages, as an application does. Its methods may be
// called from any goroutine.
type issuing struct {
	*httptest.Server

	mu    sync.Mutex
	give  func(reason, channel string) string // "": none; "error": it fails
	asked []string                            // the reasons, with the channel if there is one
}

func issue(t *testing.T, give func(reason, channel string) string) *issuing {
	t.Helper()
	i := &issuing{give: give}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *issuing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reason, channel := r.FormValue("reason"), r.FormValue("channel")
	i.mu.Lock()
	i.asked = append(i.asked, strings.TrimSpace(reason+" "+channel))
	give := i.give
	i.mu.Unlock()
	switch text := give(reason, channel); text {
	case "":
		w.WriteHeader(http.StatusNoContent)
	case "error":
		http.Error(w, "later", http.StatusServiceUnavailable)
	default:
		_, _ = io.WriteString(w, text)
	}
}

// gives has it give other tokens from now on.
func (i *issuing) gives(give func(reason, channel string) string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.give = give
}

// reasons are those of all calls until now.
func (i *issuing) reasons() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.asked)
}

func (i *issuing) wantReasons(t *testing.T, want ...string) {
	t.Helper()
	if got := i.reasons(); !slices.Equal(got, want) {
		t.Errorf("getToken was called for %q, want %q", got, want)
	}
}

// operator sends a request about the user alice to the admin API of g.
func operator(t *testing.T, g *gateway.Gateway, action, body string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, "http://localhost/api/users/alice/"+action, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	g.AdminHandler(gateway.Admin{}).ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("%s is answered with %d: %s", action, answer.Code, answer.Body)
	}
}

// TestTokens takes a client through the life of its identity: it connects, gets an automatic
// channel and one by a token of its own, shows the next token in time, loses a channel that this
// grants no more and another one to an operator, and is blocked.
func TestTokens(t *testing.T) {
	t.Parallel() // it waits most of the time
	path := node(t)
	g := startGateway(t, identified, stopClock)
	grants := map[string]any{"subscribe": []string{"chat", "news"}, "auto": []string{"inbox"}}
	page := issue(t, func(reason, channel string) string {
		switch {
		case channel != "":
			return signed([]byte(secret), time.Hour, jwt.MapClaims{"sub": "alice", "channel": channel})
		case reason == "refresh":
			return alice(time.Hour, "news")
		}
		return signed([]byte(secret), 5*time.Second, jwt.MapClaims{"sub": "alice", "fleetcast": grants})
	})
	client := startClient(t, path, "identity.mjs", clientURL(g), page.URL, "chat", "news", "orders.17")
	client.expect("shows a token", "open alice true")
	client.expectAnyOrder("auto inbox", "inbox subscribed", "chat subscribed", "news subscribed", "orders.17 subscribed")
	publishTo(t, g, "inbox", `1`)
	client.expect("event inbox 1")

	client.expectAnyOrder("error permission_denied chat", "chat refused", "error permission_denied inbox", "inbox refused")
	page.wantReasons(t, "connect", "subscribe orders.17", "refresh")
	publishTo(t, g, "orders.17", `2`)
	client.expect("event orders.17 2")
	operator(t, g, "unsubscribe", `{"channel":"orders.17"}`)
	client.expectAnyOrder("error withdrawn orders.17", "orders.17 unsubscribed")
	publishTo(t, g, "news", `3`)
	client.expect("event news 3")

	operator(t, g, "disconnect", `{"reason":"user_blocked","block_ms":600000}`)
	client.expectAnyOrder("refused 4403 user_blocked", "error refused user_blocked")
	page.wantReasons(t, "connect", "subscribe orders.17", "refresh")
	client.end()
}

// TestSubscriptionTokens: a client shows another token for a subscription when it is told to,
// for as long as the page has any. Nothing is lost meanwhile.
func TestSubscriptionTokens(t *testing.T) {
	t.Parallel() // it waits most of the time
	path := node(t)
	g := startGateway(t, identified, stopClock, func(c *gateway.Config) { c.PingInterval = 100 * time.Millisecond })
	page := issue(t, func(_, channel string) string {
		if channel == "" {
			return alice(time.Hour)
		}
		return signed([]byte(secret), 3*time.Second, jwt.MapClaims{"sub": "alice", "channel": channel})
	})
	client := startClient(t, path, "identity.mjs", clientURL(g), page.URL, "orders.17")
	client.expect("shows a token", "open alice true", "orders.17 subscribed")
	for n := 1; n <= 2 || len(page.reasons()) < 4; n++ {
		publishTo(t, g, "orders.17", fmt.Sprint(n))
		client.expect(fmt.Sprint("event orders.17 ", n))
		time.Sleep(100 * time.Millisecond)
	}
	publishTo(t, g, "orders.17", `"last"`)
	client.expect(`event orders.17 "last"`)
	client.end()
}

func clientURL(g *gateway.Gateway) string {
	return "ws://" + g.ClientAddrs()[0].String() + gateway.Path
}

// TestTokenEnds while the page has no next one: the gateway closes the connection, and a new
// token opens the next. There the page asks for channels that come by themselves, which is no error.
func TestTokenEnds(t *testing.T) {
	t.Parallel() // it waits most of the time
	path := node(t)
	var ahead clockAhead
	g := startGateway(t, identified, func(c *gateway.Config) { c.PingInterval, c.Clock = 100*time.Millisecond, ahead.now })
	lasting := func(life time.Duration) func(string, string) string {
		return func(string, string) string {
			return signed([]byte(secret), life, jwt.MapClaims{"sub": "alice", "fleetcast": map[string]any{"auto": []string{"inbox", "outbox"}}})
		}
	}
	page := issue(t, lasting(10*time.Minute))
	client := startClient(t, path, "identity.mjs", clientURL(g), page.URL, "inbox")
	client.expect("shows a token", "open alice true")
	client.expectAnyOrder("inbox subscribed", "auto outbox", "outbox subscribed")
	page.gives(lasting(3 * time.Hour))
	ahead.set(time.Hour)
	client.expect("waiting 4401 token_expired", "shows a token", "open alice true")
	client.expectAnyOrder("inbox subscribed", "outbox subscribed")
	for _, channel := range []string{"inbox", "outbox"} {
		publishTo(t, g, channel, `1`)
		client.expect("event " + channel + " 1")
	}
	page.wantReasons(t, "connect", "refused")
	client.end()
}

// TestAutoRecovers: a channel that comes by itself misses nothing while the client is away.
func TestAutoRecovers(t *testing.T) {
	t.Parallel() // it waits most of the time
	path := node(t)
	g := startGateway(t, identified, stopClock)
	page := issue(t, func(string, string) string {
		return signed([]byte(secret), time.Hour, jwt.MapClaims{"sub": "alice", "fleetcast": map[string]any{"auto": []string{"inbox"}}})
	})
	line := newProxy(t, g.ClientAddrs()[0].String())
	client := startClient(t, path, "identity.mjs", "ws://"+line.addr()+gateway.Path, page.URL)
	client.expect("shows a token", "open alice true", "auto inbox", "inbox subscribed")
	publishTo(t, g, "inbox", `1`)
	client.expect("event inbox 1")
	line.hold()
	publishTo(t, g, "inbox", `2`)
	publishTo(t, g, "inbox", `3`)
	line.route(g.ClientAddrs()[0].String())
	for line := client.next(); line != "event inbox 2"; line = client.next() {
		if strings.HasPrefix(line, "gap") {
			t.Errorf("the client wrote %q", line)
		}
	}
	client.expect("event inbox 3")
	publishTo(t, g, "inbox", `4`)
	client.expect("event inbox 4")
	client.end()
}

// stopClock has no token end however long a client takes that is starved of processor time.
func stopClock(c *gateway.Config) {
	start := time.Now()
	c.Clock = func() time.Time { return start }
}

// clockAhead is a clock that a test sets. Any goroutine may use it.
type clockAhead struct {
	mu sync.Mutex
	by time.Duration
}

func (c *clockAhead) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *clockAhead) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by = by
}

// TestTokenRefused: a client whose tokens are refused, or who has none, stops until somebody asks.
func TestTokenRefused(t *testing.T) {
	path := node(t)
	g := startGateway(t, identified)
	page := issue(t, func(string, string) string {
		return signed([]byte(strings.Repeat("other", 10)), time.Hour, jwt.MapClaims{"sub": "alice"})
	})
	client := startClient(t, path, "identity.mjs", clientURL(g), page.URL, "news")
	client.expect("shows a token", "waiting 4401 token_invalid", "shows a token", "refused 4401 token_invalid", "error refused token_invalid")
	page.wantReasons(t, "connect", "refused")

	page.gives(func(string, string) string { return "" })
	client.write("again")
	client.expect("refused 0 no_token", "error refused no_token")
	page.gives(func(string, string) string { return alice(time.Hour, "news") })
	client.write("again")
	client.expect("shows a token", "open alice true", "news subscribed")
	page.wantReasons(t, "connect", "refused", "connect", "connect")
	client.end()
}

// TestNoTokenStorm: connections that are lost again and again cost no token and, with a ticket, no
// verification. A gateway that does not know the ticket gets the token.
func TestNoTokenStorm(t *testing.T) {
	path := node(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	issuer := func(c *gateway.Config) {
		c.Issuers = []token.Issuer{{Keys: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}}
	}
	g := startGateway(t, issuer)
	line := newProxy(t, g.ClientAddrs()[0].String())
	page := issue(t, func(string, string) string {
		return signed(key, time.Hour, jwt.MapClaims{"sub": "alice", "fleetcast": map[string]any{"subscribe": []string{"news"}}})
	})
	client := startClient(t, path, "identity.mjs", "ws://"+line.addr()+gateway.Path, page.URL, "news")
	client.expect("shows a token", "open alice true", "news subscribed")
	for range 10 {
		line.cut()
		line.route(g.ClientAddrs()[0].String())
		client.expectTickets("open alice true")
		client.expect("news subscribed")
	}
	next := startGateway(t, issuer)
	line.cut()
	line.route(next.ClientAddrs()[0].String())
	client.expectTickets("waiting 4401 ticket_invalid")
	client.expect("shows a token", "open alice true", "news subscribed")
	page.wantReasons(t, "connect")
	client.end()
}

// expectTickets reads over attempts that show tickets, some of which the cut line may have ended,
// up to the line that is wanted.
func (c *nodeClient) expectTickets(want string) {
	c.t.Helper()
	for tries := 0; ; tries++ {
		switch got := c.next(); {
		case got == "shows a ticket":
		case got == want && tries > 0:
			return
		default:
			c.t.Fatalf("the client wrote %q, want %q after it has shown a ticket", got, want)
		}
	}
}

// write gives the client a line of input.
func (c *nodeClient) write(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.stdin, line+"\n"); err != nil {
		c.t.Fatalf("writing to the client: %v", err)
	}
}

// tokenPage shows tokens from where it came from, and writes down what it hears.
const tokenPage = `<!doctype html><title>tokens</title><link rel="icon" href="data:,"><script type="module">
import { connect } from "/fleetcast.js";
const seen = window.seen = [];
const client = window.client = connect(%q, {
  getToken: async ({ reason, signal }) => {
    const answer = await fetch("/token?reason=" + reason, { signal });
    return answer.status === 204 ? null : answer.text();
  },
  onState: ({ state, code, reason, user }) => seen.push([state, code ?? "", reason ?? "", user ?? ""].join(" ").trim()),
  onError: ({ code, reason }) => seen.push(["error", code, reason].join(" ")),
});
client.subscribe("news", (data) => seen.push("event " + data), { onState: (state) => seen.push("news " + state) });
</script>`

// TestTokensInBrowser: a browser shows the token as a subprotocol, is told why it is refused, shows
// the next token, and gets nothing of them back.
func TestTokensInBrowser(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, _ := browsertest.Start(t, "tokens in a browser are")
	g := startGateway(t, identified, stopClock)
	tokens := &issuing{give: func(reason, _ string) string {
		switch reason {
		case "refused": // behind the first, which has ended
			return alice(4*time.Second, "news")
		case "refresh":
			return alice(time.Hour)
		}
		return alice(-time.Hour, "news")
	}}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token":
			tokens.ServeHTTP(w, r)
		case "/fleetcast.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(web.JavaScript)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, tokenPage, clientURL(g))
		}
	}))
	defer site.Close()
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL)); err != nil {
		t.Fatal(err)
	}
	expectSeen(t, ctx, "waiting 4401 token_expired")
	expectSeen(t, ctx, "open   alice")
	expectSeen(t, ctx, "news subscribed")
	expectSeen(t, ctx, "news refused") // by the refreshed token
	tokens.wantReasons(t, "connect", "refused", "refresh")
	if user := evaluate(t, ctx, "client.user"); user != "alice" {
		t.Errorf("the page's user is %q", user)
	}
	tokens.gives(func(string, string) string { return "" })
	evaluate(t, ctx, `client.pause(), client.resume(), ""`) // with the token that is held
	expectSeen(t, ctx, "paused")
	await(t, "the connection", func() bool { return evaluate(t, ctx, "client.state.state") == "open" })
	tokens.wantReasons(t, "connect", "refused", "refresh")
}

// evaluate returns what a text in the page is.
func evaluate(t *testing.T, ctx context.Context, expression string) string {
	t.Helper()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
