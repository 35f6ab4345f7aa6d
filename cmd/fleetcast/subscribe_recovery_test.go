package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws/wsutil"

	"fleetcast/gateway"
)

// exchange is what a scripted gateway hears, and what it says then.
type exchange struct {
	hears string
	says  []string
}

// scriptedTo is a gateway that has these exchanges, all of a list on one connection, which it
// then cuts off. It keeps the last one.
func scriptedTo(t *testing.T, connections ...[]exchange) (url string) {
	t.Helper()
	next := make(chan []exchange, len(connections))
	for _, exchanges := range connections {
		next <- exchanges
	}
	return scripted(t, func(conn net.Conn, in *bufio.Reader) {
		if len(next) == 0 {
			t.Error("there is another connection")
			return
		}
		// A client comes back soon to a gateway that has welcomed it.
		_ = wsutil.WriteServerText(conn, []byte(`{"type":"welcome","client":"a","ping_interval_ms":60000}`))
		for _, e := range <-next {
			if heard := textOf(in); heard != "1 "+e.hears {
				t.Errorf("the gateway heard %s\nwant %s", heard, e.hears)
			}
			for _, text := range e.says {
				_ = wsutil.WriteServerText(conn, []byte(text))
			}
		}
		if len(next) == 0 {
			textOf(in)
		}
	})
}

// TestSubscribeRecovers has a subscriber come back with its position each time, and say what has
// become of the events that it has missed.
func TestSubscribeRecovers(t *testing.T) {
	t.Parallel() // it waits most of the time
	resumes := func(id int, epoch string, offset int) string {
		return fmt.Sprintf(`{"type":"subscribe","id":%d,"channel":"news","since":{"epoch":%q,"offset":%d}}`, id, epoch, offset)
	}
	subscribed := func(epoch string, offset int, rest string) string {
		return fmt.Sprintf(`{"type":"subscribed","id":1,"channel":"news","epoch":%q,"offset":%d%s}`, epoch, offset, rest)
	}
	event := func(offset int) string {
		return fmt.Sprintf(`{"type":"event","channel":"news","offset":%d,"data":%d}`, offset, offset)
	}
	last5 := `{"type":"subscribe","id":1,"channel":"news","last":5}`
	url := scriptedTo(t,
		[]exchange{{last5, []string{subscribed("one", 15, `,"latest":17`), event(16), event(17)}}},
		[]exchange{{resumes(1, "one", 17), []string{subscribed("one", 17, `,"recovered":true,"latest":17`)}}},
		[]exchange{{resumes(1, "one", 17), []string{subscribed("one", 17, `,"recovered":true,"latest":18`), event(18)}}},
		[]exchange{{resumes(1, "one", 18), []string{subscribed("one", 18, `,"recovered":false,"lost":{"from":19,"to":30},"latest":40`),
			`{"type":"gap","channel":"news","from":19,"to":30}`}}},
		[]exchange{{resumes(1, "one", 30), []string{subscribed("one", 40, ``)}}}, // it does not look at since
		[]exchange{{resumes(1, "one", 40), []string{subscribed("one", 20, `,"recovered":false,"latest":20`)}}},
		[]exchange{{resumes(1, "one", 20), []string{subscribed("two", 3, `,"recovered":false,"latest":3`), event(4)}}},
	)
	c := start(t, nil, "subscribe", "--data", "--url="+url, "--last=5", "news")
	c.err.await(t, `epoch two`)
	c.out.await(t, `(?m)^4$`)
	c.stop()
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var told []string
	for line := range strings.Lines(c.err.String()) {
		if !strings.Contains(line, "connecting again") {
			told = append(told, strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "fleetcast subscribe: "))
		}
	}
	want := []string{
		"subscribed to news, behind offset 15; 2 earlier events follow",
		"subscribed to news, behind offset 17",
		"subscribed to news, behind offset 17; 1 missed event follows",
		"subscribed to news, behind offset 18; events 19 to 30 are lost, because they are not kept any more; 10 missed events follow",
		"events 19 to 30 of news were missed",
		"subscribed to news, behind offset 40; events 31 to 40 are lost",
		"subscribed to news, behind offset 20; the gateway does not know offset 40, so it is not known what was missed",
		"subscribed to news, behind offset 3; the channel has begun anew, with epoch two: events behind offset 20 of epoch one are lost, and events 1 to 3 of the new epoch do not come; fleetcast history prints those that are kept",
		"to go on from here, add --since two:4",
	}
	if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("it said\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if got := c.out.String(); got != "16\n17\n18\n4\n" {
		t.Errorf("it printed %q", got)
	}
}

