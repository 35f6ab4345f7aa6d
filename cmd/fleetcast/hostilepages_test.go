package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web/browsertest"
)

// gatewayName is the name by which pages reach the gateways of TestHostilePages, and
// siblingName another name of the same site.
const (
	gatewayName = "gateway.site.example"
	siblingName = "evil.site.example"
)

// attacked is a gateway that hostile pages attack.
type attacked struct {
	t          *testing.T
	ports      map[string]string // addresses by their names in attacks
	keys       map[string]string // what a page may have stolen, by the same names
	operator   string            // a key of the admin port that is right, or empty
	publisher  string            // and one of the publish port
	subscriber *invocation       // an honest client
}

// startAttacked starts a gateway, with keys and tokens or without, and an honest client.
func startAttacked(t *testing.T, flags ...string) *attacked {
	t.Helper()
	a := &attacked{t: t, ports: map[string]string{}, keys: map[string]string{}}
	g := start(t, nil, append([]string{"--listen=127.0.0.1:0", "--publish=127.0.0.1:0", "--admin=127.0.0.1:0", "--allow-host=" + gatewayName,
		"--handshake-timeout=5s", "--message-timeout=5s"}, flags...)...)
	for port, text := range map[string]string{"client": `clients connect to +ws://([^/]+)`, "publish": `publish to +(\S+)`, "admin": `look inside at +http://([^/]+)/`} {
		_, number, err := net.SplitHostPort(g.out.await(t, text)[1])
		if err != nil {
			t.Fatal(err)
		}
		a.ports[port] = number
	}
	g.out.await(t, "stop with")
	t.Cleanup(func() { g.stop(); g.wait(t) })
	return a
}

// startKeyed is startAttacked with a key on every port, and with tokens in cookies.
func startKeyed(t *testing.T) *attacked {
	t.Helper()
	publisher, publishEntry := newKey(t, "--publish=**")
	operator, adminEntry := newKey(t, "--admin=write")
	file := filepath.Join(t.TempDir(), "fleetcast.yaml")
	if err := os.WriteFile(file, []byte(publishEntry+adminEntry), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startAttacked(t, "--config="+file, "--token-secret=env:"+secretVariable, "--token-cookie=session")
	a.operator, a.publisher = operator, publisher
	a.keys = map[string]string{"client": tokenOf("alice"), "publish": publisher, "admin": operator}
	return a
}

// subscribes has the honest client of a subscribe.
func (a *attacked) subscribes() {
	a.t.Helper()
	args := []string{"subscribe", "--url=ws://127.0.0.1:" + a.ports["client"] + gateway.Path, "news"}
	if a.operator != "" {
		file := filepath.Join(a.t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(tokenOf("alice")), 0o600); err != nil {
			a.t.Fatal(err)
		}
		args = append(args, "--token=file:"+file)
	}
	a.subscriber = start(a.t, nil, args...)
	a.eventually("the honest client", func(s *gateway.GatewayStats) bool { return s.Total.Subscriptions == 1 })
}

// stats asks the gateway.
func (a *attacked) stats() *gateway.GatewayStats {
	a.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+a.ports["admin"]+"/api/stats", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+a.operator)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	stats := new(gateway.GatewayStats)
	if err := json.NewDecoder(response.Body).Decode(stats); err != nil || response.StatusCode != http.StatusOK {
		a.t.Fatalf("/api/stats is answered with %d, %v", response.StatusCode, err)
	}
	return stats
}

func (a *attacked) eventually(what string, condition func(*gateway.GatewayStats) bool) {
	a.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		stats := a.stats()
		if condition(stats) {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("%s does not come about; the counters are %+v", what, stats)
		}
	}
}

// refusals is how many requests a port has refused.
func refusals(s *gateway.GatewayStats, port string) (sum uint64) {
	for _, n := range map[string]map[string]uint64{"client": s.Total.HandshakeFailures, "publish": s.Publish.Errors, "admin": s.AdminRefused}[port] {
		sum += n
	}
	return sum
}

