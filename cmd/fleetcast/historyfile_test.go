package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"fleetcast/gateway/web/browsertest"
)

// keeping is a gateway with a history file, in a process of its own.
type keeping struct {
	*process
	url, publishers, admin string
}

func startKeeping(t *testing.T, file string, args ...string) *keeping {
	t.Helper()
	k := &keeping{process: startProcess(t, append([]string{"--listen=localhost:0", "--publish=localhost:0", "--admin=localhost:0", "--retry-window=0s",
		"--history-file=" + file}, args...)...)}
	k.url = k.out.await(t, `clients connect to +(ws://\S+)`)[1]
	k.publishers = k.out.await(t, `publish to +(\S+)`)[1]
	k.admin = k.out.await(t, `look inside at +http://([^/]+)/`)[1]
	k.out.await(t, `stop with`)
	return k
}

func (k *keeping) publish(t *testing.T, channel string, events ...string) {
	t.Helper()
	for _, e := range events {
		if p := start(t, nil, "publish", "--to="+k.publishers, channel, e); p.wait(t) != 0 {
			t.Fatalf("publish: %s", p.err)
		}
	}
}

// channels are the positions of all channels, as the API tells them.
func (k *keeping) channels(t *testing.T) string {
	t.Helper()
	_, text := fetch(t, "http://"+k.admin+"/api/channels")
	var list struct {
		Channels []struct {
			Channel, Epoch string
			Offset         json.Number
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	var positions []string
	for _, c := range list.Channels {
		positions = append(positions, c.Channel+" "+c.Epoch+":"+c.Offset.String())
	}
	return strings.Join(positions, ", ")
}

// kept is how many events all channels keep.
func (k *keeping) kept(t *testing.T) (events int) {
	t.Helper()
	_, text := fetch(t, "http://"+k.admin+"/api/stats")
	var stats struct {
		Publish struct {
			Events int `json:"history_events"`
		}
	}
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		t.Fatal(err)
	}
	return stats.Publish.Events
}

// end stops the gateway in good order.
func (k *keeping) end(t *testing.T) {
	t.Helper()
	k.signal(t, syscall.SIGTERM)
	if code := k.exitCode(t); code != 0 {
		t.Errorf("exit code %d: %s", code, k.err)
	}
}

// crash ends the process at once.
func (k *keeping) crash(t *testing.T) {
	t.Helper()
	k.signal(t, syscall.SIGKILL)
	k.exitCode(t)
}

// filesIn are the names in a folder.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func filesWant(t *testing.T, dir string, names ...string) {
	t.Helper()
	if got := filesIn(t, dir); !slices.Equal(got, names) {
		t.Errorf("the folder has %q, want %q", got, names)
	}
}

// A restart keeps positions and events, also those of channels that never had an event. A crash
// loses both, and the channels have other epochs.
func TestHistoryOverARestart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "history")
	first := startKeeping(t, file)
	first.err.await(t, `level=INFO msg="there is no history file: channels begin anew" file=`+file)
	quiet := start(t, nil, "subscribe", "--url="+first.url, "quiet")
	quiet.err.await(t, "subscribed to quiet")
	first.publish(t, "news", "1", "2")
	first.publish(t, "chat", `{"text":"hello"}`)
	before := first.channels(t)
	if events := first.kept(t); events != 3 || !regexp.MustCompile(`^chat \S{8}:1, news \S{8}:2, quiet \S{8}:0$`).MatchString(before) {
		t.Fatalf("%d events in %s", events, before)
	}
	first.end(t)
	first.err.await(t, `level=INFO msg="the history is saved" file=\S+ channels=3 events=3 took=`)
	filesWant(t, dir, "history", "history.lock")

	second := startKeeping(t, file)
	second.err.await(t, `level=INFO msg="the history is loaded" file=\S+ channels=3 events=3 channels_left_out=0 took=`)
	if after, events := second.channels(t), second.kept(t); after != before || events != 3 {
		t.Errorf("%d events in %s, there were 3 in %s", events, after, before)
	}
	filesWant(t, dir, "history.lock")
	second.publish(t, "news", "3")
	if after := second.channels(t); after != strings.Replace(before, ":2", ":3", 1) {
		t.Errorf("after another event: %s, before: %s", after, before)
	}
	second.crash(t)
	filesWant(t, dir, "history.lock")

	third := startKeeping(t, file)
	third.err.await(t, "there is no history file")
	third.publish(t, "news", "4")
	epoch := regexp.MustCompile(`news (\S+):`).FindStringSubmatch(before)[1]
	if after := third.channels(t); third.kept(t) != 1 || strings.Contains(after, epoch) || !strings.HasSuffix(after, ":1") {
		t.Errorf("after a crash: %s, before: %s", after, before)
	}
	third.end(t)
}

