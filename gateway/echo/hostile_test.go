package echo_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway/echo"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// descriptors is the number of descriptors that this process has open.
func descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}

// expectDescriptors waits until no more descriptors are open than most.
func expectDescriptors(tb testing.TB, most int) {
	tb.Helper()
	for deadline := time.Now().Add(patience); descriptors(tb) > most; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%d descriptors are open, want %d", descriptors(tb), most)
		}
	}
}

// Each request is answered once, whatever looks like a second one behind it, and
// leaves nothing. The codec's tests have more shapes.
func TestHostileHandshakes(t *testing.T) {
	server := serve(t, echo.Config{})
	before := descriptors(t)
	good := string(request("/"))
	with := func(fields string) string { return strings.TrimSuffix(good, "\r\n") + fields + "\r\n" }
	line := func(line string) string { return strings.Replace(good, "GET / HTTP/1.1", line, 1) }
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"length and chunks", with("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400},
		{"two lengths", with("Content-Length: 0\r\nContent-Length: 4\r\n"), 400},
		{"chunks, oddly spelled", with("Transfer-Encoding: xchunked\r\n"), 400},
		{"folded field", with("X: a\r\n b\r\n"), 400},
		{"space before the colon", with("X : a\r\n"), 400},
		{"bare CR", with("X: a\rb\r\n"), 400},
		{"bare LF", with("X: a\nY: b\r\n"), 400},
		{"NUL", with("X: a\x00b\r\n"), 400},
		{"two Hosts", with("Host: other\r\n"), 400},
		{"no Host", strings.Replace(good, "Host:", "Hose:", 1), 400},
		{"target with a user", line("GET http://a@b/ HTTP/1.1"), 400},
		{"authority for a target", line("CONNECT localhost:80 HTTP/1.1"), 405},
		{"two empty lines first", "\r\n\r\n" + good, 400},
		{"HTTP/1.0", line("GET / HTTP/1.0"), 505},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		{"thousands of fields", with(strings.Repeat("a:\r\n", 4<<10)), 431},
		{"target without end", "GET /" + strings.Repeat("a", 9<<10), 414},
	} {
		for _, size := range []int{1, 1000, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d bytes", test.name, size), func(t *testing.T) {
				c := dial(t, server)
				defer c.Close()
				for rest := test.request + good; len(rest) > 0; {
					n := min(size, len(rest))
					if _, err := io.WriteString(c.TCPConn, rest[:n]); err != nil {
						break // it was refused before
					}
					rest = rest[n:]
				}
				r := c.response()
				if body, err := io.ReadAll(r.Body); err != nil || len(body) == 0 || r.StatusCode != test.status || !r.Close {
					t.Errorf("status %s, body %q, error %v; want %d", r.Status, body, err, test.status)
				}
				c.expectEnd()
			})
		}
	}
	expectDescriptors(t, before)
}

// An empty line before the request is skipped, wherever the read ends.
func TestEmptyLineFirst(t *testing.T) {
	server := serve(t, echo.Config{})
	stream := join([]byte("\r\n"), request("/"), masked(ws.OpText, "hello"))
	for _, size := range []int{1, 3, len(stream)} {
		c := dial(t, server)
		for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			c.send(rest[:min(size, len(rest))])
		}
		c.upgraded()
		c.expect(ws.OpText, []byte("hello"))
	}
}

// Many who are slow at once are each told so, once, and leave nothing.
func TestManySlowHeads(t *testing.T) {
	const each = 20
	server := serveImpatiently(t, echo.Config{Loops: 2}, shortTime, shortTime)
	quick := connect(t, server)
	before := descriptors(t)
	good := strings.TrimSuffix(string(request("/")), "\r\n")
	ended := make(chan error)
	ways := map[string][]string{ // what is sent one at a time, the last over and over
		"silent":                       {""},
		"byte by byte":                 append(strings.Split(good+"X: ", ""), "x"),
		"header by header":             append(strings.SplitAfter(good, "\r\n"), "X: y\r\n"),
		"stalled in the request line":  {"GET /", ""},
		"stalled in the last line end": {good + "\r", ""},
	}
	for name, parts := range ways {
		for range each {
			c := dial(t, server)
			go func() {
				err := c.isTooSlow(parts)
				if err != nil {
					err = fmt.Errorf("%s: %w", name, err)
				}
				ended <- err
			}()
		}
	}
	for range each * len(ways) {
		quick.send(masked(ws.OpText, "hello"))
		quick.expect(ws.OpText, []byte("hello"))
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	expectDescriptors(t, before)
}

// isTooSlow sends parts slowly until it is answered, which must be with 408 and
// the FIN, and closes.
func (c *rawClient) isTooSlow(parts []string) error {
	answered := make(chan struct{})
	go func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ; i++ {
			if _, err := io.WriteString(c.TCPConn, parts[min(i, len(parts)-1)]); err != nil {
				return
			}
			select {
			case <-answered:
				return
			case <-pace.C:
			}
		}
	}()
	defer c.Close()
	defer close(answered)
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if _, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusRequestTimeout || !r.Close {
		return fmt.Errorf("answered with %s, %v", r.Status, err)
	}
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		return fmt.Errorf("%.200q and %v behind the answer", rest, err)
	}
	return nil
}

// Who is refused and does not hang up is cut off.
func TestRefusedWhoStay(t *testing.T) {
	server := serveImpatiently(t, echo.Config{}, echo.HandshakeTimeout, shortTime)
	before := descriptors(t)
	const stayers = 20
	for range stayers {
		c := dial(t, server)
		c.send([]byte("GET / HTTP/1.1\r\n\r\n"))
		if r := c.response(); r.StatusCode != http.StatusBadRequest {
			t.Errorf("status %s", r.Status)
		}
	}
	expectDescriptors(t, before+stayers) // those of the clients
}
