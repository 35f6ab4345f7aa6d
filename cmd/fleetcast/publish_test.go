package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/keys"
)

// A read of the standard input that never returns must not hold the command.
func TestPublishLinesStopsInsideARead(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	subscriber := start(t, nil, "subscribe", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	stdin, input := io.Pipe()
	defer input.Close()
	c := start(t, stdin, "publish", "--to="+publish, "news", "-")
	fmt.Fprintln(input, "1")
	subscriber.out.await(t, `"data":1`)
	c.stop()
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d: %s", code, c.err)
	}
	c.err.await(t, "published 1 event to news")
}

// A gateway that never answers holds a stopped command for --timeout only.
func TestPublishLinesStopsWaitingForAnswers(t *testing.T) {
	t.Parallel() // it waits most of the time
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	received := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		received <- line
		_, _ = io.Copy(io.Discard, conn)
	}()
	c := start(t, strings.NewReader("1\n"), "publish", "--timeout=200ms", "--to="+listener.Addr().String(), "news", "-")
	select {
	case <-received:
	case <-time.After(patience):
		t.Fatal("nothing was sent")
	}
	c.stop()
	if code := c.wait(t); code != exitUnknown {
		t.Errorf("exit code %d, want %d", code, exitUnknown)
	}
	c.err.await(t, "line 1: the gateway at .* did not answer within 200ms")
}

func TestPublishLongLines(t *testing.T) {
	_, _, publish, _ := startGateway(t, "--max-event=8MiB", "--publisher-credits=16MiB")
	longest := `"` + strings.Repeat("x", maxInputLine-2) + `"`
	tests := []struct {
		name, input string
		args        []string
		code        int
		want        string
	}{
		{"longest", longest + "\r\n1\n", nil, 0, "published 2 events"},
		{"longest, without a line end", longest, nil, 0, "published 1 event to"},
		{"longest text to escape", strings.Repeat("\x1b", maxInputLine) + "\n", []string{"--text"}, 0, "published 1 event to"},
		{"too long by one", "1\n\n" + longest + " \n2\n", nil, exitFailure, "line 3: longer than 1048576 bytes"},
		{"far too long", "1\n" + longest + longest, nil, exitFailure, "line 2: longer than 1048576 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"publish", "--to=" + publish}, test.args...)
			c := start(t, strings.NewReader(test.input), append(args, "news", "-")...)
			if code := c.wait(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if got := c.err.String(); !strings.Contains(got, test.want) {
				t.Errorf("no %q in %.500s", test.want, got)
			}
		})
	}
}

// A gateway that takes one event an hour: the second would have to wait too long.
func TestPublishTooFast(t *testing.T) {
	_, _, publish, _ := startGateway(t, "--publisher-rate=1/h")
	c := start(t, strings.NewReader("1\n2\n3\n"), "publish", "--to="+publish, "news", "-")
	if code := c.wait(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	c.err.await(t, `line 2: publishing to channel "news": rate_limited: too many events: at most 1 an hour; try again in (59m5.*|1h.*), which is longer than --timeout \(10s\)`)
}

// Lines that come faster than the gateway's rate wait, and keep their order.
func TestPublishWaitsForTheRate(t *testing.T) {
	_, url, publish, _ := startGateway(t, "--publisher-rate=1000/s burst 50")
	subscriber := start(t, nil, "subscribe", "--data", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	var lines strings.Builder
	for i := range 500 {
		fmt.Fprintln(&lines, i)
	}
	c := start(t, strings.NewReader(lines.String()), "publish", "--to="+publish, "news", "-")
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d: %s", code, c.err)
	}
	subscriber.out.await(t, "\n499\n")
	if got := subscriber.out.String(); got != lines.String() {
		t.Errorf("subscribers got %.200q", got)
	}
	if got, want := c.err.String(), "published 500 events to news\n"; got != want {
		t.Errorf("the command says %.200q, want %q", got, want)
	}
}

// One event that comes too fast is sent again, once and after the time that the
// gateway asks for.
func TestPublishOneWaitsForTheRate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const pause = 30 * time.Millisecond
	waited := make(chan time.Duration, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewScanner(conn)
		in.Scan()
		refused := time.Now()
		fmt.Fprintf(conn, `{"id":1,"error":{"code":"rate_limited","message":"too many","retry_after_ms":%d}}`+"\n", pause.Milliseconds())
		in.Scan()
		waited <- time.Since(refused)
		fmt.Fprintln(conn, `{"id":2,"results":[{"channel":"news","epoch":"e","offset":7,"subscribers":0}],"rate_left":0}`)
		_, _ = io.Copy(io.Discard, conn)
	}()
	c := start(t, nil, "publish", "--to="+listener.Addr().String(), "news", "1")
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.err)
	}
	c.out.await(t, "offset 7 of news")
	if took := <-waited; took < pause {
		t.Errorf("it was sent again after %v, want %v", took, pause)
	}
}

