package web_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/web/browsertest"
)

const (
	desk  = 1280
	phone = 360
)

// numbered returns n events' data, with offsets from 1 in a new channel.
func numbered(n int) []string {
	data := make([]string, n)
	for i := range data {
		data[i] = fmt.Sprintf(`{"n":%d}`, i+1)
	}
	return data
}

func sentNow() string {
	return `{"text":"hello","sent":` + strconv.FormatInt(time.Now().UnixMilli(), 10) + `}`
}

func TestConsole(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "the console page is")
	for _, test := range []struct {
		name string
		run  func(*consoleRig)
	}{
		{"first visit", firstVisit},
		{"connection cut", connectionCut},
		{"gateway stops", gatewayStops},
		{"opened late", openedLate},
		{"pause, filter and clear", pauseFilterClear},
		{"keyboard", keyboardOnly},
		{"address", channelsInAddress},
		{"channels with rules", channelsWithRules},
	} {
		t.Run(test.name, func(t *testing.T) { runConsole(t, ctx, console, test.run) })
	}
}

func TestConsoleUnderLoad(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "the console page is")
	for _, test := range []struct {
		name string
		run  func(*consoleRig)
	}{
		{"flood", flood},
		{"reader scrolled away", scrolledAway},
		{"hostile data", hostileData},
		{"narrow and dark", narrowAndDark},
	} {
		t.Run(test.name, func(t *testing.T) { runConsole(t, ctx, console, test.run) })
	}
}

func runConsole(t *testing.T, ctx context.Context, console *browsertest.Console, test func(*consoleRig)) {
	r := newConsoleRig(t, ctx, console)
	test(r)
	r.quiet()
}

// A newcomer sees an event without a click.
func firstVisit(r *consoleRig) {
	r.open("", 1, desk, "light")
	r.await(`document.querySelector("#empty").innerText.includes("Publish one to news") && document.querySelector("#identity").hidden`)
	r.await(`/^[0-9a-f]+$/.test(document.querySelector("#client-name").innerText) && / ms$/.test(document.querySelector("#round-trip").innerText)`)
	r.publish("news", sentNow(), `{"big":12345678901234567890}`)
	r.await(shows("news", "1", " ms", `"hello"`))
	r.await(shows("news", "2", "–", `{"big":12345678901234567890}`))
	r.await(`document.querySelector("#empty").hidden`)
	r.await(`document.querySelector("#chips").innerText.includes("2 events")`)
	if commands := eval[string](r, `document.querySelector("#command-list").innerText`); !strings.Contains(commands, r.gateway.PublishAddrs()[0].String()) || !strings.Contains(commands, "http://localhost:8081/api/publish") {
		r.t.Errorf("the commands are %s", commands)
	}
	if !eval[bool](r, `document.querySelector("#publish-form").hidden && document.querySelector("#publish-denied").innerText.includes("--client-publish news")`) {
		r.t.Error("the page offers to publish where it may not, or does not say how to allow it")
	}
	// Expanding one event.
	r.do(chromedp.Click("#rows > :nth-child(2)"))
	r.await(`document.querySelector("#rows > :nth-child(2)[aria-expanded=true] pre").textContent === '{\n  "big": 12345678901234567890\n}'`)
	r.do(chromedp.Click("#expand-all"))
	r.await(`document.querySelectorAll("#rows pre").length === 2`)
}

func connectionCut(r *consoleRig) {
	r.open("", 1, desk, "light")
	r.publish("news", `"first"`)
	r.await(shows(`"first"`))
	r.line.cut()
	r.await(shows("Connection lost", "1006"))
	awaitSubscribers(r.t, r.gateway, 0)
	r.publish("news", `"second"`, `"third"`)
	r.line.route(r.gateway.ClientAddrs()[0].String())
	r.await(shows("news", "2 events", "this page was not connected"))
	r.await(shows("news", "3", "recovered", `"third"`))
	r.publish("news", `"fourth"`)
	r.await(`document.querySelector("#rows").lastChild.textContent.includes("fourth")`)
	order := eval[[]string](r, `[...document.querySelectorAll("#rows > *")].map((row) => row.className)`)
	if got := strings.Join(order, ", "); got != "event, state, state, recovered, event earlier, event earlier, event" {
		r.t.Errorf("the rows are %s", got)
	}
	// More than is kept.
	r.line.cut()
	awaitSubscribers(r.t, r.gateway, 0)
	r.publish("news", numbered(110)...)
	r.line.route(r.gateway.ClientAddrs()[0].String())
	r.await(shows("news", "Events 5 to 14 were missed", "while this page was not connected", "not kept"))
	r.await(shows("news", "100 events", "this page was not connected"))
	r.await(shows("news", "114", "recovered", `{"n":110}`))
	r.await(`document.querySelector("#chips").innerText.includes("1 gap")`)
}

