package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
)

// hungListener is a port whose connections the kernel takes and nobody serves.
func hungListener(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// breakingListener is a port that reads a request and closes the connection.
func breakingListener(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // the request, or an end that is as good
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// An event that was sent and not answered may have been published: publish says
// so, and its exit status is another than for one that was not.
func TestPublishWithoutAnswer(t *testing.T) {
	t.Parallel() // it waits most of the time
	const unknown = "may have been published or not"
	for _, test := range []struct {
		name, to, data, stdin string
		code                  int
		want                  string
	}{
		{"hung", hungListener(t), "1", "", exitUnknown, "did not answer within 1s"},
		{"hung, lines", hungListener(t), "-", "1\n2\n", exitUnknown, "line 1: the gateway"},
		{"hung, more lines than it takes", hungListener(t), "-", strings.Repeat(`"`+strings.Repeat("x", 100_000)+"\"\n", 200), exitUnknown, "did not answer within 1s"},
		{"broken", breakingListener(t), "1", "", exitUnknown, unknown},
		{"broken, lines", breakingListener(t), "-", "1\n", exitUnknown, unknown},
		{"nobody there", "127.0.0.1:1", "1", "", exitFailure, "; is a gateway running there? Start one with: fleetcast serve"},
		{"refused before it is sent", hungListener(t), "{", "", exitFailure, "bad_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, strings.NewReader(test.stdin), "publish", "--to="+test.to, "--timeout=1s", "a", test.data)
			if code := c.wait(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			text := c.err.String()
			if !strings.Contains(text, test.want) || strings.Contains(text, unknown) != (test.code == exitUnknown) {
				t.Errorf("it says %q", text)
			}
		})
	}
}

// A gateway that hung for a while may publish the event after all.
func TestPublishToAStoppedGateway(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := startProcess(t, "--listen=127.0.0.1:0", "--publish=127.0.0.1:0", "--admin=off")
	url := p.out.await(t, `clients connect to +(ws://\S+)`)[1]
	publish := p.out.await(t, `publish to +(\S+)`)[1]
	subscriber := start(t, nil, "subscribe", "--url="+url, "a")
	subscriber.err.await(t, "subscribed to a")
	p.signal(t, syscall.SIGSTOP)
	c := start(t, nil, "publish", "--to="+publish, "--timeout=200ms", "a", `"late"`)
	if code := c.wait(t); code != exitUnknown {
		t.Errorf("exit code %d: %s", code, c.err)
	}
	p.signal(t, syscall.SIGCONT)
	subscriber.out.await(t, `"late"`)
}