// savedHistory has a gateway leave a file with two events, and returns what is in it.
func savedHistory(t *testing.T, file string) []byte {
	t.Helper()
	k := startKeeping(t, file)
	k.publish(t, "news", "1", "2")
	k.end(t)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// TestHistoryFileThatCannotBeUsed starts with what is no history file, or a damaged one.
func TestHistoryFileThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "history")
	whole := savedHistory(t, file)
	damaged := slices.Clone(whole)
	damaged[len(damaged)/2] ^= 1
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"damaged":         {damaged, "block 0 is damaged"},
		"cut":             {whole[:len(whole)-1], "it ends too early"},
		"empty":           {nil, "it is no history file"},
		"something else":  {[]byte(strings.Repeat("channels:\n", 100)), "it is no history file"},
		"another version": {append([]byte("fleetHST\x09\x00\x00\x00"), whole[12:]...), "its format is version 9, and this program reads version 1"},
		"a link":          {nil, "it is no regular file"},
	} {
		var err error
		if name == "a link" {
			err = os.Symlink(dir+"/history.bad", file)
		} else {
			err = os.WriteFile(file, test.file, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		k := startKeeping(t, file)
		k.err.await(t, `level=WARN msg="the history file cannot be used: channels begin anew" file=\S+ error="[^"]*`+test.want+`" set_aside=`+file+".bad\n")
		if n := strings.Count(k.err.String(), "history"); k.channels(t) != "" || k.kept(t) != 0 || strings.Count(k.err.String(), "level=WARN") != 1 {
			t.Errorf("%s: channels %q, %d words of the history: %s", name, k.channels(t), n, k.err)
		}
		filesWant(t, dir, "history.bad", "history.lock")
		if aside, err := os.ReadFile(file + ".bad"); name != "a link" && (err != nil || string(aside) != string(test.file)) {
			t.Errorf("%s: set aside were %d bytes, %v", name, len(aside), err)
		}
		k.crash(t)
	}
}

// Two gateways cannot have one file, and what is no place for a file is refused.
func TestHistoryFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "history")
	first := startKeeping(t, file)
	for path, want := range map[string]string{
		file:                  "history-file: open the history file " + file + ": another process has it; each gateway needs a file of its own\n",
		dir:                   "it is a folder; name a file in it\n",
		dir + "/none/history": "there is no folder " + dir + "/none\n",
		"/dev/null":           "it is a device\n",
	} {
		second := startProcess(t, "--listen=localhost:0", "--publish=off", "--admin=off", "--history-file="+path)
		if code := second.exitCode(t); code != exitFailure || !strings.HasSuffix(second.err.String(), want) {
			t.Errorf("%s: exit code %d: %s, want %s", path, code, second.err, want)
		}
	}
	first.end(t)
	filesWant(t, dir, "history", "history.lock")
}

// A history that cannot be saved is told, and the gateway ends as ever.
func TestHistoryThatCannotBeSaved(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "history")
	k := startKeeping(t, file)
	k.publish(t, "news", "1")
	if err := os.MkdirAll(file+".new/in-the-way", 0o700); err != nil {
		t.Fatal(err)
	}
	k.end(t)
	k.err.await(t, `level=ERROR msg="the history is not saved: channels will begin anew" file=\S+ error=`)
	filesWant(t, dir, "history.lock", "history.new")
}