// What is empty where it may not be is a mistake of the command line.
func TestPublishRefusesEmptyValues(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--key=", "news", "1"}, "--key is empty; leave it out"},
		{[]string{"--key=", "news", "-"}, "--key is empty; leave it out"},
		{[]string{"--key=" + keys.New(), "news", "1"}, "goes into a file for --key-file"},
		{[]string{"--idempotency=", "news", "1"}, "--idempotency has 0 bytes, must have 1 to 64"},
		{[]string{"--idempotency=" + strings.Repeat("x", 65), "news", "1"}, "--idempotency has 65 bytes, must have 1 to 64"},
		{[]string{"--idempotency=x", "news", "-"}, "--idempotency names one event"},
		{[]string{"--expect=x:1", "news", "-"}, "--expect is for one event"},
		{[]string{"--expect=17", "news", "1"}, "--expect: a position is EPOCH:OFFSET, such as ZbTWIsyu:17"},
		{[]string{"--to=", "news", "1"}, "--to is empty"},
		{[]string{"", "1"}, "the channel is empty"},
	} {
		c := start(t, strings.NewReader("1\n"), append([]string{"publish"}, test.args...)...)
		if code := c.wait(t); code != exitUsage {
			t.Errorf("%q: exit code %d, want %d", test.args, code, exitUsage)
		}
		c.err.await(t, test.want)
	}
}