// TestSubscribeGoesOn begins with a position, and several channels come back with their own. A
// text that is no epoch of a gateway does not go into a shell.
func TestSubscribeGoesOn(t *testing.T) {
	t.Parallel() // it waits most of the time
	url := scriptedTo(t, []exchange{{`{"type":"subscribe","id":1,"channel":"news","since":{"epoch":"x:\"y","offset":7}}`,
		[]string{`{"type":"subscribed","id":1,"channel":"news","epoch":"x:\"y","offset":7,"recovered":true,"latest":7}`}}})
	c := start(t, nil, "subscribe", "--url="+url, `--since=x:"y:7`, "news")
	c.err.await(t, `subscribed to news, behind offset 7\n`)
	c.stop()
	c.wait(t)
	if strings.Contains(c.err.String(), "to go on") {
		t.Errorf("it said %s", c.err)
	}

	url = scriptedTo(t,
		[]exchange{{`{"type":"subscribe","id":1,"channels":["a","b","c"]}`, []string{
			`{"type":"subscribed","id":1,"channel":"a","epoch":"x","offset":1}`,
			`{"type":"subscribed","id":1,"channel":"b","epoch":"y","offset":2}`,
			`{"type":"subscribed","channel":"auto","epoch":"w","offset":3}`,
			`{"type":"event","channel":"b","offset":3,"data":1}`,
			`{"type":"gap","channel":"a","from":2,"to":9}`,
			`{"type":"event","channel":"auto","offset":4,"data":1}`}}},
		[]exchange{ // the first message is a short one
			{`{"type":"subscribe","id":1,"channel":"a","since":{"epoch":"x","offset":9}}`, []string{
				`{"type":"subscribed","channel":"auto","epoch":"w","offset":8}`,
				`{"type":"subscribed","id":1,"channel":"a","epoch":"x","offset":9,"recovered":true,"latest":9}`}},
			{`{"type":"subscribe","id":2,"channels":[{"channel":"b","since":{"epoch":"y","offset":3}},{"channel":"c"}]}`, []string{
				`{"type":"subscribed","id":2,"channel":"b","epoch":"y","offset":3,"recovered":true,"latest":3}`,
				`{"type":"subscribed","id":2,"channel":"c","epoch":"z","offset":0}`}}})
	c = start(t, nil, "subscribe", "--url="+url, "a", "b", "c")
	c.err.await(t, `subscribed to c, behind offset 0\n`)
	c.err.await(t, `subscribed to auto, behind offset 8; events 5 to 8 are lost\n`)
	c.stop()
	c.wait(t)
	if strings.Contains(c.err.String(), "to go on") {
		t.Errorf("it said %s", c.err)
	}
}

// TestSubscribeToManyAgain: the positions of many channels come in messages that are short enough.
func TestSubscribeToManyAgain(t *testing.T) {
	at := make(places)
	var channels []string
	for i := range 200 {
		channels = append(channels, fmt.Sprint("room:", i))
		at[channels[i]] = &place{}
		at[channels[i]].start.HasSince = true
		at[channels[i]].start.Since.Epoch, at[channels[i]].start.Since.Offset = []byte("ZbTWIsyu"), 9007199254740991
	}
	a := newAsking(channels, at)
	found := 0
	for a.bytes = 1024; ; {
		text := a.next()
		if text == nil {
			break
		}
		if len(text) > a.bytes {
			t.Errorf("a message of %d bytes: %s", len(text), text)
		}
		found += strings.Count(string(text), `"since":{"epoch":"ZbTWIsyu","offset":9007199254740991}`)
		a.answered = len(a.asked)
	}
	if found != len(channels) {
		t.Errorf("%d channels were asked for, want %d", found, len(channels))
	}
}

