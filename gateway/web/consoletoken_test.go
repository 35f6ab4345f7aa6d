package web_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/web/browsertest"
)

const (
	refusedState = `document.querySelector("#connection").dataset.state === "refused"`
	asksForToken = `!document.querySelector("#identity").hidden`
	tokenError   = `document.querySelector("#token-error").innerText`
)

// showToken has the reader give a token to the page, or take it away with an empty text.
func (r *consoleRig) showToken(text string) {
	r.t.Helper()
	if text != "" {
		r.do(chromedp.SetValue("#token", text))
	}
	r.do(chromedp.Click("#identity button"))
}

// The console asks for a token where clients need one, and shows what the gateway says
// about it.
func TestConsoleToken(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "the console page is")
	r := newConsoleRig(t, ctx, console, identified)
	r.do(chromedp.EmulateViewport(desk, 800), chromedp.Navigate(r.url+"/#news,orders.alice"))
	r.await(refusedState + ` && document.querySelector("#state-detail").innerText.includes("without a token") && ` + asksForToken)
	r.showToken("no token")
	r.await(tokenError + `.includes("no token")`)
	r.showToken(signed([]byte(testrun.Secret+"another of that length"), time.Hour, jwt.MapClaims{"sub": "alice"}))
	r.await(refusedState + ` && document.querySelector("#state-detail").innerText.includes("token_invalid") && ` + tokenError + ` === ""`)
	if eval[string](r, `document.querySelector("#token").value`) != "" {
		t.Error("the token stays in its field")
	}

	r.showToken(signed([]byte(secret), time.Hour, jwt.MapClaims{"sub": "alice", "fleetcast": map[string]any{
		"subscribe": []string{"news", "orders.{user}"}, "publish": []string{"orders.{user}"},
	}}))
	r.await(`document.querySelector("#user-name").innerText === "alice"`)
	awaitSubscribers(t, r.gateway, 2)
	r.publish("orders.alice", `"first"`)
	r.await(shows("orders.alice", `"first"`))

	// The token grants what the rules for everybody do not.
	r.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#orders.alice"`))
	r.await(`document.querySelector("#publish-channel").innerText === "orders.alice" && !document.querySelector("#publish-form").hidden`)
	r.do(chromedp.Click("#publish-form button"))
	r.await(shows("orders.alice", "hello"))

	// Another user takes over the page, with its channels.
	awaitSubscribers(t, r.gateway, 1)
	r.showToken(signed([]byte(secret), time.Hour, jwt.MapClaims{"sub": "bob", "fleetcast": map[string]any{"subscribe": []string{"orders.{user}"}}}))
	r.await(shows("orders.alice", "permission_denied"))
	r.await(`document.querySelector("#user-name").innerText === "bob"`)
	awaitSubscribers(t, r.gateway, 0)
	r.quiet()
}

// A gateway with channels for anyone lets the page in without a token.
func TestConsoleTokenNotNeeded(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "the console page is")
	anyone := rules.Anyone
	r := newConsoleRig(t, ctx, console, identified, func(c *gateway.Config) {
		c.Channels = []gateway.ChannelRule{{Match: "news", Subscribe: &anyone}}
	})
	r.open("#news,for.alice,more.alice", 1, desk, "light")
	r.await(asksForToken)
	r.showToken(alice(time.Hour, "*.{user}"))
	r.await(`document.querySelector("#user-name").innerText === "alice"`)
	awaitSubscribers(t, r.gateway, 3) // of the new connection alone: the one before has one
	r.publish("news", `"for all"`)
	r.await(shows("news", `"for all"`))
	r.showToken("")
	r.await(`document.querySelector("#user-name").innerText === "–" && document.querySelector("#connection").dataset.state === "open"`)
	r.quiet()
}
