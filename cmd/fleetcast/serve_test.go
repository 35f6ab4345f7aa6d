package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"fleetcast/cmd/internal/host"
	"fleetcast/gateway"
)

// fetch asks for a page and returns the status and the body.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// fetchWants asks for a page and compares.
func fetchWants(t *testing.T, url string, status int, body string) {
	t.Helper()
	if got, text := fetch(t, url); got != status || !strings.Contains(text, body) {
		t.Errorf("%s is answered with %d %.300q, want %d %q", url, got, text, status, body)
	}
}

// httpOf is the address of the client port's pages.
func httpOf(clientURL string) string {
	return "http" + strings.TrimSuffix(strings.TrimPrefix(clientURL, "ws"), gateway.Path)
}

func TestServePages(t *testing.T) {
	_, url, publish, admin := startGateway(t)
	site := httpOf(url)
	fetchWants(t, site+"/", 200, "<title>fleetcast console</title>")
	fetchWants(t, site+"/fleetcast.js", 200, "export")
	fetchWants(t, site+"/healthz", 200, "ok")
	fetchWants(t, site+"/console/config.json", 200, `"publish":"`+publish+`","admin":"`+admin+`"`)
	fetchWants(t, site+"/nothing", 404, "clients connect to /ws")
	fetchWants(t, "http://"+admin+"/", 200, "<title>")
	_, text := fetch(t, "http://"+admin+"/api/stats")
	var stats struct {
		Version string
		Shards  []json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &stats); err != nil || stats.Version != version() || len(stats.Shards) != host.Processors {
		t.Errorf("version %q and %d shards, error %v; want %q and %d", stats.Version, len(stats.Shards), err, version(), host.Processors)
	}
}

// The announcement and the console page say what the pages ask for.
func TestServePagesThatAsk(t *testing.T) {
	_, entry := newKey(t, "--publish=**")
	_, adminEntry := newKey(t, "--admin=read")
	c := startConfigured(t, "token-secret: file:"+fileWith(t, "secret", tokenSecret)+"\n"+entry+adminEntry, "--publish=localhost:0", "--admin=localhost:0")
	site := c.out.await(t, `open in a browser +(http://\S+)   \(the page has a field for a token\)`)[1]
	c.out.await(t, `look inside at +http://\S+   \(the page asks for a key of --admin-keys\)`)
	fetchWants(t, site+"console/config.json", 200, `"publishKey":true,"adminKey":true,"tokens":true`)

	open, url, _, _ := startGateway(t)
	if strings.Contains(open.out.String(), "(the page") {
		t.Errorf("nothing is asked for: %s", open.out)
	}
	fetchWants(t, httpOf(url)+"/console/config.json", 200, `"publishKey":false,"adminKey":false,"tokens":false`)
}

func TestServeWithoutConsole(t *testing.T) {
	_, url, _, _ := startGateway(t, "--console=off")
	fetchWants(t, httpOf(url)+"/", 200, "This is fleetcast")
	fetchWants(t, httpOf(url)+"/fleetcast.js", 200, "export")
	fetchWants(t, httpOf(url)+"/console/console.js", 404, "")
}

func TestReloadChangesThePages(t *testing.T) {
	p := startConfigured(t, "console: on\n")
	site := httpOf(p.out.await(t, `clients connect to +(ws://\S+)`)[1])
	fetchWants(t, site+"/", 200, "<title>fleetcast console</title>")
	p.reload(t, "console: off\nclient-publish: chat\n", `console: on -> off`)
	fetchWants(t, site+"/", 200, "This is fleetcast")
	p.reload(t, "console: on\nclient-publish: chat\n", `console: off -> on`)
	fetchWants(t, site+"/console/config.json", 200, `"clientPublish":[{"match":"chat","clients":true}]`)
	p.reload(t, "client-publish: chat\nchannels: {match: chat, client-publish: off}\n", `channels: none -> chat client-publish=off`)
	fetchWants(t, site+"/console/config.json", 200, `"clientPublish":[{"match":"chat","clients":false},{"match":"chat","clients":true}]`)
}

// An operator's request ends the process as a signal does.
func TestDrainByAPI(t *testing.T) {
	c, url, _, admin := startGateway(t, "--retry-window=0s")
	subscriber := start(t, nil, "subscribe", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	response, err := http.Post("http://"+admin+"/api/drain", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		t.Errorf("answered with %s", response.Status)
	}
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d: %s", code, c.err)
	}
	subscriber.err.await(t, `1001 "draining"`)
	c.err.await(t, `msg="clients are sent away" clients=1 over=10ms returns_over=0s`)
}

// TestServeUnderSystemd runs the process as systemd does: with sockets that were
// opened for it, and a socket on which it says how it is.
func TestServeUnderSystemd(t *testing.T) {
	next := notifySocket(t)
	clients, file1 := listen(t)
	publish, file2 := listen(t)
	admin, file3 := listen(t)
	configFileHere(t, "max-clients: 10\n")
	cmd := exec.Command("/bin/sh", "-c", forChild+
		`export LISTEN_FDS=3 LISTEN_FDNAMES=clients:publish:admin WATCHDOG_PID=$$ WATCHDOG_USEC=100000; exec "$0" --config=fleetcast.yaml`, testBinary(t))
	cmd.ExtraFiles = []*os.File{file1, file2, file3}
	p := startCommand(t, cmd)

	await := func(pattern string) {
		t.Helper()
		for expression := regexp.MustCompile(pattern); ; {
			if expression.MatchString(next()) {
				return
			}
		}
	}
	await(`^READY=1\nSTATUS=clients connect to ws://` + clients + `/ws$`)
	fetchWants(t, "http://"+clients+"/healthz", 200, "ok")
	fetchWants(t, "http://"+admin+"/readyz", 200, "ready")
	await(`^WATCHDOG=1$`)

	subscriber := start(t, nil, "subscribe", "--url=ws://"+clients+gateway.Path, "news")
	subscriber.err.await(t, "subscribed to news")
	if code := start(t, nil, "publish", "--to="+publish, "news", "1").wait(t); code != 0 {
		t.Errorf("publish: exit code %d", code)
	}
	subscriber.out.await(t, `"offset":1,"data":1`)

	p.reload(t, "max-clients: 20\n", "max-clients: 10 -> 20")
	await(`^RELOADING=1\nMONOTONIC_USEC=`)
	await(`^READY=1\n`)
	p.signal(t, syscall.SIGTERM)
	await(`^STOPPING=1\n`)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d: %s", code, p.err)
	}
}

func TestSystemdPassesASocketThatIsOff(t *testing.T) {
	_, file := listen(t)
	cmd := exec.Command("/bin/sh", "-c", forChild+`export LISTEN_FDS=1 LISTEN_FDNAMES=publish; exec "$0" --publish=off --listen=localhost:0 --admin=off`, testBinary(t))
	cmd.ExtraFiles = []*os.File{file}
	p := startCommand(t, cmd)
	if code := p.exitCode(t); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	p.err.await(t, `systemd passed a socket with the name "publish", but that port is off`)
}
