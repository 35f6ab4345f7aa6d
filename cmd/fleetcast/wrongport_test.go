package main

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/keys"
)

// wrongPlace is a server that is not what a command needs, and how the command's last line ends;
// empty if the command is right there, or has to wait for its timeout (Redis takes a greeting of
// TLS for the beginning of a line).
type wrongPlace struct {
	name, address            string
	plain, secure, publishes string // of subscribe with ws and wss, and of publish
}

// TestWrongPorts has commands connect to what is not for them. Each says in one line what it
// has found and what would be right, and ends.
func TestWrongPorts(t *testing.T) {
	t.Parallel() // it waits most of the time
	const clientsAt, eventsAt = "; clients connect to the client port (--listen of the gateway), by default ws://localhost:8080/ws\n", "; events go to the publish port (--publish of the gateway), by default localhost:8082; nothing was published\n"
	const web, isTLS = "an HTTP server that is no gateway, or passes nothing on to one here", "it speaks TLS; write wss:// in place of ws://\n"
	_, url, publish, admin := startGateway(t)
	_, _, _, locked := startGateway(t, "--admin-keys=a sha256="+anyDigest+" access=read")
	page := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	secureSite := httptest.NewUnstartedServer(http.NotFoundHandler())
	secureSite.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secureSite.StartTLS()
	t.Cleanup(secureSite.Close)
	for _, test := range []wrongPlace{
		{"client port", strings.TrimPrefix(httpOf(url), "http://"), "",
			"it is the client port of a gateway, which takes no TLS; write ws:// in place of wss://, or name the proxy that ends TLS\n",
			" is the client port of a gateway" + eventsAt},
		{"publish port", publish, ": it is the publish port of a gateway" + clientsAt, ": it is the publish port of a gateway" + clientsAt, ""},
		{"admin port", admin, ": it is the admin port of a gateway" + clientsAt, ": it is the admin port of a gateway" + clientsAt, " is the admin port of a gateway" + eventsAt},
		{"admin port with keys", locked, ": it is the admin port of a gateway" + clientsAt, ": it is the admin port of a gateway" + clientsAt, " is the admin port of a gateway" + eventsAt},
		{"web server", page(404, "nothing here"), ": 404 Not Found: nothing here; it is " + web + clientsAt, ": it is " + web + clientsAt, " is " + web + eventsAt},
		{"web page", page(200, "<html>\n"), ": 200 OK: the answer is a web page; it is " + web + clientsAt, ": it is " + web + clientsAt, " is " + web + eventsAt},
		{"HTTPS", secureSite.Listener.Addr().String(), isTLS, "", " is a server that speaks TLS, which publish does not" + eventsAt},
		{"TLS", onlyTLS(t), isTLS, "", " is a server that speaks TLS, which publish does not" + eventsAt},
		{"Redis", redis(t), ": it is a Redis server" + clientsAt, "", " is a Redis server" + eventsAt},
		{"nobody", testrun.FreeAddress(t), "", "", ": connect: connection refused; is a gateway running there? Start one with: fleetcast serve\n"},
	} {
		if test.address == "" {
			continue
		}
		for want, args := range map[string][]string{
			"ws " + test.plain:             {"subscribe", "--url=ws://" + test.address + "/ws", "news"},
			"wss " + test.secure:           {"subscribe", "--url=wss://" + test.address + "/ws", "news"},
			"event " + test.publishes:      {"publish", "--to=" + test.address, "news", "1"},
			"with a key " + test.publishes: {"publish", "--to=" + test.address, "--key-file=" + fileWith(t, "key", keys.New()), "news", "1"},
			"lines " + test.publishes:      {"publish", "--to=" + test.address, "--quiet", "news", "-"},
		} {
			kind, _, _ := strings.Cut(want, " ")
			if want = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(want, kind), " a key"), " "); want == "" {
				continue
			}
			t.Run(test.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				c := start(t, strings.NewReader("1\n2\n"), args...)
				if code := c.wait(t); code != exitFailure {
					t.Errorf("exit code %d, want %d", code, exitFailure)
				}
				said := c.err.String()
				if !strings.HasSuffix(said, want) || kind != "lines" && strings.Count(said, "\n") != 1 {
					t.Errorf("it says\n%swant\n...%s", said, want)
				}
			})
		}
	}
}

// TestSubscribeWithoutGateway waits for a gateway that is not there yet, and says how to start
// one.
func TestSubscribeWithoutGateway(t *testing.T) {
	c := start(t, nil, "subscribe", "--url=ws://"+testrun.FreeAddress(t)+"/ws", "news")
	c.err.await(t, "connection refused; is a gateway running there\\? Start one with: fleetcast serve; connecting again")
}

// onlyTLS is a server that ends connections which do not begin with TLS, without a word.
func onlyTLS(t *testing.T) (address string) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	certificate.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				_ = tls.Server(conn, certificate.TLS).Handshake()
			}()
		}
	}()
	return listener.Addr().String()
}

// redis starts a Redis server. The address is empty if none is installed, or with -short.
func redis(t *testing.T) (address string) {
	path, err := exec.LookPath("redis-server")
	if err != nil || testing.Short() {
		return ""
	}
	address = testrun.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	server := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not listen: %v", err)
		}
	}
}

// TestLookIsNoLeak has a server end each TLS handshake. Nothing of what was meant for it
// behind that goes out in clear text.
func TestLookIsNoLeak(t *testing.T) {
	const query = "of-no-concern-to-others"
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	came := make(chan string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			first := make([]byte, 4096)
			n, _ := conn.Read(first)
			came <- string(first[:n])
			conn.Close()
		}
	}()
	c := start(t, nil, "subscribe", "--url=wss://"+listener.Addr().String()+"/ws?key="+query, "news")
	c.err.await(t, "connecting again")
	c.stop()
	c.wait(t)
	if len(came) == 0 {
		t.Error("nothing came")
	}
	for range len(came) {
		if text := <-came; strings.Contains(text, query) {
			t.Errorf("in clear text came %q", text)
		}
	}
}
