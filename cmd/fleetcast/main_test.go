package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fleetcast/codec/testrun"
)

// asCommand makes the test binary behave as the command itself, for tests that
// need a process of their own.
const asCommand = "FLEETCAST_TEST_AS_COMMAND"

// patience is how long a test waits for what must happen.
const patience = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	testrun.Waiting()
	os.Exit(m.Run())
}

// output is a stream that a test reads while a command writes it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
}

func newOutput() *output { return &output{grew: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	select {
	case o.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the output matches and returns the match's groups.
func (o *output) await(t *testing.T, pattern string) []string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		if match := expression.FindStringSubmatch(o.String()); match != nil {
			return match
		}
		select {
		case <-o.grew:
		case <-timeout:
			t.Fatalf("no %q in the output:\n%s", pattern, o)
		}
	}
}

// invocation is a command line that runs in the background.
type invocation struct {
	out, err *output
	stop     context.CancelFunc
	code     chan int
}

func start(t *testing.T, stdin io.Reader, args ...string) *invocation {
	t.Helper()
	return startWith(t, stdin, nil, args...)
}

// hidesSecrets checks what a command has written into its log and as errors.
func hidesSecrets(t *testing.T, args []string, written *output) {
	t.Helper()
	if secret := testrun.FindSecret(written.String()); secret != "" {
		t.Errorf("%q writes a secret into its log or errors: %s", args, written)
	}
}

func startWith(t *testing.T, stdin io.Reader, hangups <-chan os.Signal, args ...string) *invocation {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &invocation{out: newOutput(), err: newOutput(), stop: cancel, code: make(chan int, 1)}
	go func() { c.code <- run(ctx, args, streams{stdin, c.out, c.err}, signals{hangups: hangups}) }()
	t.Cleanup(func() {
		cancel()
		hidesSecrets(t, args, c.err)
	})
	return c
}

func (c *invocation) wait(t *testing.T) (code int) {
	t.Helper()
	select {
	case code = <-c.code:
	case <-time.After(patience):
		t.Fatalf("the command does not end; output:\n%s%s", c.out, c.err)
	}
	return code
}

// startGateway runs serve on free ports.
func startGateway(t *testing.T, args ...string) (c *invocation, url, publish, admin string) {
	t.Helper()
	c = start(t, nil, append([]string{"--listen=localhost:0", "--publish=localhost:0", "--admin=localhost:0"}, args...)...)
	url = c.out.await(t, `clients connect to +(ws://\S+)`)[1]
	publish = c.out.await(t, `publish to +(\S+)`)[1]
	admin = c.out.await(t, `look inside at +http://([^/]+)/`)[1]
	c.out.await(t, `stop with`)
	return c, url, publish, admin
}

func TestCommandLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	inUse := taken.Addr().String()
	free := "--admin=off"

	tests := []struct {
		name string
		args []string
		code int
		want string // in the output
	}{
		{"version", []string{"version"}, 0, "fleetcast "},
		{"help", []string{"--help"}, 0, "Usage: fleetcast <command>"},
		{"help serve", []string{"serve", "--help"}, 0, "--client-publish"},
		{"help publish", []string{"publish", "--help"}, 0, "--text"},
		{"help subscribe", []string{"subscribe", "--help"}, 0, "--url"},
		{"help history", []string{"history", "--help"}, 0, "--before=OFFSET"},
		{"help echo", []string{"echo", "--help"}, 0, "--max-message"},
		{"help version", []string{"version", "--help"}, 0, "Usage: fleetcast version"},
		{"unknown flag", []string{"serve", "--colour"}, exitUsage, "unknown flag --colour"},
		{"unknown flag of the default command", []string{"--colour"}, exitUsage, "fleetcast --help"},
		{"unknown command", []string{"surf"}, exitUsage, "unexpected argument surf"},
		{"command with a slip", []string{"srve"}, exitUsage, `unexpected argument srve, did you mean "serve"?`},
		{"command with capitals", []string{"Publish", "a", "1"}, exitUsage, `did you mean "publish"?`},
		{"help as a command", []string{"help"}, exitUsage, "did you mean --help?"},
		{"flag with a slip", []string{"--max-cleints=3"}, exitUsage, `did you mean "--max-clients"?`},
		{"flag of a command with a slip", []string{"subscribe", "--ulr=x", "a"}, exitUsage, `did you mean "--url"?`},
		{"timeout of nearly nothing", []string{"publish", "--timeout=1ns", "a", "1"}, exitUsage, "--timeout is 1ns, must be from 1ms to 24h"},
		{"missing argument", []string{"publish", "news"}, exitUsage, "json"},
		{"bad size", []string{"--max-event=big"}, exitUsage, "write for example 65536, 64KiB or 1MiB"},
		{"bad duration", []string{"--ping-interval=soon"}, exitUsage, "--ping-interval"},
		{"bad address", []string{"--listen=8080"}, exitUsage, "not host:port; write for example localhost:8080"},
		{"bad port", []string{"--listen=localhost:99999"}, exitUsage, "the port must be a number from 0 to 65535"},
		{"bad pattern", []string{free, "--client-publish=a\tb"}, exitUsage, `channel pattern "a\tb"`},
		{"out of range", []string{free, "--listen=localhost:0", "--publish=off", "--client-channels=0"}, exitUsage, "--client-channels is 0, must be from 1 to 1000000\n"},
		{"out of range, twice", []string{free, "--max-channels=0", "--pong-timeout=0s"}, exitUsage, "--max-channels is 0, must be from 1 to 1000000000\n--pong-timeout is 0s, must be from 100ms to 24h"},
		{"head too long", []string{free, "--max-head=65KiB"}, exitUsage, "--max-head is 66560, must be 1024 to 65536 bytes"},
		{"head too short", []string{free, "--max-head=1000"}, exitUsage, "--max-head is 1000, must be 1024 to 65536 bytes"},
		{"host with a port", []string{free, "--allow-host=example.com:8080"}, exitUsage, "has a port, which does not count: write example.com"},
		{"host with a scheme", []string{free, "--allow-host=https://example.com"}, exitUsage, "is a URL: write the host name alone"},
		{"host with a * inside", []string{free, "--allow-host=a.*.com"}, exitUsage, "is not a host name"},
		{"negative publishers", []string{free, "--max-publishers=-1"}, exitUsage, `--max-publishers: "-1" is not a whole number from 0 to 1000000000`},
		{"negative window", []string{free, "--retry-window=-1s"}, exitUsage, `--retry-window: "-1s" is negative`},
		{"credits below the event", []string{free, "--credits=1KiB"}, exitUsage, "--credits is 1KiB, must be at least max-event, 64KiB"},
		{"two ports in one", []string{"--listen=localhost:18080", "--publish=127.0.0.1:18080", "--admin=off"}, exitUsage, "--publish is 127.0.0.1:18080, which listen, localhost:18080, has already"},
		{"a port of all addresses", []string{"--listen=0.0.0.0:18080", "--publish=off", "--admin=localhost:18080"}, exitUsage, "--admin is localhost:18080, which listen, 0.0.0.0:18080, has already"},
		{"off in capitals", []string{"config", "--check", "--publish=OFF", "--admin=Off"}, 0, ""},
		{"drain window over the timeout", []string{free, "--drain-window=30s"}, exitUsage, "--drain-window is 30s, must be below drain-timeout, 30s"},
		{"drain timeout under the window", []string{free, "--drain-timeout=5s", "--drain-window=6s"}, exitUsage, "--drain-window is 6s, must be below drain-timeout, 5s"},
		{"event over the credits", []string{free, "--max-event=2MiB", "--credits=1MiB"}, exitUsage, "--max-event is 2MiB, must be at most credits, 1MiB"},
		{"event over the backlogs", []string{free, "--max-event=2MiB", "--backlog-memory=1MiB"}, exitUsage, "--max-event is 2MiB, must be at most backlog-memory, 1MiB"},
		{"backlogs below the event", []string{free, "--backlog-memory=1"}, exitUsage, "--backlog-memory is 1, must be at least max-event, 64KiB"},
		{"history of no events", []string{free, "--history=a.**=0"}, exitUsage, `--history: "0" keeps no events; write off for that`},
		{"history without bounds", []string{free, "--history=chat.**"}, exitUsage, "write a pattern with its bounds, for example chat.**=100,10m"},
		{"history memory of nothing", []string{free, "--history-memory=1"}, exitUsage, "--history-memory is 1, must be from 1MiB to 1TiB"},
		{"a long history in little memory", []string{"config", "--check", "--history=1000000,1h", "--history-memory=1MiB"}, 0, "may need more than history-memory"},
		{"input below the event", []string{free, "--input-memory=127KiB"}, exitUsage, "--input-memory is 127KiB, must be at least max-event, 64KiB, and 64KiB for the rest of a request"},
		{"event over the input", []string{free, "--max-event=1MiB", "--input-memory=1MiB"}, exitUsage, "--max-event is 1MiB, must be at most input-memory, 1MiB, less 64KiB for the rest of a request"},
		{"message over the input", []string{free, "--max-message=2MiB", "--input-memory=1MiB"}, exitUsage, "--max-message is 2MiB, must be at most input-memory, 1MiB"},
		{"just enough input", []string{"config", "--check", "--input-memory=128KiB", "--backlog-memory=64KiB"}, 0, ""},
		{"message timeout of nothing", []string{free, "--message-timeout=1ms"}, exitUsage, "--message-timeout is 1ms, must be from 100ms to 24h"},
		{"send timeout that the kernel cannot count", []string{free, "--send-timeout=500us"}, exitUsage, "--send-timeout is 500µs, must be 0, or from 100ms to 24h"},
		{"no loops", []string{"echo", "--loops=0"}, exitUsage, "--loops is 0, must be at least 1"},
		{"too many publishers", []string{free, "--max-publishers=1000000000"}, exitFailure, "--max-publishers is 1000000000, which leaves clients none"},
		{"pattern with a comma", []string{free, "--client-publish=ok a,\x7f"}, exitUsage, `channel pattern "a,\x7f"`},
		{"origin with a slash", []string{free, "--allow-origin=https://example.com/"}, exitUsage, "ends with a slash"},
		{"URL not UTF-8", []string{"subscribe", "--url=ws://a\xff/ws", "news"}, exitUsage, "is not valid UTF-8"},
		{"no URL", []string{"subscribe", "--url=localhost:8080", "news"}, exitUsage, "not a WebSocket URL"},
		{"timeout of nothing", []string{"subscribe", "--timeout=0s", "news"}, exitUsage, "--timeout is 0s, must be from 1ms to 24h"},
		{"too many of the last", []string{"subscribe", "--last=1000001", "news"}, exitUsage, "--last is 1000001, must be from 0 to 1000000"},
		{"fewer than none of the last", []string{"subscribe", "--last=-1", "news"}, exitUsage, "--last is -1, must be from 0 to 1000000"},
		{"position without an epoch", []string{"subscribe", "--since=17", "news"}, exitUsage, "--since: a position is EPOCH:OFFSET, such as ZbTWIsyu:17"},
		{"position of two channels", []string{"subscribe", "--since=x:17", "news", "chat"}, exitUsage, "--since goes with one channel: each has its own positions"},
		{"position and the last", []string{"subscribe", "--since=x:17", "--last=3", "news"}, exitUsage, "--since and --last exclude each other"},
		{"listen off", []string{free, "--listen=off"}, exitUsage, "--listen cannot be off"},
		{"too many clients", []string{free, "--max-clients=1000000000"}, exitFailure, "descriptor limit"},
		{"client port in use", []string{free, "--publish=off", "--listen=" + inUse}, exitFailure, "choose other ports with --listen"},
		{"publish port in use", []string{free, "--listen=localhost:0", "--publish=" + inUse}, exitFailure, "open the publish port"},
		{"admin port in use", []string{"--listen=localhost:0", "--publish=off", "--admin=" + inUse}, exitFailure, "open the admin port"},
		{"echo port in use", []string{"echo", "--listen=" + inUse}, exitFailure, "choose another port with --listen\n"},
		{"no such address", []string{free, "--publish=off", "--listen=192.0.2.1:0", "--channels=a subscribe=anyone"}, exitFailure, "no such address"},
		{"no gateway to publish to", []string{"publish", "--to=127.0.0.1:1", "news", "1"}, exitFailure, "; is a gateway running there? Start one with: fleetcast serve"},
		{"bad channel to subscribe to", []string{"subscribe", "a b"}, exitFailure, `channel "a b"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, nil, test.args...)
			if code := c.wait(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if got := c.out.String() + c.err.String(); !strings.Contains(got, test.want) {
				t.Errorf("output does not say %q:\n%s", test.want, got)
			}
		})
	}
}

func TestPublishReachesSubscriber(t *testing.T) {
	gateway, url, publish, _ := startGateway(t)
	subscriber := start(t, nil, "subscribe", "--url="+url, "news", "chat")
	subscriber.err.await(t, "subscribed to chat")

	one := start(t, nil, "publish", "--to="+publish, "news", `{"a": 1}`)
	if code := one.wait(t); code != 0 {
		t.Fatalf("publish: exit code %d: %s", code, one.err)
	}
	one.out.await(t, `offset 1 of news \(epoch \S+\), to 1 subscriber\n`)

	lines := start(t, strings.NewReader("1\n\n{bad\n\"x\"\n"), "publish", "--to="+publish, "news", "-")
	if code := lines.wait(t); code != exitFailure {
		t.Errorf("publish with a bad line: exit code %d, want %d", code, exitFailure)
	}
	lines.err.await(t, `line 3: .*bad_request`)
	lines.err.await(t, `published 2 events`)

	text := start(t, strings.NewReader("he said \"no\"\n"), "publish", "--to="+publish, "--text", "chat", "-")
	if code := text.wait(t); code != 0 {
		t.Errorf("publish --text: exit code %d: %s", code, text.err)
	}

	conn, err := net.Dial("tcp", publish)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "{\"channel\":\"news\",\"data\":\"by hand\"}\n")
	conn.Close()

	subscriber.out.await(t, "by hand")
	want := `{"type":"event","channel":"news","offset":1,"data":{"a": 1}}
{"type":"event","channel":"news","offset":2,"data":1}
{"type":"event","channel":"news","offset":3,"data":"x"}
{"type":"event","channel":"chat","offset":1,"data":"he said \"no\""}
{"type":"event","channel":"news","offset":4,"data":"by hand"}
`
	if got := subscriber.out.String(); got != want {
		t.Errorf("the subscriber printed\n%s\nwant\n%s", got, want)
	}
	subscriber.stop()
	if code := subscriber.wait(t); code != 0 {
		t.Errorf("subscribe: exit code %d after it was stopped", code)
	}
	gateway.stop()
	if code := gateway.wait(t); code != 0 {
		t.Errorf("serve: exit code %d after it was stopped: %s", code, gateway.err)
	}
}

// TestSubscribeReconnects proves RFC 6455, 4.1, 7.2.1 and 7.2.3.
func TestSubscribeReconnects(t *testing.T) {
	gateway, url, publish, _ := startGateway(t, "--retry-window=0s")
	port := url[strings.LastIndex(url, ":")+1 : strings.LastIndex(url, "/")]
	subscriber := start(t, nil, "subscribe", "--data", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	gateway.stop()
	if code := gateway.wait(t); code != 0 {
		t.Fatalf("serve: exit code %d: %s", code, gateway.err)
	}
	subscriber.err.await(t, `1001 "draining"; connecting again`)

	again := start(t, nil, "--listen=localhost:"+port, "--publish="+publish, "--admin=off")
	again.out.await(t, "stop with")
	subscriber.err.await(t, `(?s)connecting again.*subscribed to news`)
	if code := start(t, nil, "publish", "--to="+publish, "news", `"back"`).wait(t); code != 0 {
		t.Fatalf("publish: exit code %d", code)
	}
	subscriber.out.await(t, `(?m)^"back"$`)
}

func TestSubscribeGivesUpWhenRefused(t *testing.T) {
	_, url, _, _ := startGateway(t, "--client-channels=1")
	subscriber := start(t, nil, "subscribe", "--url="+url, "a", "b")
	if code := subscriber.wait(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	subscriber.err.await(t, "limit_exceeded")
}

// process is the command in a process of its own.
type process struct {
	cmd      *exec.Cmd
	out, err *output
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startCommand(t, exec.Command(binary, args...))
}

// startProcessWith starts the command with another standard error.
func startProcessWith(t *testing.T, stderr *os.File, args ...string) *process {
	t.Helper()
	cmd := exec.Command(testBinary(t), args...)
	cmd.Stderr = stderr
	return startCommand(t, cmd)
}

// startCommand starts what becomes the command.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, out: newOutput(), err: newOutput()}
	p.cmd.Env = append(os.Environ(), asCommand+"=1")
	p.cmd.Stdout = p.out
	if p.cmd.Stderr == nil {
		p.cmd.Stderr = p.err
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		hidesSecrets(t, cmd.Args, p.err)
	})
	return p
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	if s == syscall.SIGSTOP { // threads go on until the one that takes the signal has had a processor
		for !p.stopped(t) {
			runtime.Gosched()
		}
	}
}

// stopped tells whether no thread of the process runs.
func (p *process) stopped(t *testing.T) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("%v, %d threads", err, len(threads))
	}
	return !slices.ContainsFunc(threads, func(stat string) bool {
		text, err := os.ReadFile(stat)
		return err == nil && !bytes.Contains(text, []byte(") T "))
	})
}

func (p *process) exitCode(t *testing.T) int {
	t.Helper()
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("the process does not end; output:\n%s%s", p.out, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func TestSignals(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			p := startProcess(t, "--listen=localhost:0", "--publish=localhost:0", "--admin=off")
			url := p.out.await(t, `clients connect to +(ws://\S+)`)[1]
			subscriber := start(t, nil, "subscribe", "--url="+url, "news")
			subscriber.err.await(t, "subscribed")
			p.signal(t, s)
			if code := p.exitCode(t); code != 0 {
				t.Errorf("exit code %d, want 0; %s", code, p.err)
			}
			subscriber.err.await(t, `1001 "draining"`)
		})
	}
}

