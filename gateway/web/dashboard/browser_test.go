package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web/browsertest"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// page is the dashboard in a browser.
type page struct {
	t       *testing.T
	ctx     context.Context
	console *browsertest.Console
}

// open starts a browser that looks at f. What it writes into tiles is kept in the
// page's global seen.
func open(t *testing.T, f *front, scheme string, width int64) *page {
	t.Helper()
	ctx, console := browsertest.Start(t, "the dashboard is")
	p := &page{t, ctx, console}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(f.url)); err != nil {
		t.Fatal(err)
	}
	p.run(`window.seen = [], new MutationObserver(() => seen.push(...[...document.querySelectorAll(".tiles dd > *")].map((e) => e.parentNode.id + " " + e.textContent)))
		.observe(document.getElementById("tiles"), {subtree: true, childList: true, characterData: true})`)
	return p
}

// run runs an expression.
func (p *page) run(expression string) {
	p.t.Helper()
	ask[any](p, "("+expression+", null)")
}

// ask returns an expression's value.
func ask[T any](p *page, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// text returns what the first element of a selector says.
func (p *page) text(selector string) string {
	p.t.Helper()
	return ask[string](p, fmt.Sprintf("document.querySelector(%q)?.textContent ?? \"\"", selector))
}

// await waits until an element says what is wanted.
func (p *page) await(selector, want string) {
	p.t.Helper()
	got := ""
	for start := time.Now(); time.Since(start) < patience; time.Sleep(10 * time.Millisecond) {
		if got = p.text(selector); strings.Contains(got, want) {
			return
		}
	}
	p.t.Fatalf("%s says %q, not %q; the verdict is %q", selector, got, want, p.text("#verdict"))
}

// quiet reports what the browser's console says, save that requests failed.
func (p *page) quiet(failuresToo bool) {
	p.t.Helper()
	for _, line := range p.console.Take() {
		if failuresToo || !strings.HasPrefix(line, "Failed to load resource") {
			p.t.Errorf("the console says: %s", line)
		}
	}
}

// The tiles have the true numbers of a gateway.
func TestFigures(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := startGateway(t)
	f := newFront(t, g)
	for range 3 {
		subscribe(t, g, "news")
	}
	last := subscribe(t, g, "news", "quiet")
	p := open(t, f, "light", 1280)
	p.await("#headline", "All is well")
	events := publisherOf(t, g)
	for range 5 {
		if _, err := events.Publish(t.Context(), "news", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		expect(t, last, "event")
	}
	for selector, want := range map[string]string{
		"#clients": "4of 1,000", "#subscriptions": "51.25 per client", "#channels": "2of 1,000", "#publishers": "1of 100",
		"#events small": "5 in all", "#deliveries small": "20 in all", "#backlog": "0 Bof 1 GiB, 0 clients lag", "#credits": "0 Bof 64 MiB",
		"#uptime small": "version v1.2.3", "#headline": "All is well",
	} {
		p.await(selector, want)
	}
	for _, tile := range []string{"events", "deliveries", "bytes", "grouping"} {
		if ask[int](p, fmt.Sprintf(`seen.filter((text) => /^%s (0\.0*)?[1-9]/.test(text)).length`, tile)) == 0 {
			t.Errorf("the tile of %s never was above 0", tile)
		}
	}
	clients := ask[int](p, `[...document.querySelectorAll("#shards tbody tr")].reduce((sum, row) => sum + Number(row.cells[1].textContent), 0)`)
	if clients != 4 {
		t.Errorf("the shards have %d clients", clients)
	}
	if got := ask[int](p, `document.querySelectorAll(".plot canvas").length`); got != 4 {
		t.Errorf("%d plots", got)
	}
	p.quiet(true)
}

// That the API does not answer is told, with since when, and that it does again.
func TestSilenceAndRestart(t *testing.T) {
	t.Parallel() // it waits most of the time
	first, second := startGateway(t), startGateway(t)
	f := newFront(t, first)
	subscribe(t, first, "news")
	p := open(t, f, "light", 1280)
	p.await("#clients b", "1")
	f.set(func(f *front) { f.silent = true })
	p.await("#matters", "does not answer since ")
	if !ask[bool](p, `document.body.classList.contains("stale") && document.querySelector("#verdict").className === "verdict bad"`) {
		t.Error("the numbers do not look old")
	}
	if got := p.text("#clients b"); got != "1" {
		t.Errorf("the last number is gone: %q", got)
	}
	f.set(func(f *front) {
		f.silent = false
		f.admin = second.AdminHandler(gateway.Admin{Version: "1.2.3"})
		f.change = func(stats object) { stats["started_at"] = "2026-02-03T04:05:06Z" }
	})
	p.await("#headline", "All is well")
	p.await("#remark", "restarted")
	p.await("#clients b", "0")
	subscribe(t, second, "news")
	p.await("#clients b", "1")
	if negative := ask[[]string](p, `seen.filter((text) => text.includes(" -"))`); len(negative) != 0 {
		t.Errorf("tiles said %q", negative)
	}
	if ask[bool](p, `document.body.classList.contains("stale")`) {
		t.Error("the numbers still look old")
	}
	p.quiet(false)
}

// The widest figures fit a phone, and what comes from outside is text.
func TestPhoneWithHostileNames(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := startGateway(t)
	f := newFront(t, g)
	hostile := []string{`<img src=x onerror="window.broken=1">`, strings.Repeat("w", 255), "a\u202eb", "__proto__"}
	f.set(func(f *front) {
		channels, laggards, publishers := []any{}, []any{}, []any{}
		for _, name := range hostile {
			channels = append(channels, object{"channel": name, "subscribers": 1_000_000, "epoch": "e", "offset": 9_000_000_000_000_000})
			laggards = append(laggards, object{"client": name, "shard": 63, "address": name, "backlog_bytes": 1 << 20, "oldest_seconds": 1})
			publishers = append(publishers, object{"publisher": name, "name": name, "protocol": name, "address": name, "events_per_second": 1e9, "bytes_per_second": 1e18})
		}
		f.answers["/api/publishers"] = object{"publishers": publishers}
		f.answers["/api/channels"], f.answers["/api/laggards"] = object{"channels": channels}, object{"laggards": laggards}
		f.change = func(stats object) {
			total := stats["total"].(object)
			for _, key := range []string{"clients", "connections", "subscriptions", "deliveries", "bytes_out"} {
				total[key] = 1_000_000
			}
			total["disconnects"] = object{hostile[0]: 1_000_000, hostile[1]: 1}
			stats["limits"].(object)["max_clients"] = 1_000_000
			stats["version"] = hostile[1]
			stats["shards"] = slices.Repeat([]any{total}, 64)
		}
	})
	p := open(t, f, "dark", 360)
	p.await("#top tbody tr:nth-child(4)", "__proto__")
	p.await("#top tbody", `a\u202eb`)
	p.await("#laggards tbody", hostile[0])
	p.await("#senders tbody", `a\u202eb`)
	p.await("#loud tbody", "__proto__")
	p.await("#matters", "1,000,000 of 1,000,000 (100 %)")
	p.await("#shards tbody tr:nth-child(64)", "1,000,000")
	if width := ask[int](p, `document.documentElement.scrollWidth`); width > 360 {
		t.Errorf("the page is %d wide", width)
	}
	if ask[bool](p, `"broken" in window || document.images.length > 0`) {
		t.Error("a name was taken for markup")
	}
	if back := ask[string](p, `getComputedStyle(document.body).backgroundColor`); back != "rgb(18, 22, 28)" {
		t.Errorf("in the dark the page is %s", back)
	}
	p.quiet(true)
}

// Nothing is ended without a question, and then what was asked for.
func TestEnding(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := startGateway(t)
	f := newFront(t, g)
	const id, path = "5f0cb31ad2a40a7e", "/api/clients/5f0cb31ad2a40a7e"
	f.set(func(f *front) {
		f.answers["/api/laggards"] = object{"laggards": []any{object{"client": id, "address": "127.0.0.1:5", "backlog_bytes": 2048, "oldest_seconds": 1.5}}}
		f.answers[path] = object{"client": id, "shard": 1, "address": "127.0.0.1:5", "connected_at": "2026-01-02T03:04:05Z", "age_seconds": 61,
			"channels": []any{"news", "<b>x</b>"}, "subscriptions": 300, "backlog": object{"bytes": 2048, "messages": 7, "oldest_seconds": 1.5},
			"received_bytes": 10, "sent_bytes": 4096, "rtt_seconds": 0.0123}
		f.answers[path+"/disconnect"] = errors.New("shard 1 does not answer")
		f.answers["/api/drain"] = object{"draining": true}
	})
	p := open(t, f, "light", 1280)
	p.await("#laggards tbody", id)
	p.run(`document.querySelector("#laggards button").click()`)
	p.await("#client-facts", "127.0.0.1:5")
	p.await("#client-facts", "1 min 1 s ago")
	p.await("#client-facts", "12.3 ms")
	p.await("#client-facts", "2 KiB, 7 messages")
	p.await("#client-channels", "news<b>x</b>and 298 more")

	p.run(`document.getElementById("client-disconnect").click()`)
	p.await("#confirm-title", "Disconnect client "+id)
	p.run(`document.getElementById("confirm-cancel").click()`)
	p.run(`document.getElementById("client-disconnect").click()`)
	p.run(`document.getElementById("confirm-go").click()`)
	p.await("#confirm-error", "shard 1 does not answer")
	f.set(func(f *front) { f.answers[path+"/disconnect"] = object{"client": id, "disconnected": true} })
	p.run(`document.getElementById("confirm-go").click()`)
	p.await("#notice", id+" was disconnected")
	if ask[bool](p, `document.querySelector("dialog[open]") !== null`) {
		t.Error("a dialog stays open")
	}

	p.run(`document.getElementById("drain").click()`)
	p.await("#confirm-text", "closed with code 1001. Then the process ends")
	if focus := ask[string](p, `document.activeElement.id`); focus != "confirm-cancel" {
		t.Errorf("the focus is on %q", focus)
	}
	p.run(`document.getElementById("confirm-go").click()`)
	p.await("#notice", "drains")
	const disconnect = path + "/disconnect application/json {}<nil>"
	if got, want := f.posted(), []string{disconnect, disconnect, "/api/drain application/json {}<nil>"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}

	f.set(func(f *front) { f.answers["/api/clients/a/../b"] = errors.New("nothing is known of it") })
	p.run(`document.getElementById("find-id").value = "a/../b"`)
	p.run(`document.getElementById("find").requestSubmit()`)
	p.await("#client-state", "nothing is known of it")
	p.quiet(false)
}

// A real flood of one channel, by a RESP client with a name: the verdict names both and
// does not blame those who cannot follow, and the tables have them first. The
// publisher can be disconnected from the page.
func TestFlood(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := startGateway(t)
	f := newFront(t, g)
	f.set(func(f *front) { clear(f.answers) })
	quiet := publisherOf(t, g)
	for i := range 20 {
		if _, err := quiet.Publish(t.Context(), fmt.Sprint("quiet.", i), []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	for range 12 { // they do not read
		subscribe(t, g, "loud")
	}
	p := open(t, f, "light", 1280)
	p.await("#headline", "All is well")
	flood(t, g.PublishAddrs()[0].String(), "price-feed", "loud")
	p.await("#loud tbody tr:first-child th", "loud")
	p.await("#senders tbody tr:first-child th", "price-feed")
	p.await("#matters li[data-id=flood]", "The channel loud is flooded: ")
	p.await("#matters li[data-id=flood]", `"price-feed" at 127.0.0.1:`)
	if text := p.text("#matters"); strings.Contains(text, "raise --backlog") || !strings.Contains(text, "An effect of the flooded channel") {
		t.Errorf("the verdict is %s", text)
	}
	p.run(`document.querySelector("#senders tbody tr:first-child button").click()`)
	p.await("#confirm-title", `"price-feed" at 127.0.0.1:`)
	p.run(`document.getElementById("confirm-go").click()`)
	p.await("#notice", `Disconnected: publisher `)
	p.quiet(true)
}

// flood publishes to a channel as fast as the gateway takes it, until the gateway ends the
// connection.
func flood(t *testing.T, addr, name, channel string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	go func() {
		_, err := fmt.Fprintf(conn, "CLIENT SETNAME %s\r\n", name)
		for batch := strings.Repeat("PUBLISH "+channel+" "+strings.Repeat("7", 200)+"\r\n", 50); err == nil; {
			_, err = io.WriteString(conn, batch)
		}
	}()
}

// TestHistory shows what a gateway keeps of events, and what came of it.
func TestHistory(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := startGateway(t)
	f := newFront(t, g)
	events := publisherOf(t, g)
	for range 5 {
		if _, err := events.Publish(t.Context(), "news", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, f, "light", 1280)
	p.await(`#kept [data-fact="events"]`, "5")
	p.await("#recoveries tbody", "none")
	for _, start := range []object{{"last": 3}, {"since": object{"epoch": "another", "offset": 1}}} {
		start["type"], start["channel"] = "subscribe", "news"
		conn := connect(t, g)
		say(t, conn, start)
		expect(t, conn, "subscribed")
	}
	for row, want := range []string{"rewound11", "unknown11"} {
		p.await(fmt.Sprintf("#recoveries tbody tr:nth-child(%d)", row+1), want)
	}
	for fact, want := range map[string]string{"events": "5", "bytes": " B of 512 MiB", "evicted": "0", "catching": "0", "recovered": "3"} {
		p.await(`#kept [data-fact="`+fact+`"]`, want)
	}
	f.set(func(f *front) {
		f.change = func(stats object) {
			stats["total"].(object)["catching_up"] = 7
			publish := stats["publish"].(object)
			publish["history_evicted"] = publish["requests"].(float64) + 3
		}
	})
	p.await(`#kept [data-fact="catching"]`, "7")
	p.await("#matters li[data-id=history]", "8 channels lost the history early in the last ")
	f.set(func(f *front) { // an older gateway
		f.change = func(stats object) { delete(stats["publish"].(object), "history_events") }
	})
	for start := time.Now(); !ask[bool](p, "document.querySelector('#kept').hidden"); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("figures of a history are shown where there is none")
		}
	}
	p.quiet(true)
}

// TestWhoClientsAre shows tokens, hooks and users where there are any.
func TestWhoClientsAre(t *testing.T) {
	t.Parallel() // it waits most of the time
	f := newFront(t, startGateway(t))
	p := open(t, f, "light", 1280)
	p.await("#headline", "All is well")
	if !ask[bool](p, "document.querySelector('#identity').hidden") {
		t.Error("figures of identities are shown where there are none")
	}
	asked := 0.0
	f.set(func(f *front) {
		f.change = func(stats object) {
			asked++
			stats["users_blocked"] = 3
			stats["tokens"] = object{"accepted": 12, "verifications": 4, "cache_hits": 9, "cache_misses": 3, "waiting": 2, "issuers_failing": 1, "refused": object{"token_expired": 5, "<b>": 1}}
			hook := object{"requests": object{"allowed": asked, "refused": 0, "hook_failed": asked}, "waiting": 7, "open": 1, "seconds": object{"count": 0, "sum": 0, "buckets": []any{}}}
			stats["connect_hook"], stats["subscribe_hooks"] = hook, object{"rooms": hook}
		}
	})
	for fact, want := range map[string]string{"accepted": "12", "verifications": "4, 2 wait", "cached": "75 %", "failing": "1", "blocked": "3"} {
		p.await(`#identity [data-fact="`+fact+`"]`, want)
	}
	p.await("#tokens tbody", "token expired")
	p.await("#tokens tbody", "<b>")
	for row, name := range []string{"connect hook", "rooms"} {
		at := fmt.Sprintf("#hooks tbody tr:nth-child(%d) ", row+1)
		p.await(at+"th", name)
		p.await(at+"td:nth-child(6)", "7")
		p.await(at+"td:nth-child(7)", "fails, rests")
	}
	if ask[bool](p, "document.querySelector('#identity').hidden") {
		t.Error("figures of identities are hidden")
	}
	p.quiet(true)
}