func TestPublishHintsAtText(t *testing.T) {
	_, _, publish, _ := startGateway(t)
	c := start(t, nil, "publish", "--to="+publish, "news", "hello")
	if code := c.wait(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	c.err.await(t, "not valid JSON.*use --text")

	c = start(t, nil, "publish", "--to="+publish, "a b", "1")
	c.wait(t)
	if got := c.err.String(); strings.Contains(got, "--text") {
		t.Errorf("a bad channel is blamed on the data: %s", got)
	}
}

// Files that an editor of Windows has written start with a byte order mark.
func TestPublishSkipsAByteOrderMark(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	subscriber := start(t, nil, "subscribe", "--data", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	for _, test := range []struct {
		input string
		args  []string
	}{
		{"\ufeff1\r\n2\r\n", []string{"news", "-"}},
		{"\ufefftext\r\n\ufeffmore\r\n", []string{"--text", "news", "-"}}, // in a text it is a character
		{"\ufeff" + `"` + strings.Repeat("x", 50_000) + `"`, []string{"news", "-"}},
		{"", []string{"news", "\ufeff3"}},
		{"", []string{"--text", "news", "\ufeffend"}},
	} {
		c := start(t, strings.NewReader(test.input), append([]string{"publish", "--to=" + publish}, test.args...)...)
		if code := c.wait(t); code != 0 {
			t.Errorf("%v: exit code %d: %s", test.args, code, c.err)
		}
	}
	subscriber.out.await(t, `"end"`)
	want := "1\n2\n\"text\"\n\"\ufeffmore\"\n\"" + strings.Repeat("x", 50_000) + "\"\n3\n\"end\"\n"
	if got := subscriber.out.String(); got != want {
		t.Errorf("subscribers got %.200q, want %.200q", got, want)
	}
	c := start(t, strings.NewReader("\xff\xfe1\x00\n\x00"), "publish", "--to="+publish, "news", "-")
	if code := c.wait(t); code != exitFailure {
		t.Errorf("UTF-16: exit code %d, want %d", code, exitFailure)
	}
	c.err.await(t, "line 1: the input is UTF-16, by its byte order mark")
}

// What is no UTF-8 is refused, and not made something else of.
func TestPublishTakesUTF8Only(t *testing.T) {
	_, _, publish, _ := startGateway(t)
	for _, args := range [][]string{
		{"a\xff", "1"},
		{"--text", "news", "a\xffb"},
		{"news", "\"a\xffb\""},
		{"--key=\xff", "news", "1"},
	} {
		c := start(t, nil, append([]string{"publish", "--to=" + publish}, args...)...)
		if code := c.wait(t); code == 0 {
			t.Errorf("%q was published: %s", args, c.out)
		}
		c.err.await(t, "UTF-8")
	}
}

// TestSubscribeSurvivesOddEvents: subscribe prints whatever the gateway takes, and goes on.
func TestSubscribeSurvivesOddEvents(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	subscriber := start(t, nil, "subscribe", "--data", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	odd := []string{
		strings.Repeat(`{"a":[`, 49) + "{}" + strings.Repeat("]}", 49), "1e400", strings.Repeat("9", 400),
		`"\ud800"`, `{"a":1,"a":2}`, "\"\u2028\"", `"` + strings.Repeat("x", 64<<10-2) + `"`, `"end"`,
	}
	c := start(t, strings.NewReader(strings.Join(odd, "\n")), "publish", "--to="+publish, "news", "-")
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.err)
	}
	subscriber.out.await(t, `"end"`)
	if got, want := subscriber.out.String(), strings.Join(odd, "\n")+"\n"; got != want {
		t.Errorf("printed %d bytes %.200q, want %d", len(got), got, len(want))
	}
	c = start(t, nil, "publish", "--to="+publish, "news", strings.Repeat("[", 100)+strings.Repeat("]", 100))
	if code := c.wait(t); code != exitFailure {
		t.Errorf("100 levels: exit code %d, want %d", code, exitFailure)
	}
	c.err.await(t, `bad_request: data is nested deeper than 99 levels`)
}

// An event with a name is published once, and one that expects a position where the channel is.
func TestPublishOnce(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	subscriber := start(t, nil, "subscribe", "--data", "--url="+url, "news")
	subscriber.err.await(t, "subscribed to news")
	run := func(code int, args ...string) (out, err string) {
		t.Helper()
		c := start(t, nil, append([]string{"publish", "--to=" + publish}, args...)...)
		if got := c.wait(t); got != code {
			t.Errorf("%q: exit code %d, want %d: %s", args, got, code, c.err)
		}
		return c.out.String(), c.err.String()
	}
	first, _ := run(0, "--idempotency=a", "news", "1")
	again, _ := run(0, "--idempotency=a", "news", "1")
	if want := strings.TrimSuffix(first, "\n") + ", published before\n"; again != want || !strings.HasPrefix(first, "offset 1 of news (epoch ") {
		t.Errorf("published: %s, again: %s", first, again)
	}
	epoch, _, _ := strings.Cut(strings.TrimPrefix(first, "offset 1 of news (epoch "), ")")
	if out, _ := run(0, "--expect="+epoch+":1", "news", "2"); !strings.HasPrefix(out, "offset 2 of news") {
		t.Errorf("where it is: %s", out)
	}
	if _, err := run(exitFailure, "--expect="+epoch+":1", "news", "3"); !strings.Contains(err, "conflict: the channel is at offset 2 of epoch "+epoch) {
		t.Errorf("where it was: %s", err)
	}
	run(0, "news", "4")
	subscriber.out.await(t, "4\n")
	if got := subscriber.out.String(); got != "1\n2\n4\n" {
		t.Errorf("the subscriber got %q", got)
	}
}

// An event with a name that is not answered is sent again if the connection breaks, and the advice is another one.
func TestPublishOnceWithoutAnswer(t *testing.T) {
	for name, listener := range map[string]func(*testing.T) string{"hung": hungListener, "broken": breakingListener} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			c := start(t, nil, "publish", "--to="+listener(t), "--timeout=500ms", "--idempotency=x", "a", "1")
			if code := c.wait(t); code != exitUnknown {
				t.Errorf("exit code %d, want %d", code, exitUnknown)
			}
			text := c.err.String()
			if !strings.Contains(text, "did not answer within 500ms") || !strings.Contains(text, "with the same --idempotency") || strings.Contains(text, "may publish twice") {
				t.Errorf("it says %q", text)
			}
		})
	}
}
