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
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"fleetcast/codec/testrun"
)

// step is one thing that the tutorial has its reader do or see. A comment in the page
// names it: "file NAME", "terminal NAME", "terminal NAME stays", "shows NAME",
// "browser URL | fill FIELD TEXT | send", "ctrl-c NAME ...".
type step struct {
	kind, of string
	rest     string
	block    string
}

// tutorialSteps reads the steps of the page, and fails if a block belongs to none.
func tutorialSteps(t *testing.T) (steps []step) {
	t.Helper()
	text := read(t, "tutorial.md")
	const fence = "(?ms)^<!-- (file|terminal|shows|browser|ctrl-c) (\\S+) ?(.*?) ?-->\n(?:```\\w+\n(.*?)^```$)?"
	blocks := 0
	for _, match := range regexp.MustCompile(fence).FindAllStringSubmatch(text, -1) {
		steps = append(steps, step{match[1], match[2], match[3], match[4]})
		if match[4] != "" {
			blocks++
		}
	}
	if fences := len(regexp.MustCompile("(?m)^```").FindAllString(text, -1)); fences != 2*blocks || blocks == 0 {
		t.Fatalf("the tutorial has %d fences, %d blocks are run", fences, blocks)
	}
	return steps
}

// reader does what the tutorial says. It has a machine of its own and a server, which
// are folders, and ports of its own.
type reader struct {
	*testing.T
	folder, server string
	ports          []string // in place of 8080, 8081, 8082, 3000 and 443
	terminals      map[string]*terminal
	browse         func(url string, step step) // nil without a browser
}

// terminal is a shell in a folder, and what it has shown.
type terminal struct {
	dir   string
	shown string   // by commands that have ended
	goes  *running // the command that goes on, or nil
}

func newReader(t *testing.T) *reader {
	t.Helper()
	testrun.OtherProcess(t)
	for _, name := range []string{"bash", "curl", "tar", "/usr/bin/python3"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("the tutorial is not run: %v", err)
		}
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &reader{T: t, folder: dir + "/evening", server: dir + "/server", ports: freePorts(t, 5)}
	r.terminals = map[string]*terminal{"1": {dir: top}, "server": {dir: r.server + "/root"}}
	for _, folder := range []string{"root", "usr/local/bin", "etc/systemd/system", "etc/caddy"} {
		if err := os.MkdirAll(filepath.Join(r.server, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// follow does all steps of the page.
func (r *reader) follow() {
	for _, s := range tutorialSteps(r.T) {
		if r.Failed() {
			return
		}
		switch s.kind {
		case "file":
			if err := os.WriteFile(filepath.Join(r.folder, s.of), []byte(r.here(s.block)), 0o644); err != nil {
				r.Fatal(err)
			}
		case "terminal":
			for line := range strings.Lines(s.block) {
				r.types(r.terminal(s.of), strings.TrimSpace(line), s.rest == "stays")
			}
		case "shows":
			at := r.terminal(s.of)
			until(r.T, "terminal "+s.of, shownLines(r.here(s.block), false), at.text)
		case "browser":
			r.looks(s)
		case "ctrl-c":
			for _, name := range append([]string{s.of}, strings.Fields(s.rest)...) {
				_ = r.terminal(name).goes.stop(r.T, syscall.SIGINT)
				r.terminal(name).goes = nil
			}
		}
	}
}

func (r *reader) terminal(name string) *terminal {
	if r.terminals[name] == nil {
		r.terminals[name] = &terminal{dir: r.folder}
	}
	return r.terminals[name]
}

func (t *terminal) text() string {
	if t.goes != nil {
		return t.shown + t.goes.String()
	}
	return t.shown
}

var serverPath = regexp.MustCompile(`(^|[\s="])/(usr/local|etc|srv)/`)

// here puts the test's ports and folders in the place of those of the page.
func (r *reader) here(text string) string {
	text = strings.NewReplacer(
		"localhost:8080", "localhost:"+r.ports[0], "localhost:8081", "localhost:"+r.ports[1],
		`("localhost", 8082)`, `("localhost", `+r.ports[2]+`)`,
		"localhost:3000", "localhost:"+r.ports[3], "127.0.0.1 3000", "127.0.0.1 "+r.ports[3], "port 3000 (http://127.0.0.1:3000", "port "+r.ports[3]+" (http://127.0.0.1:"+r.ports[3],
		"https://example.com", "http://example.com:"+r.ports[4],
		"\nexample.com {\n", "\nhttp://example.com:"+r.ports[4]+" {\n\tbind 127.0.0.1\n",
		"../evening", r.folder,
		"fleetcast publish", "fleetcast publish --to=localhost:"+r.ports[2],
		"fleetcast subscribe prices", "fleetcast subscribe --url=ws://localhost:"+r.ports[0]+"/ws prices",
	).Replace("\n" + text)[1:]
	return serverPath.ReplaceAllString(text, "${1}"+r.server+"/${2}/")
}

// env has the gateway's ports for all of its commands, and the server's programs.
func (r *reader) env() []string {
	return []string{
		"FLEETCAST_LISTEN=localhost:" + r.ports[0], "FLEETCAST_ADMIN=localhost:" + r.ports[1],
		"FLEETCAST_PUBLISH=localhost:" + r.ports[2], "PYTHONUNBUFFERED=1", "PATH=" + r.server + "/usr/local/bin:" + os.Getenv("PATH"),
	}
}

// types has a terminal run a command line. A line that stays goes on.
func (r *reader) types(at *terminal, line string, stays bool) {
	r.Helper()
	if words := strings.Fields(line); words[0] == "systemctl" {
		r.systemctl(words[1:])
		return
	} else if words[0] == "scp" {
		line = "cp " + words[len(words)-2] + " " + r.server + "/root/"
	}
	line = r.here(line)
	if stays {
		at.goes = startRunning(r.T, at.dir, r.env(), "bash", "-c", "exec "+line)
		if strings.Contains(line, " serve ") {
			until(r.T, line, regexp.MustCompile("stop with"), at.text)
		}
		return
	}
	command := exec.CommandContext(r.Context(), "bash", "-c", line+"\nstatus=$?; pwd >&3; exit $status")
	command.Dir, command.Env = at.dir, append(os.Environ(), r.env()...)
	pwd, err := os.Create(filepath.Join(r.server, "pwd"))
	if err != nil {
		r.Fatal(err)
	}
	defer pwd.Close()
	command.ExtraFiles = []*os.File{pwd}
	output, err := command.CombinedOutput()
	at.shown += string(output)
	if err != nil {
		r.Fatalf("%s: %v\n%s", line, err, output)
	}
	at.dir = strings.TrimSpace(read(r.T, pwd.Name()))
}

// systemctl stands in for systemd and runs what the installed units say.
func (r *reader) systemctl(args []string) {
	r.Helper()
	switch command := strings.Join(args, " "); {
	case command == "daemon-reload":
	case command == "reload caddy":
		r.caddy()
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
		r.types(r.terminal("server"), strings.Join(check, " "), false)
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

// fields are the fields that the reader fills in.
func (s step) fields() map[string]string {
	fields := map[string]string{}
	for _, action := range strings.Split(s.rest, "|") {
		if words := strings.SplitN(strings.TrimSpace(action), " ", 3); words[0] == "fill" {
			fields[words[1]] = words[2]
		}
	}
	return fields
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
	newReader(t).follow()
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