// unharmed checks that nothing has changed but the counters of what was refused.
func (a *attacked) unharmed(by string) {
	a.t.Helper()
	s := a.stats()
	if !s.Ready || s.Publish.Events != 0 || s.Publish.Requests != 0 || s.Publish.Streams != 1 || s.UsersBlocked != 0 ||
		s.Total.Clients != 1 || s.Total.Subscriptions != 1 || s.Total.ClientPublished != 0 {
		a.t.Errorf("%s has had an effect: %+v", by, s)
	}
}

// hostilePage is a page from which a browser attacks.
type hostilePage struct {
	browserPage
	name string
	sees []string // parts of the refusals that it may read
}

// attack has the page try lists, by the names of ports, all at the same time. hosts are what
// the page calls the ports.
func (p hostilePage) attack(a *attacked, hosts map[string]string, lists ...map[string][]pageAttack) {
	p.Helper()
	script, before := new(strings.Builder), a.stats()
	fmt.Fprintf(script, "(async () => {%sreturn Promise.all([", hostileTools)
	want, names := map[string]uint64{}, []string{}
	for port, host := range hosts {
		want[port] = refusals(before, port)
		for _, list := range lists {
			for _, one := range list[port] {
				fmt.Fprintf(script, "((at, key) => Promise.race([%s, later(%d).then(() => \"hangs\")]))(%q, %q),\n",
					one.script, patience.Milliseconds(), host+":"+a.ports[port], a.keys[port])
				want[port] += one.refused
				names = append(names, port+" port, "+one.name)
			}
		}
	}
	script.WriteString("]);})()")
	learned, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](script.String(), chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v", p.name, err)
	}
	for i, what := range learned {
		if what != "" && !slices.ContainsFunc(p.sees, func(part string) bool { return strings.Contains(what, part) }) {
			p.Errorf("%s, %s: the page has learned %.200q", p.name, names[i], what)
		}
	}
	for port, n := range want {
		a.eventually(fmt.Sprintf("refusal of %d requests of %s on the %s port", n, p.name, port), func(s *gateway.GatewayStats) bool { return refusals(s, port) >= n })
	}
	a.unharmed(p.name)
}

// evilSite serves pages under every name, /sandbox with an origin that is null.
type evilSite struct {
	*httptest.Server
	port string

	mu     sync.Mutex
	cookie string // of the last request for /seen
}

func newEvilSite(t *testing.T) *evilSite {
	t.Helper()
	e := new(evilSite)
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/seen" {
			e.mu.Lock()
			e.cookie = r.Header.Get("Cookie")
			e.mu.Unlock()
		}
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/sandbox" {
			w.Header().Set("Content-Security-Policy", "sandbox allow-scripts allow-forms allow-popups")
		}
		fmt.Fprint(w, emptyPage)
	}))
	t.Cleanup(e.Close)
	_, e.port, _ = net.SplitHostPort(e.Listener.Addr().String())
	return e
}

const emptyPage = `<!doctype html><title>evil</title><link rel="icon" href="data:,"><p>evil`

// reboundName is a name that was the attacker's when the browser loaded its page, and leads to
// the gateway since. The page is the gateway's refusal here, which has the same origin.
const reboundName = "rebound.example"

