//go:build long

package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web"
	"fleetcast/gateway/web/browsertest"
)

// lifePage writes down, of a client, the offsets of events, the gaps and the states, and
// counts the sockets that were opened and the timers that are armed.
const lifePage = `<!doctype html><title>life</title><link rel="icon" href="data:,"><body></body><script type="module">
import { connect } from "/fleetcast.js";
window.opened = 0;
window.sockets = [];
const Socket = class extends WebSocket {
  constructor(...args) { super(...args); window.opened++; window.sockets.push(this); }
};
window.timers = new Set();
const { setTimeout: set, clearTimeout: clear } = window;
const clock = {
  now: () => Date.now(),
  setTimeout: (f, ms) => { const id = set(() => { window.timers.delete(id); f(); }, ms); window.timers.add(id); return id; },
  clearTimeout: (id) => { window.timers.delete(id); clear(id); },
};
window.setTimeout = clock.setTimeout;
window.clearTimeout = clock.clearTimeout;
window.shown = [];
addEventListener("pageshow", (e) => window.shown.push(e.persisted));
window.events = [];
window.gaps = [];
window.states = [];
window.client = connect(%q, {
  WebSocket: Socket,
  onState: ({ state }) => window.states.push(state),
  onGap: ({ from, to }) => window.gaps.push([from, to]),
});
client.subscribe("news", (data, { offset }) => window.events.push(offset));
</script>`

// life is a page with a client, a gateway, and what lies between.
type life struct {
	t       *testing.T
	ctx     context.Context
	gateway *gateway.Gateway
	line    *proxy
	site    *httptest.Server
	sent    int // events
}

// told is what a page has written down.
type told struct {
	Events []int    `json:"events"`
	Gaps   [][2]int `json:"gaps"`
	States []string `json:"states"`
	Opened int      `json:"opened"` // sockets, ever
	Open   int      `json:"open"`   // sockets, now
	Timers int      `json:"timers"`
}

