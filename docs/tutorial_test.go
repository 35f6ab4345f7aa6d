package docs_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// newTutorial returns a reader of the tutorial, whose terminals are at the top of the
// clone and on the server.
func newTutorial(t *testing.T) *reader {
	t.Helper()
	r := newReader(t, "tutorial.md", "bash", "curl", "tar", "/usr/bin/python3")
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	r.terminals["1"], r.terminals["server"] = &terminal{dir: top}, &terminal{dir: r.server + "/root"}
	r.changes = strings.NewReplacer(
		"localhost:8080", "localhost:"+r.ports[0], "localhost:8081", "localhost:"+r.ports[1],
		`("localhost", 8082)`, `("localhost", `+r.ports[2]+`)`,
		"localhost:3000", "localhost:"+r.ports[3], "127.0.0.1 3000", "127.0.0.1 "+r.ports[3], "port 3000 (http://127.0.0.1:3000", "port "+r.ports[3]+" (http://127.0.0.1:"+r.ports[3],
		"https://example.com", "http://example.com:"+r.ports[4],
		"\nexample.com {\n", "\nhttp://example.com:"+r.ports[4]+" {\n\tbind 127.0.0.1\n",
		"../evening", r.folder,
		"fleetcast publish", "fleetcast publish --to=localhost:"+r.ports[2],
		"fleetcast subscribe prices", "fleetcast subscribe --url=ws://localhost:"+r.ports[0]+"/ws prices",
		"fleetcast history prices", "fleetcast history --url=ws://localhost:"+r.ports[0]+"/ws prices",
	)
	return r
}

// systemctl stands in for systemd and runs what the installed units say.
func (r *reader) systemctl(args []string) {
	r.Helper()
	switch command := strings.Join(args, " "); {
	case command == "daemon-reload":
	case command == "reload caddy":
		r.caddy()
	case command == "reload nginx":
		r.nginx()
	case strings.HasPrefix(command, "enable --now "):
		for _, name := range args[2:] {
			r.unit(name)
		}
	default:
		r.Fatalf("the test does not know systemctl %s", command)
	}
}

// unit starts a service as its unit says, and waits until it is ready.
func (r *reader) unit(name string) {
	r.Helper()
	text := r.here(read(r.T, filepath.Join(r.server, "etc/systemd/system", name+".service")))
	setting := func(key string) []string {
		match := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(text)
		if match == nil {
			return nil
		}
		return strings.Fields(match[1])
	}
	if check := setting("ExecStartPre"); check != nil {
		r.types(r.terminal("server"), strings.Join(check, " "), false, false)
	}
	run, env := setting("ExecStart"), r.env()
	if run == nil {
		r.Fatalf("the unit %s has no ExecStart", name)
	}
	notified := setting("Type") != nil && setting("Type")[0] == "notify"
	var ready *net.UnixConn
	if notified {
		var err error
		path := filepath.Join(r.server, "notify")
		if ready, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}); err != nil {
			r.Fatal(err)
		}
		defer ready.Close()
		env = append(env, "NOTIFY_SOCKET="+path)
	}
	service := startRunning(r.T, r.server, env, run[0], run[1:]...)
	for said := ""; notified && !strings.Contains(said, "READY=1"); {
		message := make([]byte, 4096)
		if err := ready.SetReadDeadline(time.Now().Add(patience)); err != nil {
			r.Fatal(err)
		}
		n, err := ready.Read(message)
		if err != nil {
			r.Fatalf("the service %s does not become ready: %v\n%s", name, err, service)
		}
		said = string(message[:n])
	}
}

// caddy runs Caddy with the installed file.
func (r *reader) caddy() {
	r.Helper()
	file := filepath.Join(r.server, "etc/caddy/Caddyfile")
	if _, err := exec.LookPath("caddy"); err != nil {
		r.Skipf("the last part of the tutorial is not run: %v", err)
	}
	settings := "{\n\tadmin off\n\tstorage file_system " + r.server + "/caddy\n}\n"
	if err := os.WriteFile(file, []byte(settings+read(r.T, file)), 0o644); err != nil {
		r.Fatal(err)
	}
	home := []string{"HOME=" + r.server, "XDG_CONFIG_HOME=" + r.server}
	caddy := startRunning(r.T, r.server, home, "caddy", "run", "--adapter", "caddyfile", "--config", file)
	until(r.T, "caddy", regexp.MustCompile("serving initial configuration"), caddy.String)
}

// looks opens a page in the browser. Without one it asks for the page, and says by
// itself what the page would say.
func (r *reader) looks(s step) {
	r.Helper()
	url := r.here(s.of)
	if r.browse != nil {
		r.browse(url, s)
		return
	}
	host := strings.Split(url, "/")[2]
	command := exec.Command("curl", "-sS", "--fail", "--retry", "5", "--retry-connrefused", "--resolve", host+":127.0.0.1", url)
	if page, err := command.CombinedOutput(); err != nil || !strings.Contains(string(page), "./gateway.js") {
		r.Fatalf("open %s: %v\n%s", url, err, page)
	}
	fields := s.fields()
	if len(fields) == 0 {
		return
	}
	data, err := json.Marshal(fields)
	if err != nil {
		r.Fatal(err)
	}
	socket := "ws://" + host + "/ws"
	if strings.HasPrefix(s.of, "http://localhost") {
		socket = "ws://localhost:" + r.ports[0] + "/ws"
	}
	if answer := r.says(socket, `{"type":"publish","id":1,"channel":"chat.lobby","data":`+string(data)+`}`); !strings.Contains(answer, `"published"`) {
		r.Fatalf("the chat is answered with %s", answer)
	}
}

// says sends a command to a gateway and returns the answer to it. Whatever name the
// URL has, it connects to this machine.
func (r *reader) says(url, command string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: toThisMachine})
	if err != nil {
		r.Fatalf("connect to %s: %v", url, err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte(command)); err != nil {
		r.Fatal(err)
	}
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			r.Fatalf("wait for the answer to %s: %v", command, err)
		}
		if strings.Contains(string(text), `"id":1`) {
			return string(text)
		}
	}
}

// TestTutorial follows the tutorial without a browser: all commands, in order, and
// what they show.
func TestTutorial(t *testing.T) {
	t.Parallel() // it waits most of the time
	newTutorial(t).follow()
}

// toThisMachine connects to this machine, whatever host a URL names.
var toThisMachine = &http.Client{Transport: &http.Transport{
	DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, "localhost:"+port)
	},
}}