// Signals that come again do not cut clients, until they are one too many.
func TestSignalsAgain(t *testing.T) {
	t.Parallel() // it waits most of the time
	const term, interrupt = syscall.SIGTERM, syscall.SIGINT
	for _, test := range []struct {
		name     string
		goOn     []syscall.Signal // which leave the clients their time
		endsWith syscall.Signal
	}{
		{"SIGTERM three times", []syscall.Signal{term, term}, term},
		{"SIGINT twice", []syscall.Signal{interrupt}, interrupt},
		{"SIGTERM, then SIGINT twice", []syscall.Signal{term, interrupt}, interrupt},
		{"SIGINT, then SIGTERM twice", []syscall.Signal{interrupt, term}, term},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startProcess(t, "--listen=localhost:0", "--publish=off", "--admin=localhost:0", "--drain-timeout=1h", "--handshake-timeout=1h", "--drain-window=0s")
			holdDrain(t, p)
			admin := p.out.await(t, `look inside at +(http://[^/]+)/`)[1]
			for i, s := range test.goOn {
				p.signal(t, s)
				if i == 0 {
					p.err.await(t, "stopping")
				} else {
					p.err.await(t, `level=WARN msg="a signal to stop has come again and changes nothing; .*signal=`+s.String())
				}
				g := liveGateway{T: t, admin: admin}
				if n := g.stats().Total.Connections; n != 1 {
					t.Errorf("after %d signals there are %d connections", i+1, n)
				}
			}
			p.signal(t, test.endsWith)
			if code := p.exitCode(t); code != exitFailure {
				t.Errorf("exit code %d, want %d", code, exitFailure)
			}
			p.err.await(t, `signal again \(`+test.endsWith.String()+`\), stopping at once`)
		})
	}
}

