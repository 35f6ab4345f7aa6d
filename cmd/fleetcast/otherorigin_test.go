package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web/browsertest"
)

// evilPage is a page that tries all that a page may send without asking, to each
// of its targets, and then says so.
const evilPage = `<!doctype html><title>evil</title><p id="said">not yet</p><script>
const body = "0x401000+".repeat(100000);
const sent = [];
for (const target of %s) {
  for (const method of ["GET", "HEAD", "POST"]) {
    const type = "text/plain";
    sent.push(fetch(target, { method, mode: "no-cors", headers: { "Content-Type": type }, body: method === "POST" ? body : undefined })
      .then((answer) => answer.type, (error) => "failed"));
  }
  sent.push(fetch(target, { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"channel":"news","data":1}' })
    .then((answer) => "READ " + answer.status, (error) => "failed"));
  const image = new Image();
  image.src = target;
}
Promise.all(sent).then((all) => { document.getElementById("said").textContent = "all sent: " + all.filter((said) => said.startsWith("READ")); });
</script>`

// TestPagesOfOtherOrigins has a real browser show a page of another origin, which
// may do nothing to the admin port, and a page whose name leads to the gateway,
// which may not reach it.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, _ := browsertest.Start(t, "what pages of other origins can do is",
		chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1, MAP good.example 127.0.0.1"))
	page := browserPage{t, ctx}
	p := startProcess(t, "--listen=127.0.0.1:0", "--publish=off", "--admin=127.0.0.1:0", "--allow-host=good.example")
	clients := p.out.await(t, `open in a browser +http://([^/\s]+)`)[1]
	admin := p.out.await(t, `look inside at +http://([^/]+)/`)[1]
	var targets []string
	for _, path := range []string{"/debug/pprof/symbol", "/debug/pprof/heap?seconds=50", "/debug/pprof/profile?seconds=50", "/api/publish", "/api/drain", "/api/channels", "/metrics", "/"} {
		targets = append(targets, "http://"+admin+path)
	}
	list, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, evilPage, list)
	}))
	defer evil.Close()
	page.open(evil.URL)
	page.awaits("all sent: ")
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil || strings.Contains(text, "READ") {
		t.Errorf("the page could read answers: %q, %v", text, err)
	}
	// It has drained and published nothing, and no profile is under way.
	status, body := fetch(t, "http://"+admin+"/api/stats")
	var stats gateway.GatewayStats
	if err := json.Unmarshal([]byte(body), &stats); status != http.StatusOK || err != nil || !stats.Ready || stats.Publish.Requests > 0 || stats.Publish.Streams > 0 {
		t.Errorf("after the page the gateway answers with %d %s, %v", status, body, err)
	}
	for range 2 {
		if status, body := fetch(t, "http://"+admin+"/debug/pprof/cmdline"); status != http.StatusOK {
			t.Errorf("after the page a profile is answered with %d %q", status, body)
		}
	}

	for _, at := range []string{clients, admin} {
		_, port, _ := net.SplitHostPort(at)
		page.open("http://evil.example:" + port + "/")
		page.awaits("--allow-host")
		page.open("http://good.example:" + port + "/")
		page.awaits("fleetcast")
	}
	p.err.await(t, `level=WARN msg="handshakes of clients were refused" reason=forbidden_host .*hosts=evil.example.*--allow-host`)
	p.err.await(t, `level=WARN msg="requests to the admin port were refused" reason=forbidden_host .*hosts=evil.example.*--allow-host`)
}
