package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"fleetcast/gateway"
	"fleetcast/gateway/web"
	"fleetcast/gateway/web/browsertest"
)

// page makes a client by the given expression and writes down what it hears.
const page = `<!doctype html><title>test</title>%s
const seen = window.seen = [];
const client = %s(%q, {
  onState: ({ state, code, retryAt }) => {
    seen.push(state);
    if (code === 1001) window.back = { at: retryAt, pause: retryAt - Date.now() };
    if (state === "connecting" && window.back) seen.push(Date.now() >= window.back.at ? "back in time" : "back too early");
  },
  onGap: ({ channel, from, to, reset }) => seen.push([reset ? "reset" : "gap", channel, from, to].join(" ")),
});
client.subscribe("news", (data, { offset, recovered }) => seen.push([recovered ? "recovered" : "event", offset, JSON.stringify(data)].join(" ")));
</script>`

// Both forms of the client work in a browser, on a page of another origin, come
// back when the connection is cut, and when the gateway that stops has asked to.
func TestInBrowser(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "the client in a browser is")
	for name, begin := range map[string][2]string{
		"module":  {`<script type="module">import { connect } from "/fleetcast.js";`, "connect"},
		"classic": {`<script src="/fleetcast.classic.js"></script><script>`, "new Fleetcast"},
	} {
		t.Run(name, func(t *testing.T) {
			const window = 4000 // of two clients' returns, in milliseconds
			g := startGateway(t, func(c *gateway.Config) { c.RetryWindow = window * time.Millisecond })
			line := newProxy(t, g.ClientAddrs()[0].String())
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/fleetcast.js":
					w.Header().Set("Content-Type", "text/javascript")
					w.Write(web.JavaScript)
				case "/fleetcast.classic.js":
					w.Header().Set("Content-Type", "text/javascript")
					w.Write(web.Classic)
				case "/":
					w.Header().Set("Content-Type", "text/html")
					fmt.Fprintf(w, page, begin[0], begin[1], "ws://"+line.addr()+gateway.Path)
				}
			}))
			defer site.Close()
			if err := chromedp.Do(ctx, chromedp.Navigate(site.URL)); err != nil {
				t.Fatal(err)
			}
			awaitSubscribers(t, g, 1)
			publish(t, g, `{"wörld":1}`)
			expectSeen(t, ctx, `event 1 {"wörld":1}`)
			line.cut()
			awaitSubscribers(t, g, 0)
			connectFirst(t, g)
			const missed = 50
			for n := range missed {
				publish(t, g, strconv.Itoa(n))
			}
			line.route(g.ClientAddrs()[0].String())
			expectSeen(t, ctx, fmt.Sprintf("recovered %d %d", missed+1, missed-1))
			publish(t, g, `"live"`)
			expectSeen(t, ctx, fmt.Sprintf(`event %d "live"`, missed+2))
			wantWhole(t, ctx, missed+2)

			next := startGateway(t)
			line.route(next.ClientAddrs()[0].String())
			if err := g.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			await(t, "the pause", func() bool {
				pause, err := chromedp.Run(ctx, chromedp.Evaluate[float64]("window.back?.pause ?? 0"))
				if err != nil || pause > window/2 {
					t.Fatalf("the page waits for %v ms, %v", pause, err)
				}
				return pause > window/4 // which no back-off is at first
			})
			awaitSubscribers(t, next, 1)
			expectSeen(t, ctx, "back in time")
			for _, complaint := range console.Take() {
				// That a connection failed is said by the browser itself.
				if !strings.Contains(complaint, "WebSocket") && !strings.Contains(complaint, "favicon") {
					t.Errorf("the console says: %s", complaint)
				}
			}
		})
	}
}

// wantWhole checks that the page has got the events 1 to n in order, each once, and no gap.
func wantWhole(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	seen, err := chromedp.Run(ctx, chromedp.Evaluate[[]string]("window.seen"))
	if err != nil {
		t.Fatal(err)
	}
	next := 1
	for _, line := range seen {
		words := strings.Fields(line)
		switch words[0] {
		case "event", "recovered":
			if words[1] != strconv.Itoa(next) {
				t.Errorf("the page has seen %q, want offset %d there", line, next)
			}
			next++
		case "gap", "reset":
			t.Errorf("the page has seen %q", line)
		}
	}
	if next != n+1 {
		t.Errorf("the page has seen %d events, want %d", next-1, n)
	}
}

// connectFirst connects a client that takes the first turn when the gateway
// drains, so that the next has to wait.
func connectFirst(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+g.ClientAddrs()[0].String()+gateway.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	go func() {
		for { // a close frame is answered where it is read
			if _, _, err := conn.Read(t.Context()); err != nil {
				return
			}
		}
	}()
}

// awaitSubscribers waits until the gateway has that many subscriptions.
func awaitSubscribers(t *testing.T, g *gateway.Gateway, want int64) {
	t.Helper()
	await(t, fmt.Sprintf("%d subscriptions", want), func() bool {
		stats, err := g.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return stats.Total.Subscriptions == want
	})
}

// expectSeen waits until the page has heard what is wanted.
func expectSeen(t *testing.T, ctx context.Context, want string) {
	t.Helper()
	var seen []string
	defer func() {
		if t.Failed() {
			t.Logf("the page has seen %q", seen)
		}
	}()
	await(t, fmt.Sprintf("%q", want), func() bool {
		var err error
		if seen, err = chromedp.Run(ctx, chromedp.Evaluate[[]string]("window.seen ?? []")); err != nil {
			t.Fatal(err)
		}
		return slices.Contains(seen, want)
	})
}

// await asks again and again until the answer is yes.
func await(t *testing.T, what string, answer func() bool) {
	t.Helper()
	for start := time.Now(); !answer(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%s did not come within %v", what, patience)
		}
	}
}