func (l *life) told() told {
	l.t.Helper()
	got, err := chromedp.Run(l.ctx, chromedp.Evaluate[told](`({
		events: window.events ?? [], gaps: window.gaps ?? [], states: window.states ?? [], opened: window.opened ?? 0,
		open: (window.sockets ?? []).filter((s) => s.readyState <= 1).length, timers: window.timers?.size ?? 0 })`))
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

// publish publishes one event.
func (l *life) publish() {
	l.t.Helper()
	l.sent++
	publish(l.t, l.gateway, strconv.Itoa(l.sent))
}

// whole waits until the page has got every event, and checks that nothing came twice, that no gap
// was told, and that not more than so many sockets were opened for it.
func (l *life) whole(sockets int) {
	l.t.Helper()
	var got told
	defer func() {
		if l.t.Failed() {
			l.t.Logf("the page tells %+v", got)
		}
	}()
	await(l.t, fmt.Sprintf("all of %d events", l.sent), func() bool {
		got = l.told()
		seen := map[int]int{}
		for _, offset := range got.Events {
			seen[offset]++
		}
		for offset, times := range seen {
			if times > 1 {
				l.t.Fatalf("event %d was told %d times: %+v", offset, times, got)
			}
		}
		return len(seen) == l.sent
	})
	if len(got.Gaps) > 0 {
		l.t.Errorf("the page was told of the gaps %v", got.Gaps)
	}
	if !slices.IsSorted(got.Events) {
		l.t.Errorf("events came out of order: %v", got.Events)
	}
	if got.Open != 1 || got.Opened > sockets {
		l.t.Errorf("%d sockets are open, of %d ever, want 1 and at most %d", got.Open, got.Opened, sockets)
	}
	awaitSubscribers(l.t, l.gateway, 1)
}

// run evaluates a statement in the page.
func (l *life) run(statement string) {
	l.t.Helper()
	if _, err := chromedp.Run(l.ctx, chromedp.Evaluate[any]("void ("+statement+")")); err != nil {
		l.t.Fatal(err)
	}
}

// cut cuts the line, which is whole again at once.
func (l *life) cut() {
	l.line.cut()
	l.line.route(l.gateway.ClientAddrs()[0].String())
}

// freeze freezes the page, or lets it go on.
func (l *life) freeze(on bool) {
	l.t.Helper()
	state := cdppage.SetWebLifecycleStateStateActive
	if on {
		state = cdppage.SetWebLifecycleStateStateFrozen
	}
	if _, err := chromedp.Call(l.ctx, cdppage.SetWebLifecycleState, cdppage.SetWebLifecycleStateParams{State: state}); err != nil {
		l.t.Fatal(err)
	}
}

// offline has the browser tell pages that there is no network, and cuts the line.
func (l *life) offline(on bool) {
	l.t.Helper()
	params := network.OverrideNetworkStateParams{Offline: on, DownloadThroughput: -1, UploadThroughput: -1}
	if on {
		l.line.route("")
		l.line.cut()
	} else {
		l.line.route(l.gateway.ClientAddrs()[0].String())
	}
	if _, err := chromedp.Call(l.ctx, network.OverrideNetworkState, params); err != nil {
		l.t.Fatal(err)
	}
}

// stop stops all processes of the browser for so long, as a machine that sleeps does.
func (l *life) stop(d time.Duration) {
	l.t.Helper()
	all := descendants(l.t, chromedp.FromContext(l.ctx).Browser.Process().Pid)
	signal := func(s syscall.Signal) {
		for _, pid := range all {
			syscall.Kill(pid, s)
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	l.publish() // it waits in the socket
	time.Sleep(d)
}

// descendants is a process and all that it has started.
func descendants(t *testing.T, root int) []int {
	t.Helper()
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// TestLongPageLife is what happens to pages and to their servers. Afterwards the
// subscription is back, each event has come once, one socket is open and few were opened, and
// nothing is left of a closed client.
func TestLongPageLife(t *testing.T) {
	ctx, _ := browsertest.Start(t, "the life of a page is")
	cases := []struct {
		name    string
		do      func(*life)
		sockets int // that may be opened in all
	}{
		{"undisturbed", func(l *life) {}, 1},
		{"hidden", func(l *life) {
			l.run(`Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true }), document.dispatchEvent(new Event("visibilitychange"))`)
			l.publish()
			l.run(`delete document.visibilityState, document.dispatchEvent(new Event("visibilitychange"))`)
		}, 1},
		{"frozen", func(l *life) {
			l.freeze(true)
			l.publish()
			time.Sleep(2 * time.Second)
			l.freeze(false)
		}, 2},
		{"frozen, and cut meanwhile", func(l *life) {
			l.freeze(true)
			l.cut()
			l.publish()
			l.freeze(false)
		}, 2},
		{"back and forward", func(l *life) {
			l.run(`setTimeout(() => location.href = "/other")`)
			l.titled("other")
			awaitSubscribers(l.t, l.gateway, 0) // nothing is held for a page that one has left
			l.publish()
			l.run(`setTimeout(() => history.back())`)
			l.titled("life")
			shown, err := chromedp.Run(l.ctx, chromedp.Evaluate[[]bool]("window.shown"))
			if err != nil {
				l.t.Fatal(err)
			}
			if !slices.Contains(shown, true) {
				l.t.Skip("the browser did not keep the page in its back-forward cache: the return from there is not tested")
			}
		}, 2},
		{"offline", func(l *life) {
			l.offline(true)
			awaitSubscribers(l.t, l.gateway, 0)
			l.publish()
			time.Sleep(3 * time.Second)
			if opened := l.told().Opened; opened > 2 { // one may have begun before
				l.t.Errorf("%d sockets were opened while the browser was offline", opened-1)
			}
			l.offline(false)
		}, 3},
		{"online, often", func(l *life) {
			l.line.route("")
			l.line.cut()
			awaitSubscribers(l.t, l.gateway, 0)
			for range 50 {
				l.run(`dispatchEvent(new Event("online"))`)
			}
			if opened := l.told().Opened; opened > 5 {
				l.t.Errorf("%d sockets were opened for online events without an outage", opened-1)
			}
			l.line.route(l.gateway.ClientAddrs()[0].String())
		}, 12},
		{"asleep", func(l *life) { l.stop(10 * time.Second) }, 2},
		{"asleep, and cut meanwhile", func(l *life) {
			time.AfterFunc(time.Second, l.cut)
			l.stop(10 * time.Second)
		}, 2},
		{"cut five times", func(l *life) {
			for range 5 {
				l.cut()
				l.publish()
				l.whole(6)
			}
		}, 6},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := startLife(t, ctx)
			l.publish()
			l.whole(1)
			l.t = t
			c.do(l)
			awaitSubscribers(t, l.gateway, 1)
			l.publish()
			l.whole(c.sockets)
			l.closes()
		})
	}
}

// titled waits until the tab shows a page of that title.
func (l *life) titled(title string) {
	l.t.Helper()
	await(l.t, "the page "+title, func() bool {
		got, err := chromedp.Run(l.ctx, chromedp.Evaluate[string]("document.title"))
		return err == nil && got == title
	})
}

// startLife opens the page.
func startLife(t *testing.T, ctx context.Context) *life {
	l := &life{t: t, ctx: ctx, gateway: startGateway(t)}
	l.line = newProxy(t, l.gateway.ClientAddrs()[0].String())
	l.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fleetcast.js":
			w.Header().Set("Content-Type", "text/javascript")
			w.Write(web.JavaScript)
		case "/other":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!doctype html><title>other</title><link rel="icon" href="data:,">`)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, lifePage, "ws://"+l.line.addr()+gateway.Path)
		}
	}))
	t.Cleanup(l.site.Close)
	if err := chromedp.Do(ctx, chromedp.Navigate(l.site.URL)); err != nil {
		t.Fatal(err)
	}
	awaitSubscribers(t, l.gateway, 1)
	return l
}

// closes closes the client, of which no socket and no timer may be left.
func (l *life) closes() {
	l.t.Helper()
	l.run("window.client.close()")
	await(l.t, "the end of the client", func() bool {
		got := l.told()
		return got.Open == 0 && got.Timers == 0
	})
	awaitSubscribers(l.t, l.gateway, 0)
}