// A page that is opened late shows the latest events, as many as its reader likes.
func openedLate(r *consoleRig) {
	r.publish("news", numbered(30)...)
	r.publish("chat", numbered(150)...)
	r.open("", 1, desk, "light")
	r.await(rows(20))
	r.await(shows("news", "11", "recovered", `{"n":11}`))
	r.publish("news", `"live"`)
	r.await(shows("news", "31", "–", `"live"`))
	r.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#last").value = "100"; document.querySelector("#last").dispatchEvent(new Event("change"))`))
	r.do(chromedp.SendKeys("#channel", "chat\r"))
	r.await(rows(121))
	r.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#last").value = "0"; document.querySelector("#last").dispatchEvent(new Event("change"))`))
	r.do(chromedp.Navigate("about:blank"))
	awaitSubscribers(r.t, r.gateway, 0)
	r.open("#news,chat", 2, desk, "light") // it remembers what was chosen
	r.publish("news", `"new"`)
	r.await(shows("news", "32", `"new"`))
	r.await(rows(1))
}

func gatewayStops(r *consoleRig) {
	r.open("", 1, desk, "light")
	r.publish("news", `"first"`)
	r.await(shows(`"first"`))
	next := startPatientGateway(r.t)
	r.line.route("")
	if err := r.gateway.Drain(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.await(shows("Connection lost", "the gateway is stopping"))
	r.line.route(next.ClientAddrs()[0].String())
	r.await(shows("news", "began anew"))
	r.await(`document.querySelector("#connection").dataset.state === "open"`)
}

func pauseFilterClear(r *consoleRig) {
	r.open("", 1, desk, "light")
	r.publish("news", `"before"`)
	r.await(shows("before"))
	r.do(chromedp.Click("#pause"))
	r.publish("news", `"during 1"`, `"During 2"`)
	r.await(`document.querySelector("#pause").innerText === "Paused: 2 waiting"`)
	r.await(rows(1))
	r.do(chromedp.Click("#pause"))
	r.await(rows(3))
	r.do(chromedp.SendKeys("#filter", "DURING"))
	r.await(rows(2))
	r.publish("news", `"after"`, `"during 3"`)
	r.await(rows(3))
	r.await(`document.querySelector("#totals").innerText.includes("3 of the last 5 match")`)
	// What waits is bounded too, and what is dropped is told.
	r.do(chromedp.Click("#clear"), chromedp.SendKeys("#filter", strings.Repeat("\b", len("during"))), chromedp.Click("#pause"))
	r.publish("news", numbered(1500)...)
	r.await(`document.querySelector("#pause").innerText === "Paused: 900 waiting"`)
	r.await(`document.querySelector("#totals").innerText.startsWith("1,500 events received · 600 not shown")`)
	r.do(chromedp.Click("#pause"))
	r.await(shows(`{"n":1500}`))
	r.await(shows("not shown", "600 events arrived and are not shown"))
	r.await(rows(901))
	r.do(chromedp.Click("#clear"))
	r.await(rows(0) + ` && document.querySelector("#totals").innerText.startsWith("0 events")`)
}

// The keyboard alone subscribes, publishes, reads and comes everywhere.
func keyboardOnly(r *consoleRig) {
	r.open("", 1, desk, "light")
	press := func(keys string, options ...chromedp.KeyOption) { r.do(chromedp.KeyEvent(keys, options...)) }
	r.key("s")
	press("chat p?\r") // several names; keys that are shortcuts elsewhere
	awaitSubscribers(r.t, r.gateway, 3)
	if hash := eval[string](r, `location.hash`); hash != "#news,chat,p%3F" {
		r.t.Errorf("the address is %s", hash)
	}
	press("\x1b")
	// Back to the chip of chat, and on to the box.
	r.tabTo(`document.activeElement.innerText.startsWith("chat")`, true)
	press("\r")
	r.await(`!document.querySelector("#publish-form").hidden && document.querySelector("#publish-channel").innerText === "chat"`)
	r.tabTo(`document.activeElement.id === "publish-data"`, false)
	press("\r", chromedp.KeyModifiers(chromedp.ModifierCtrl))
	r.await(shows("chat", "1", " ms", `{"text":"hello"}`))
	r.await(`document.querySelector("#publish-result").innerText.startsWith("Published at offset 1")`)
	press("{")
	press("\r", chromedp.KeyModifiers(chromedp.ModifierCtrl))
	r.await(`document.querySelector("#publish-result").innerText.startsWith("This is not JSON")`)
	press("\x1b")
	r.publish("news", `{"a":1}`)
	r.await(rows(2))
	// The log is one stop of Tab, with its newest row.
	r.tabTo(`document.activeElement.closest("#rows") !== null`, true)
	press("\r")
	r.await(`document.activeElement.getAttribute("aria-expanded") === "true" && document.activeElement.textContent.includes('"a": 1')`)
	press(kb.ArrowUp)
	r.await(`document.activeElement === document.querySelector("#rows").firstChild`)
	r.key("p")
	r.await(`document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
	r.key("?")
	r.await(`document.querySelector("#help").open`)
	r.key("p") // is not for the page now
	press("\x1b")
	r.await(`!document.querySelector("#help").open && document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
	r.key("c")
	r.await(rows(0))
	r.key("/")
	press("cp")
	r.await(`document.querySelector("#filter").value === "cp"`)
}

// tabTo presses Tab, with Shift if back, until the expression is true.
// The focus must be visible at every stop.
func (r *consoleRig) tabTo(expression string, back bool) {
	r.t.Helper()
	var options []chromedp.KeyOption
	if back {
		options = append(options, chromedp.KeyModifiers(chromedp.ModifierShift))
	}
	for range 40 {
		r.do(chromedp.KeyEvent("\t", options...))
		if !eval[bool](r, `document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
			r.t.Errorf("the focus is not visible on %s", eval[string](r, `document.activeElement.outerHTML.slice(0, 200)`))
		}
		if eval[bool](r, expression) {
			return
		}
	}
	r.t.Fatalf("Tab does not lead to %s", expression)
}

func channelsInAddress(r *consoleRig) {
	r.open("#news,it's%20bad,a%2Cb", 2, desk, "light")
	r.await(shows("it's bad", "bad_channel"))
	r.await(`document.querySelector("#chips .refused").innerText.includes("refused: bad_channel")`)
	r.publish("a,b", "1")
	r.await(shows("a,b", "1"))
	r.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#news,chat"`))
	r.await(`[...document.querySelectorAll("#chips bdi")].map((name) => name.innerText).join() === "news,chat"`)
	awaitSubscribers(r.t, r.gateway, 2)
	r.do(chromedp.Click("#chips li:first-child .remove"))
	awaitSubscribers(r.t, r.gateway, 1)
	r.await(`location.hash === "#chat" && document.querySelector("#publish-channel").innerText === "chat"`)
	r.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#" + "x".repeat(256)`))
	r.await(shows("Not subscribed", "1 to 255 bytes"))
	r.do(chromedp.Evaluate[chromedp.Void](`location.hash = Array.from({length: 300}, (_, i) => "c" + i).join()`))
	r.await(`document.querySelectorAll("#chips li").length === 128`)
	awaitSubscribers(r.t, r.gateway, 128)
}

// channelsWithRules offers to publish where the first grant lets clients, and names
// the command that explains why they may not.
func channelsWithRules(r *consoleRig) {
	const denied = `document.querySelector("#publish-denied").innerText`
	r.open("#chat.open", 1, desk, "light")
	r.await(`!document.querySelector("#publish-form").hidden && document.querySelector("#publish-denied").hidden`)
	r.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#chat.locked"`))
	r.await(`document.querySelector("#publish-form").hidden && ` + denied + `.includes("fleetcast config explain chat.locked") && !` + denied + `.includes("--client-publish")`)
	r.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#news"`))
	r.await(denied + `.includes("--client-publish news") && !` + denied + `.includes("explain")`)
}

// watchRows has the page write down the most rows it ever had, the most that were
// added in one go, and how many events were drawn.
const watchRows = `
window.most = { rows: 0, added: 0 };
window.drawn = 0;
new MutationObserver((changes) => {
  most.rows = Math.max(most.rows, document.querySelector("#rows").childElementCount);
  for (const { addedNodes } of changes) {
    most.added = Math.max(most.added, addedNodes.length);
    for (const row of addedNodes) if (row.className === "event") drawn++;
  }
}).observe(document.querySelector("#rows"), { childList: true }); true`

func flood(r *consoleRig) {
	r.open("", 1, desk, "light")
	eval[bool](r, watchRows)
	r.publish("news", numbered(20_000)...)
	r.do(chromedp.Click("#pause")) // the page answers meanwhile
	r.await(`document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
	r.do(chromedp.Click("#pause"))
	r.await(`document.querySelector("#totals").innerText.startsWith("20,000 events received")`)
	r.await(shows(`{"n":20000}`))
	// Everything was drawn, or is told not to have been.
	r.await(`drawn + Number(/([0-9,]+) not shown/.exec(document.querySelector("#totals").innerText)?.[1].replaceAll(",", "") ?? 0) === 20000`)
	for name, most := range map[string]int{"rows": 1000, "added": 100} {
		if got := eval[int](r, "most."+name); got > most {
			r.t.Errorf("%s: %d at most, want no more than %d", name, got, most)
		}
	}
	r.publish("news", `"last"`)
	r.await(`document.querySelector("#rows").lastChild.textContent.includes("last")`)
	r.await(`(({ scrollTop, clientHeight, scrollHeight }) => scrollHeight - scrollTop - clientHeight < 9)(document.querySelector("#scroller"))`)
}

func scrolledAway(r *consoleRig) {
	r.open("", 1, desk, "light")
	r.publish("news", numbered(200)...)
	r.await(rows(200))
	r.await(`document.querySelector("#scroller").scrollTop > 1000`)
	r.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#scroller").scrollTop = 300`))
	r.await(`!document.querySelector("#newest").hidden`)
	r.publish("news", numbered(2000)...)
	r.await(rows(1000))
	// The log is full, and what the reader looks at has not moved.
	r.await(`/^↓ [0-9,]+ more$/.test(document.querySelector("#newest").innerText)`)
	if !eval[bool](r, `document.querySelector("#scroller").scrollTop === 300 && document.querySelector("#rows").firstChild.textContent.includes('{"n":1}')`) {
		r.t.Error("the log has moved under the reader")
	}
	r.do(chromedp.Click("#newest"))
	r.await(`document.querySelector("#rows").lastChild.textContent.includes('{"n":2000}') && document.querySelector("#newest").hidden`)
}

// Whatever is published is text.
func hostileData(r *consoleRig) {
	const markup = `<img src=x onerror=window.hacked=1><script>window.hacked=1</script>`
	channel := `<b>"&lt;</b>`
	r.open("#%3Cb%3E%22%26lt%3B%3C%2Fb%3E,__proto__", 2, desk, "light")
	r.do(chromedp.Click("#expand-all"))
	r.publish(channel, `"`+markup+`"`, `{"`+markup+`":{"__proto__":1,"sent":"soon"}}`, `{"sent":-1e308}`, strings.Repeat("[", jsonscan.MaxDepth)+strings.Repeat("]", jsonscan.MaxDepth), `"`+strings.Repeat("<b>", 10_000)+`"`)
	r.publish("__proto__", `null`)
	r.await(rows(6))
	r.await(shows(channel, markup))
	r.await(shows("__proto__", "null"))
	if eval[bool](r, `window.hacked !== undefined || document.images.length > 0 || document.querySelectorAll("b:not(#command-list b), script").length > 1`) {
		r.t.Error("data has become markup")
	}
	r.do(chromedp.Click("#expand-all"))
	r.await(`document.querySelectorAll("#rows pre").length === 0 && document.querySelector("#rows").textContent.length < 3000`)
}

func narrowAndDark(r *consoleRig) {
	long := strings.Repeat("long-name-", 20)
	r.open("#chat,"+long, 2, phone, "dark")
	r.publish(long, `"`+strings.Repeat("word", 200)+`"`)
	r.publish("chat", sentNow())
	r.await(rows(2))
	r.do(chromedp.Click("#expand-all"))
	for _, width := range []int64{phone, 768, desk} {
		r.do(chromedp.EmulateViewport(width, 800))
		if got := eval[int64](r, `document.documentElement.scrollWidth`); got > width {
			r.t.Errorf("the page is %d wide in a window of %d", got, width)
		}
	}
	dark := eval[string](r, `getComputedStyle(document.body).backgroundColor`)
	r.scheme("light")
	if light := eval[string](r, `getComputedStyle(document.body).backgroundColor`); dark == light {
		r.t.Errorf("dark and light are both %s", dark)
	}
}
