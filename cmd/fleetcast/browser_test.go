package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web/browsertest"
)

// browserPage is a page in a real browser.
type browserPage struct {
	*testing.T
	ctx context.Context
}

func (p browserPage) open(url string) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(url)); err != nil {
		p.Fatal(err)
	}
}

// awaits waits until the page shows all of the texts.
func (p browserPage) awaits(texts ...string) {
	p.Helper()
	list, err := json.Marshal(texts)
	if err != nil {
		p.Fatal(err)
	}
	shown := fmt.Sprintf(`%s.every((text) => document.body.textContent.includes(text))`, list)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); ; <-poll.C {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](shown))
		if err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText`))
			p.Fatalf("the page does not show %q, error %v; it shows\n%s", texts, err, text)
		}
	}
}

// writeLine publishes as nc does.
func writeLine(t *testing.T, addr, line string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, line); err != nil {
		t.Fatal(err)
	}
}

// awaitSubscription waits until the gateway has one subscription.
func awaitSubscription(t *testing.T, admin string) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); ; <-poll.C {
		if _, text := fetch(t, admin+"api/stats"); strings.Contains(text, `"subscriptions": 1`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the page does not subscribe")
		}
	}
}

// hostOf returns the host and the port of a URL.
func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// checkCompressed checks that the one client and its one long event are compressed.
func checkCompressed(t *testing.T, admin string) {
	t.Helper()
	_, text := fetch(t, admin+"api/stats")
	var stats gateway.GatewayStats
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		t.Fatal(err)
	}
	if c := stats.Compression; stats.Total.CompressedClients != 1 || c.Events != 1 || c.BytesOut == 0 || c.BytesOut > c.BytesIn/10 {
		t.Errorf("%d compressed clients, compressed %+v", stats.Total.CompressedClients, c)
	}
}

// TestNewcomer does what README says with a real process and a real browser: the
// page shows events that were published over TCP, one of them compressed; the gateway is killed and
// comes back, and the page says what it may have missed, and goes on. The
// dashboard knows of all that.
func TestNewcomer(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "the pages of a gateway")
	page := browserPage{t, ctx}
	p := startProcess(t, "--listen=localhost:0", "--publish=localhost:0", "--admin=localhost:0")
	site := p.out.await(t, `open in a browser +(http://\S+)`)[1]
	publish := p.out.await(t, `publish to +(\S+)`)[1]
	admin := p.out.await(t, `look inside at +(http://\S+)`)[1]
	page.open(site)
	page.awaits("connected")
	// The page subscribes with the first message that it sends, which may follow.
	awaitSubscription(t, admin)
	writeLine(t, publish, `{"channel":"news","data":{"text":"first words"}}`)
	page.awaits("first words", "1 event")
	writeLine(t, publish, `{"channel":"news","data":{"text":"long words`+strings.Repeat(" and more of them", 100)+`"}}`)
	page.awaits("long words and more of them", "2 events")
	checkCompressed(t, admin)

	p.signal(t, syscall.SIGKILL)
	p.exitCode(t)
	page.awaits("waiting")
	again := startProcess(t, "--listen="+hostOf(t, site), "--publish="+publish, "--admin="+hostOf(t, admin))
	again.out.await(t, "stop with")
	page.awaits("connected", "1 gap")
	writeLine(t, publish, `{"channel":"news","data":{"text":"second words"}}`)
	page.awaits("second words")
	for _, complaint := range console.Take() {
		if !strings.Contains(complaint, "WebSocket connection to") { // while there was no gateway
			t.Errorf("the browser complains: %s", complaint)
		}
	}

	page.open(admin)
	page.awaits("All is well", "news")
	if complaints := console.Take(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}