// A signal while the history is loaded ends the start, and the file stays.
func TestStopWhileLoading(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	whole := savedHistory(t, file)
	c := start(t, nil, "--listen=localhost:0", "--publish=off", "--admin=off", "--history-file="+file)
	c.stop() // before or after it has loaded
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d: %s", code, c.err)
	}
	if got, err := os.ReadFile(file); err != nil || len(got) != len(whole) {
		t.Errorf("the file has %d bytes, had %d, %v", len(got), len(whole), err)
	}
	second := startKeeping(t, file)
	if events := second.kept(t); events != 2 {
		t.Errorf("%d events are kept: %s", events, second.err)
	}
	second.crash(t)
}

// asks subscribes as a client that comes back, and compares what it is told.
func (k *keeping) asks(t *testing.T, channel, since string, want ...string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	epoch, offset, _ := strings.Cut(since, ":")
	conn, _, err := websocket.Dial(ctx, k.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	command := `{"type":"subscribe","channel":"` + channel + `","since":{"epoch":"` + epoch + `","offset":` + offset + `}}`
	if err := conn.Write(ctx, websocket.MessageText, []byte(command)); err != nil {
		t.Fatal(err)
	}
	wants(t, conn, append([]string{`"type":"welcome"`}, want...)...)
	return conn
}

func wants(t *testing.T, conn *websocket.Conn, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, text := range want {
		if _, got, err := conn.Read(ctx); err != nil || !strings.Contains(string(got), text) {
			t.Fatalf("told %s, %v, want %s", got, err, text)
		}
	}
}

// Clients that come back to the next gateway get what they have missed. After a crash they are
// told that they have missed something.
func TestClientsRecoverOverARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	first := startKeeping(t, file)
	quiet := start(t, nil, "subscribe", "--url="+first.url, "quiet")
	quiet.err.await(t, "subscribed to quiet")
	first.publish(t, "news", "1", "2", "3")
	positions := map[string]string{}
	for _, p := range strings.Split(first.channels(t), ", ") {
		channel, position, _ := strings.Cut(p, " ")
		positions[channel] = position
	}
	epoch := strings.TrimSuffix(positions["news"], ":3")
	first.end(t)

	second := startKeeping(t, file)
	news := second.asks(t, "news", epoch+":1", `"offset":1,"recovered":true,"latest":3}`, `"offset":2,"data":2}`, `"offset":3,"data":3}`)
	nothing := second.asks(t, "quiet", positions["quiet"], `"offset":0,"recovered":true,"latest":0}`)
	second.publish(t, "news", "4")
	second.publish(t, "quiet", "5")
	wants(t, news, `"offset":4,"data":4}`)
	wants(t, nothing, `"offset":1,"data":5}`)
	second.crash(t)

	third := startKeeping(t, file)
	third.asks(t, "news", epoch+":3", `"offset":0,"recovered":false,"latest":0}`)
	third.end(t)
}

// A page is open while its gateway is replaced by another one, to which events are published, and
// that one by a third. The page gets these events, and misses none.
func TestPageOverARestart(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, _ := browsertest.Start(t, "a page that is open while gateways are replaced")
	page := browserPage{t, ctx}
	file := filepath.Join(t.TempDir(), "history")
	first := startKeeping(t, file)
	page.open(first.out.await(t, `open in a browser +(http://\S+)`)[1])
	page.awaits("connected")
	awaitSubscription(t, "http://"+first.admin+"/")
	first.publish(t, "news", `{"text":"first words"}`)
	page.awaits("first words")
	first.end(t)
	page.awaits("waiting")

	second := startKeeping(t, file)
	for i := range 50 {
		writeLine(t, second.publishers, fmt.Sprintf(`{"channel":"news","data":{"text":"meanwhile %d"}}`, i+1))
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); second.kept(t) < 51 && time.Now().Before(deadline); {
		<-poll.C
	}
	second.end(t)

	third := startProcess(t, "--listen="+hostOf(t, first.url), "--publish=localhost:0", "--admin=off", "--history-file="+file)
	publish := third.out.await(t, `publish to +(\S+)`)[1]
	third.out.await(t, "stop with")
	page.awaits("50 events published while this page was not connected", "meanwhile 1\"", "meanwhile 50")
	writeLine(t, publish, `{"channel":"news","data":{"text":"last words"}}`)
	page.awaits("last words", "52 events")
	if text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`)); err != nil || strings.Contains(text, "missed") || strings.Contains(text, "anew") {
		t.Errorf("the page says that something is missing, %v: %s", err, text)
	}
}
