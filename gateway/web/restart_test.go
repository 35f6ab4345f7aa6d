package web_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web"
	"fleetcast/gateway/web/browsertest"
)

// A page that is open while its gateway is restarted, with its history, misses nothing of what is
// published before the page is back. After a crash it is told so.
func TestPageOverARestart(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, _ := browsertest.Start(t, "a page over a restart is")
	first := newGateway(t)
	stop := runGateway(t, first)
	line := newProxy(t, first.ClientAddrs()[0].String())
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fleetcast.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(web.JavaScript)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, page, `<script type="module">import { connect } from "/fleetcast.js";`, "connect", "ws://"+line.addr()+gateway.Path)
	}))
	defer site.Close()
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL)); err != nil {
		t.Fatal(err)
	}
	awaitSubscribers(t, first, 1)
	publish(t, first, "0")
	expectSeen(t, ctx, "event 1 0")

	line.route("") // who comes back finds nobody
	if err := first.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	var saved bytes.Buffer
	if _, err := first.SaveHistory(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	second := newGateway(t)
	if _, err := second.LoadHistory(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	stop = runGateway(t, second)
	const missed = 50
	for n := range missed {
		publish(t, second, strconv.Itoa(n))
	}
	line.route(second.ClientAddrs()[0].String())
	expectSeen(t, ctx, fmt.Sprintf("recovered %d %d", missed+1, missed-1))
	publish(t, second, `"live"`)
	expectSeen(t, ctx, fmt.Sprintf(`event %d "live"`, missed+2))
	wantWhole(t, ctx, missed+2)

	line.route("")
	stop()
	third := startGateway(t)
	publish(t, third, `"unseen"`)
	line.route(third.ClientAddrs()[0].String())
	expectSeen(t, ctx, "reset news 1 1")
	publish(t, third, `"seen"`)
	expectSeen(t, ctx, `event 2 "seen"`)
}
