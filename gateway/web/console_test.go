package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/publisher"
	"fleetcast/gateway/web"
	"fleetcast/gateway/web/browsertest"
)

// consoleRig is a gateway whose console page is open in a browser.
type consoleRig struct {
	t       *testing.T
	ctx     context.Context
	console *browsertest.Console
	gateway *gateway.Gateway
	line    *proxy // between the page and the gateway's WebSocket
	url     string
}

// newConsoleRig serves a gateway's console. The page is not open yet.
func newConsoleRig(t *testing.T, ctx context.Context, console *browsertest.Console, set ...func(*gateway.Config)) *consoleRig {
	t.Helper()
	r := &consoleRig{t: t, ctx: ctx, console: console, gateway: startPatientGateway(t, set...)}
	r.line = newProxy(t, r.gateway.ClientAddrs()[0].String())
	site := web.Site{
		Path:          gateway.Path,
		Publish:       r.gateway.PublishAddrs()[0].String(),
		Admin:         "localhost:8081",
		ClientPublish: []web.Grant{{Match: "chat.locked"}, {Match: "chat**", Clients: true}},
		Tokens:        len(set) > 0, // they have it know clients
		Console:       true,
	}.Handler()
	sockets := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.line.addr()})
	sockets.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == gateway.Path {
			sockets.ServeHTTP(w, request)
		} else {
			site.ServeHTTP(w, request)
		}
	}))
	t.Cleanup(func() {
		r.line.cut() // lets the server's connections end
		server.Close()
	})
	r.url = server.URL
	return r
}

// startPatientGateway starts a gateway that waits for a browser that a busy machine
// slows down.
func startPatientGateway(t *testing.T, set ...func(*gateway.Config)) *gateway.Gateway {
	t.Helper()
	config := gateway.DefaultConfig(1000)
	config.Shards = 1
	config.ClientPublish = gateway.Patterns{"chat**"}
	config.RetryWindow = 50 * time.Millisecond
	config.SlowAfter, config.HandshakeTimeout, config.PongTimeout = 5*time.Minute, time.Minute, 5*time.Minute
	for _, f := range set {
		f(&config)
	}
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatalf("starting a gateway: %v", err)
	}
	runGateway(t, g)
	return g
}

// open opens the page in a window of that width and waits for its subscriptions. A
// rig is for one page: the browser may keep the one before, with its connection.
func (r *consoleRig) open(fragment string, subscriptions int64, width int64, scheme string) {
	r.t.Helper()
	r.scheme(scheme)
	r.do(chromedp.EmulateViewport(width, 800), chromedp.Navigate(r.url+"/"+fragment))
	r.await(`document.querySelector("#connection").dataset.state === "open"`)
	awaitSubscribers(r.t, r.gateway, subscriptions)
}

// scheme has the reader prefer light or dark.
func (r *consoleRig) scheme(name string) {
	r.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}
	if _, err := chromedp.Call(r.ctx, emulation.SetEmulatedMedia, media); err != nil {
		r.t.Fatal(err)
	}
}

// key presses a key that has a letter, as a keyboard does: what it writes is part
// of the press, so that a page can prevent it.
func (r *consoleRig) key(letter string) {
	r.t.Helper()
	for _, press := range []input.DispatchKeyEventParams{{Type: input.DispatchKeyEventTypeKeyDown, Key: letter, Text: letter}, {Type: input.DispatchKeyEventTypeKeyUp, Key: letter}} {
		if _, err := chromedp.Call(r.ctx, input.DispatchKeyEvent, press); err != nil {
			r.t.Fatal(err)
		}
	}
}

// publish publishes the data over TCP, one event after the other.
func (r *consoleRig) publish(channel string, data ...string) {
	r.t.Helper()
	p, err := publisher.Dial(r.t.Context(), r.gateway.PublishAddrs()[0].String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	for _, d := range data {
		if err := p.Send(r.t.Context(), channel, []byte(d)); err != nil {
			r.t.Fatalf("publishing %s: %v", d, err)
		}
	}
	if err := p.Flush(r.t.Context()); err != nil {
		r.t.Fatalf("publishing: %v", err)
	}
}

// await waits until the page's expression is true.
func (r *consoleRig) await(expression string) {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			r.t.Logf("the page shows:\n%s", eval[string](r, `document.body.innerText.slice(0, 1500)`))
		}
	}()
	await(r.t, expression, func() bool { return eval[bool](r, expression) })
}

func (r *consoleRig) do(actions ...chromedp.Action[chromedp.Void]) {
	r.t.Helper()
	if err := chromedp.Do(r.ctx, actions...); err != nil {
		r.t.Fatal(err)
	}
}

// quiet fails the test if the browser's console complains, but for the browser's
// own words on connections that were cut.
func (r *consoleRig) quiet() {
	r.t.Helper()
	for _, complaint := range r.console.Take() {
		if !strings.Contains(complaint, "WebSocket connection to") {
			r.t.Errorf("the console says: %s", complaint)
		}
	}
}

func eval[T any](r *consoleRig, expression string) T {
	r.t.Helper()
	value, err := chromedp.Run(r.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		r.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// shows is whether a row that is not hidden has all of the texts.
func shows(texts ...string) string {
	list, err := json.Marshal(texts)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`[...document.querySelectorAll("#rows > :not([hidden])")].some((row) => %s.every((text) => row.textContent.includes(text)))`, list)
}

func rows(n int) string {
	return fmt.Sprintf(`document.querySelectorAll("#rows > :not([hidden])").length === %d`, n)
}