// TestHostilePages has pages of a real browser try what pages can: those of other sites, of
// the same site, of the same host, without an origin, and those whose names come to lead to
// the gateway. On every port, with keys and without, they do nothing and learn nothing.
func TestHostilePages(t *testing.T) {
	t.Parallel() // it waits most of the time
	setSecrets(t)
	ctx, console := browsertest.Start(t, "what hostile pages can do is", chromedp.Flag("host-resolver-rules", "MAP *.example 127.0.0.1"))
	page := browserPage{t, ctx}
	site := newEvilSite(t)
	cookie := network.SetCookieParams{Name: "session", Value: tokenOf("alice"), URL: "http://" + gatewayName + "/"}
	if _, err := chromedp.Call(ctx, network.SetCookie, cookie); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		*attacked
		pages []string
	}{
		{"without keys", startAttacked(t), []string{"http://evil.example:" + site.port + "/", "http://evil.example:" + site.port + "/sandbox"}},
		{"with keys", startKeyed(t), []string{"http://" + siblingName + ":" + site.port + "/", "http://" + gatewayName + ":" + site.port + "/"}},
	}
	for _, test := range tests {
		a := test.attacked
		a.subscribes()
		for _, from := range test.pages {
			site.attacks(a, hostilePage{page, test.name + ", " + from, nil}, from)
			if said := strings.Join(console.Take(), "\n"); strings.Count(said, "frame-ancestors") < 2 {
				t.Errorf("%s, %s: the browser has shown a page in a frame, it says\n%s", test.name, from, said)
			}
		}
		for port, number := range a.ports {
			p := hostilePage{page, test.name + ", " + reboundName, []string{"the gateway does not know the host name", "This is the publish port"}}
			p.open("http://" + reboundName + ":" + number + "/")
			p.attack(a, map[string]string{port: reboundName}, attacks)
		}
		a.isWell(page)
	}
	page.open("about:blank")
	for _, test := range tests { // browsers keep connections open, and open some on which they send nothing
		test.eventually("the end of all connections of pages", func(s *gateway.GatewayStats) bool {
			return s.Total.Connections == 1 && s.Publish.Publishers == 0 && s.Publish.Events == 1
		})
	}
}

// attacks has a page of the site attack all ports of a gateway.
func (e *evilSite) attacks(a *attacked, p hostilePage, from string) {
	p.Helper()
	p.open(from)
	// A browser tells where a request comes from only if it goes to localhost, or by TLS.
	p.attack(a, map[string]string{"client": gatewayName, "publish": gatewayName, "admin": "localhost"}, attacks, windowAttacks)
	p.attack(a, map[string]string{"admin": gatewayName}, blindAttacks)
	p.tries(fmt.Sprintf(`ask("http://%s:%s/seen", { mode: "no-cors", credentials: "include" })`, gatewayName, e.port))
	e.mu.Lock()
	defer e.mu.Unlock()
	// The cookie goes with what a page of the same site asks for. Otherwise this would show nothing.
	if sent := strings.HasPrefix(e.cookie, "session="); sent != strings.Contains(from, ".site.example") {
		p.Errorf("%s has sent the cookie: %v", p.name, sent)
	}
}

// tries runs an expression of hostileTools in the page.
func (p browserPage) tries(expression string) (learned string) {
	p.Helper()
	learned, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("(async () => {"+hostileTools+"return "+expression+"})()", chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatal(err)
	}
	return learned
}

// isWell checks that the gateway's own page may connect, by the cookie if clients must say who
// they are, and that the honest client gets the first event that there was.
func (a *attacked) isWell(page browserPage) {
	a.t.Helper()
	page.open("http://" + gatewayName + ":" + a.ports["client"] + "/")
	welcome := page.tries(`socket("ws://" + location.host + "/ws")`)
	if !strings.Contains(welcome, `"welcome"`) || strings.Contains(welcome, `"alice"`) != (a.operator != "") {
		a.t.Errorf("the page of the gateway itself has learned %q", welcome)
	}
	line := `{"channel":"news","data":"honest"}`
	if a.publisher != "" {
		line = `{"auth":"` + a.publisher + "\"}\n" + line
	}
	writeLine(a.t, "127.0.0.1:"+a.ports["publish"], line)
	a.subscriber.out.await(a.t, `honest`)
	if _, text, _ := strings.Cut(a.subscriber.out.String(), "honest"); strings.Contains(text, "hostile") {
		a.t.Errorf("the honest client has got %s", a.subscriber.out)
	}
}