// shutdownDelayed is a process that is told to stop, and is waiting.
func shutdownDelayed(t *testing.T, delay string, stop func(p *process, g *liveGateway)) (*process, *liveGateway) {
	t.Helper()
	p := startProcess(t, "--listen=127.0.0.1:0", "--publish=127.0.0.1:0", "--admin=127.0.0.1:0", "--drain-window=0s", "--shutdown-delay="+delay)
	g := &liveGateway{T: t}
	g.url = p.out.await(t, `clients connect to +(ws://\S+)`)[1]
	g.publish = p.out.await(t, `publish to +(\S+)`)[1]
	g.admin = p.out.await(t, `look inside at +(http://[^/]+)/`)[1]
	fetchWants(t, g.admin+"/readyz", 200, "ready")
	stop(p, g)
	p.err.await(t, "stopping soon.*shutdown_delay="+delay)
	return p, g
}

// For the shutdown delay a gateway only says that it is not ready.
func TestShutdownDelay(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, stop := range map[string]func(p *process, g *liveGateway){
		"signal": func(p *process, g *liveGateway) { p.signal(t, syscall.SIGTERM) },
		"API": func(p *process, g *liveGateway) {
			for range 2 {
				response, err := http.Post(g.admin+"/api/drain", "application/json", nil)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != http.StatusAccepted {
					t.Errorf("answered with %s", response.Status)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, g := shutdownDelayed(t, "24h0m0s", stop)
			serves := func() {
				t.Helper()
				fetchWants(t, g.admin+"/readyz", 503, "not ready")
				fetchWants(t, g.admin+"/healthz", 200, "ok")
				fetchWants(t, httpOf(g.url)+"/healthz", 503, "")
				client := g.connect()
				client.says(`{"type":"subscribe","channel":"a"}`)
				client.text()
				upstream := g.publisher()
				upstream.sends(`{"id":1,"channel":"a","data":1}` + "\n")
				upstream.line()
				if text := client.text(); !strings.Contains(text, `"type":"event"`) {
					t.Errorf("the client got %s", text)
				}
				client.conn.Close()
			}
			serves()
			p.signal(t, syscall.SIGTERM)
			if name == "signal" { // to the API's drain it is the first
				p.err.await(t, "a signal to stop has come again")
			}
			serves()
			if name == "API" {
				p.signal(t, syscall.SIGINT)
				// Two that wait are one. Go hands out SIGINT before a SIGTERM that waits.
				p.err.await(t, "a signal to stop has come again")
			}
			p.signal(t, syscall.SIGINT)
			if code := p.exitCode(t); code != exitFailure {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestShutdownDelayEnds(t *testing.T) {
	var client *livePeer
	p, _ := shutdownDelayed(t, "10ms", func(p *process, g *liveGateway) {
		client = g.connect()
		p.signal(t, syscall.SIGTERM)
	})
	if text := client.text(); !strings.Contains(text, `"goodbye"`) {
		t.Errorf("the client got %s", text)
	}
	client.conn.Close()
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d: %s", code, p.err)
	}
	p.err.await(t, `(?s)stopping soon.*stopping: clients are told when to come back.*msg=stopped`)
}

// TestSecondGateway starts a real second process on the ports of a first.
func TestSecondGateway(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	listen := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	for _, args := range [][]string{
		{"--listen=" + listen, "--publish=off", "--admin=off"},
		{"--listen=localhost:0", "--publish=" + publish, "--admin=off"},
	} {
		p := startProcess(t, args...)
		if code := p.exitCode(t); code != exitFailure {
			t.Errorf("%v: exit code %d, want %d", args, code, exitFailure)
		}
		p.err.await(t, "address already in use")
	}
}

func TestEcho(t *testing.T) {
	c := start(t, nil, "echo", "--listen=localhost:0")
	url := c.out.await(t, `running at (ws://\S+)`)[1]
	if got := roundTrip(t, url, "hello"); got != "hello" {
		t.Errorf("echo of hello is %q", got)
	}
	c.stop()
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d after it was stopped", code)
	}
}
