package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A process that was stopped says so when it runs again, and for how long, in one
// line.
func TestStoppedProcess(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := startProcess(t, "--log-format=json", "--listen=localhost:0", "--publish=localhost:0", "--admin=off")
	url, _ := recordOf(t, p.err.await(t, `(?m)^.*"running".*\n`)[0], "running")["clients"].(string)
	subscriber := start(t, nil, "subscribe", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	const stopped = 1600 * time.Millisecond
	p.signal(t, syscall.SIGSTOP)
	time.Sleep(stopped) // for which it does nothing
	p.signal(t, syscall.SIGCONT)
	line := p.err.await(t, `(?m)^.*held up.*\n`)[0]
	record := records(t, line)[0]
	text, _ := record["longest"].(string)
	longest, err := time.ParseDuration(text)
	if err != nil || record["level"] != "WARN" || longest < stopped-400*time.Millisecond || !strings.Contains(line, "the process was held up") {
		t.Errorf("the line is %s (%v)", line, err)
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(p.err.String(), "held up"); n != 1 {
		t.Errorf("%d lines:\n%s", n, p.err)
	}
}

// Handshakes that are refused are logged without an option: the first within a
// moment, the rest as a sum.
func TestRefusedHandshakesAreLogged(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "--listen=localhost:0", "--publish=off", "--admin=off", "--max-clients=1", "--allow-origin=https://ours.example")
	url := p.out.await(t, `clients connect to +(ws://\S+)`)[1]
	var open []*websocket.Conn
	dial := func(origin string) *http.Response {
		conn, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if err == nil {
			open = append(open, conn)
		}
		return response
	}
	if response := dial("https://theirs.example"); response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("another origin is answered with %v", response)
	}
	p.err.await(t, `level=WARN .*reason=forbidden_origin count=1 .*origins=https://theirs.example .*advice=".*--allow-origin"`)
	refused := 0
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for dial("https://ours.example"); len(open) == 0; dial("https://ours.example") {
		refused++ // the one of another origin has its place until it is closed
		<-poll.C
	}
	for range 30 {
		refused++
		if response := dial("https://ours.example"); response == nil || response.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("one too many is answered with %v", response)
		}
	}
	p.err.await(t, `level=WARN .*reason=full count=\d+ total=\d+ example.address=(127.0.0.1|\[::1\]):\d+ advice="raise --max-clients`)
	for _, conn := range open {
		conn.CloseNow()
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.err.await(t, fmt.Sprintf(`reason=full .*total=%d `, refused))
	if n := strings.Count(p.err.String(), "reason=full"); n > 2 {
		t.Errorf("%d refusals make %d lines:\n%s", refused, n, p.err)
	}
}

// What was refused since the last line is told before the process says that it has
// stopped.
func TestLastIncidentsBeforeStopped(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "--listen=localhost:0", "--publish=off", "--admin=localhost:0")
	admin := p.out.await(t, `look inside at +http://([^/]+)/`)[1]
	refuse := func() {
		c := says("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")(t, admin)
		if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 421 ") {
			t.Errorf("answered with %q, %v", answer, err)
		}
	}
	refuse()
	p.err.await(t, `reason=forbidden_host count=1 total=1 `)
	refuse()
	refuse()
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text := strings.TrimSpace(p.err.String())
	lines := strings.Split(text, "\n")
	if !strings.Contains(text, "reason=forbidden_host count=2 ") || !strings.HasSuffix(lines[len(lines)-1], "msg=stopped") {
		t.Errorf("the log is\n%s", text)
	}
}