// TestSubscribeAgain has a subscriber stop, go on with the position that it has told, and get
// what came meanwhile; and another one begin with the last events.
func TestSubscribeAgain(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	publishLines(t, publish, "news", "1\n2\n3\n")
	c := start(t, nil, "subscribe", "--data", "--url="+url, "--last=2", "news")
	c.err.await(t, `behind offset 1; 2 earlier events follow\n`)
	c.out.await(t, `^2\n3\n$`)
	c.stop()
	c.wait(t)
	since := c.err.await(t, `to go on from here, add (--since \S+)\n`)[1]
	publishLines(t, publish, "news", "4\n5\n")
	c = start(t, nil, append([]string{"subscribe", "--data", "--url=" + url, "news"}, strings.Fields(since)...)...)
	c.err.await(t, `behind offset 3; 2 missed events follow\n`)
	publishLines(t, publish, "news", "6\n")
	c.out.await(t, `^4\n5\n6\n$`)
	c.stop()
	c.wait(t)
	c.err.await(t, `:6\n$`)
}

// TestSubscribeRecoversFromTheGateway has the gateway cut the connection off, and publishes
// meanwhile: nothing is missing.
func TestSubscribeRecoversFromTheGateway(t *testing.T) {
	t.Parallel() // it waits most of the time
	_, url, publish, _ := startGateway(t)
	publishLines(t, publish, "news", "1\n")
	through, cut := relay(t, url)
	c := start(t, nil, "subscribe", "--data", "--url="+through, "news", "chat")
	c.err.await(t, `subscribed to chat, behind offset 0\n`)
	publishLines(t, publish, "news", "2\n")
	c.out.await(t, `^2\n$`)
	goOn := cut()
	c.err.await(t, `connecting again`)
	publishLines(t, publish, "news", "3\n4\n")
	publishLines(t, publish, "chat", `"hello"`+"\n")
	goOn()
	c.out.await(t, `(?s)"hello".*4|4.*"hello"`)
	c.stop()
	c.wait(t)
	if got := regexp.MustCompile(`\d`).FindAllString(c.out.String(), -1); fmt.Sprint(got) != "[2 3 4]" {
		t.Errorf("printed %s", c.out)
	}
	c.err.await(t, `subscribed to news, behind offset 2; 2 missed events follow\n`)
	c.err.await(t, `subscribed to chat, behind offset 0; 1 missed event follows\n`)
}

// publishLines publishes the lines to a channel.
func publishLines(t *testing.T, to, channel, lines string) {
	t.Helper()
	c := start(t, strings.NewReader(lines), "publish", "--quiet", "--to="+to, channel, "-")
	if code := c.wait(t); code != 0 {
		t.Fatalf("publish: exit code %d: %s", code, c.err)
	}
}

// relay passes connections on to a gateway. cut ends them, and takes no others until goOn is
// called.
func relay(t *testing.T, url string) (through string, cut func() (goOn func())) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	host := strings.TrimPrefix(strings.TrimSuffix(url, gateway.Path), "ws://")
	var mu sync.Mutex
	var open []net.Conn
	closed := false
	pass := func(from net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		to, err := net.Dial("tcp", host)
		if err != nil || closed {
			from.Close()
			return
		}
		open = append(open, from, to)
		go func() { _, _ = io.Copy(to, from); to.Close() }()
		go func() { _, _ = io.Copy(from, to); from.Close() }()
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			pass(conn)
		}
	}()
	set := func(to bool) {
		mu.Lock()
		defer mu.Unlock()
		closed = to
		for _, conn := range open {
			conn.Close()
		}
		open = nil
	}
	t.Cleanup(func() { set(true) })
	return "ws://" + listener.Addr().String() + gateway.Path, func() func() {
		set(true)
		return func() { set(false) }
	}
}
