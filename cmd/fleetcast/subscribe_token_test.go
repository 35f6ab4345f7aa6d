package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws/wsutil"

	"fleetcast/cmd/internal/credential"
	"fleetcast/codec/command"
	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/token"
)

// tokenGateway runs a gateway whose clients need tokens of tokenSecret.
func tokenGateway(t *testing.T) (url string) {
	t.Helper()
	config := gateway.DefaultConfig(10)
	config.Issuers = []token.Issuer{{Secret: tokenSecret}}
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { g.Run(); close(stopped) }()
	t.Cleanup(func() { g.Close(); <-stopped })
	return "ws://" + g.ClientAddrs()[0].String() + gateway.Path
}

// printsTokens is a command that prints another token each time, and how often it ran.
func printsTokens(t *testing.T, tokens ...string) (command string, runs func() int) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range tokens {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runs = func() int {
		ran, err := os.ReadFile(filepath.Join(dir, "ran"))
		if err != nil {
			return 0
		}
		return len(ran)
	}
	return fmt.Sprintf(`cd %s; n=0; [ -e ran ] && n=$(wc -c <ran); printf x >>ran; [ -e $n ] || n=%d; cat $n`, dir, len(tokens)-1), runs
}

// TestSubscribeWithToken shows a token that is given in each way.
func TestSubscribeWithToken(t *testing.T) {
	url, good := tokenGateway(t), signedGranting(t, time.Hour)
	t.Setenv("FLEETCAST_TEST_TOKEN", good)
	command, _ := printsTokens(t, good)
	for _, flag := range []string{"--token=-", "--token=file:" + fileWith(t, "token", good+"\n"), "--token=env:FLEETCAST_TEST_TOKEN", "--token-command=" + command} {
		c := start(t, strings.NewReader(good+"\n"), "subscribe", "--url="+url, flag, "news")
		c.err.await(t, "connected as alice")
		c.err.await(t, "subscribed to news")
		c.stop()
		if code := c.wait(t); code != 0 {
			t.Errorf("%s: exit code %d: %s", flag, code, c.err)
		}
	}
}

// TestSubscribeTokenIgnored: a gateway that knows no clients takes no notice of the token.
func TestSubscribeTokenIgnored(t *testing.T) {
	_, url, _, _ := startGateway(t)
	for _, with := range []struct {
		args  []string
		warns bool
	}{{[]string{"--token=file:" + fileWith(t, "token", "t1")}, true}, {nil, false}} {
		c := start(t, nil, append([]string{"subscribe", "--url=" + url, "news"}, with.args...)...)
		c.err.await(t, "subscribed to news")
		c.stop()
		c.wait(t)
		if warns := strings.Contains(c.err.String(), "has it token-secret, issuers or connect-hook?"); warns != with.warns {
			t.Errorf("with %q: %s", with.args, c.err)
		}
	}
}

// signedGranting is signedFor with a grant for all channels.
func signedGranting(t *testing.T, life time.Duration) string {
	t.Helper()
	path := fileWith(t, "secret", tokenSecret)
	out, _ := ranToken(t, "", 0, "--secret=file:"+path, "--user=alice", "--subscribe=**", "--ttl="+life.String())
	return strings.TrimSpace(out)
}

// TestSubscribeRefusedToken ends with the reason in words.
func TestSubscribeRefusedToken(t *testing.T) {
	url := tokenGateway(t)
	old := signedFor(t, -time.Hour)
	command, _ := printsTokens(t, old)
	for want, args := range map[string][]string{
		`401 Unauthorized: token_expired: .*\nAnother token comes with`:   {"--token=-"},
		`the token has expired, and --token-command gives the same`:       {"--token-command=" + command},
		`401 Unauthorized: token_malformed`:                               {"--token=file:" + fileWith(t, "bad", "abc")},
		`permission_denied`:                                               {"--token=file:" + fileWith(t, "nothing", signedFor(t, time.Hour))},
		`authentication_required: .*\nGive a token with --token`:          nil,
		`getting the token: --token-command: exit status 3`:               {"--token-command=exit 3"},
		`getting the token: what is there is empty`:                       {"--token-command=true"},
		`what is there is no token`:                                       {"--token-command=echo a b"},
		`getting the token: read the secret: open /nowhere: no such file`: {"--token=file:/nowhere"},
	} {
		c := start(t, strings.NewReader(old), append([]string{"subscribe", "--url=" + url, "news"}, args...)...)
		if code := c.wait(t); code != exitFailure {
			t.Errorf("%q: exit code %d", args, code)
		}
		c.err.await(t, want)
	}
	for want, args := range map[string][]string{
		"can be read by every user": {"--token=" + signedFor(t, time.Hour)},
		"exclude each other":        {"--token=-", "--token-command=true"},
	} {
		c := start(t, nil, append([]string{"subscribe", "--url=" + url, "news"}, args...)...)
		if code := c.wait(t); code != exitUsage || !strings.Contains(c.err.String(), want) {
			t.Errorf("%q: exit code %d, %s", args, code, c.err)
		}
	}
}

// TestSubscribeRenewsToken shows a new token on the same connection before the last one
// ends, and asks for one again where that fails.
func TestSubscribeRenewsToken(t *testing.T) {
	t.Parallel() // it waits most of the time
	url := tokenGateway(t)
	command, runs := printsTokens(t, signedGranting(t, 3*time.Second), signedGranting(t, 4*time.Second), signedGranting(t, time.Hour))
	c := start(t, nil, "subscribe", "--url="+url, "--token-command="+command, "news")
	c.err.await(t, "subscribed to news")
	for end := time.Now().Add(patience); runs() < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the command ran %d times: %s", runs(), c.err)
		}
	}
	c.stop()
	if code := c.wait(t); code != 0 || strings.Contains(c.err.String(), "again") {
		t.Errorf("exit code %d: %s", code, c.err)
	}
}

// TestSubscribeExpiredTokens: the command runs again, but not without end.
func TestSubscribeExpiredTokens(t *testing.T) {
	t.Parallel() // it waits most of the time
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := requests.Add(1); r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", n) {
			t.Errorf("request %d shows %q", n, r.Header.Get("Authorization"))
		}
		http.Error(w, "token_expired: the token expired 1h ago", http.StatusUnauthorized)
	}))
	defer server.Close()
	command, runs := printsTokens(t, "t1", "t2", "t3", "t4", "t5", "t6")
	c := start(t, nil, "subscribe", "--url=ws"+strings.TrimPrefix(server.URL, "http"), "--token-command="+command, "news")
	if code := c.wait(t); code != exitFailure || runs() != 4 {
		t.Errorf("exit code %d after %d tokens: %s", code, runs(), c.err)
	}
	c.err.await(t, "with 4 tokens in a row")
}

// TestSubscribeTokenEnds: a connection that the gateway closes with 4401 is followed by
// one with a new token, and one with 4403 by none.
func TestSubscribeTokenEnds(t *testing.T) {
	t.Parallel() // it waits most of the time
	ends := make(chan string, 2)
	ends <- "\x11\x31token_expired" // 4401
	ends <- "\x11\x33user_blocked"  // 4403
	url := scripted(t, func(conn net.Conn, in *bufio.Reader) {
		textOf(in)
		_ = wsutil.WriteServerText(conn, []byte(`{"type":"welcome","client":"1","ping_interval_ms":25000,"user":"al\u001bice"}`))
		end := <-ends
		_, _ = conn.Write(append([]byte{0x88, byte(len(end))}, end...))
		textOf(in)
	})
	command, runs := printsTokens(t, "t1", "t2")
	c := start(t, nil, "subscribe", "--url="+url, "--token-command="+command, "news")
	if code := c.wait(t); code != exitFailure || runs() != 2 {
		t.Errorf("exit code %d after %d tokens: %s", code, runs(), c.err)
	}
	c.err.await(t, "(?s)connected as alice.*4401: token_expired; connecting again.*4403: user_blocked")
}

// TestSubscribeWithdrawn: a subscription that the gateway ends is told, and the last one
// ends the command.
func TestSubscribeWithdrawn(t *testing.T) {
	heard := make(chan string, 2)
	url := scripted(t, func(conn net.Conn, in *bufio.Reader) {
		say := func(text string) { _ = wsutil.WriteServerText(conn, []byte(text)) }
		heard <- textOf(in)
		say(`{"type":"subscribed","id":1,"channel":"a","epoch":"x","offset":0}`)
		say(`{"type":"subscribed","id":1,"channel":"b","epoch":"x","offset":0}`)
		say(`{"type":"subscribed","channel":"auto","epoch":"x","offset":0}`)
		say(`{"type":"unsubscribed","channel":"auto","code":"withdrawn"}`)
		say(`{"type":"unsubscribed","channel":"a","code":"permission_denied"}`)
		say(`{"type":"event","channel":"b","offset":1,"data":"still here"}`)
		say(`{"type":"unsubscribed","channel":"b","code":"withdrawn"}`)
		textOf(in)
	})
	c := start(t, nil, "subscribe", "--data", "--url="+url, "a", "b")
	if code := c.wait(t); code != exitFailure || c.out.String() != "\"still here\"\n" {
		t.Errorf("exit code %d: %s%s", code, c.out, c.err)
	}
	<-heard
	c.err.await(t, "(?s)subscription to auto: withdrawn.*subscription to a: permission_denied.*subscription to b: withdrawn.*no subscription is left")
}

// TestSubscribeAsksAgain: what a hook had allowed for a time is asked for again, once no other
// message is under way.
func TestSubscribeAsksAgain(t *testing.T) {
	heard := make(chan string, 3)
	url := scripted(t, func(conn net.Conn, in *bufio.Reader) {
		say := func(text string) { _ = wsutil.WriteServerText(conn, []byte(text)) }
		heard <- textOf(in)
		say(`{"type":"subscribed","id":1,"channel":"a","epoch":"x","offset":0}`)
		say(`{"type":"unsubscribed","channel":"a","code":"permission_expired"}`)
		say(`{"type":"subscribed","id":1,"channel":"b","epoch":"x","offset":0}`)
		heard <- textOf(in)
		say(`{"type":"subscribed","id":2,"channel":"a","epoch":"x","offset":0}`)
		say(`{"type":"unsubscribed","channel":"b","code":"permission_expired"}`)
		heard <- textOf(in)
		say(`{"type":"error","id":3,"code":"permission_denied","message":"no"}`)
		textOf(in)
	})
	c := start(t, nil, "subscribe", "--url="+url, "a", "b")
	if code := c.wait(t); code != exitFailure {
		t.Errorf("exit code %d: %s", code, c.err)
	}
	for _, want := range []string{`"a","b"`, `"a"`, `"b"`} {
		if got := <-heard; !strings.Contains(got, want) || want == `"a"` && strings.Contains(got, `"b"`) {
			t.Errorf("it asks %s, want %s", got, want)
		}
	}
	c.err.await(t, "(?s)subscription to a: permission_expired.*subscription to b: permission_expired.*permission_denied: no")
}

// TestRenewWaits has a token that cannot be read, and later one that the gateway refuses. The
// waits between two attempts grow up to five minutes, and are no shorter than the gateway asks.
func TestRenewWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said renewLog
		flags := &credential.TokenFlags{Token: "file:/nowhere/token"}
		s := subscriber{std: streams{err: &said}, tokens: &tokens{flags: flags}, due: make(chan refresh, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.renew(ctx); close(done) }()
		start := time.Now()
		waits := func(want ...time.Duration) {
			t.Helper()
			for _, wait := range want {
				time.Sleep(wait - time.Nanosecond)
				synctest.Wait()
				if text := said.take(); text != "" {
					t.Errorf("after less than %v it says %q", wait, text)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if text := said.take(); !strings.Contains(text, "no such file") {
					t.Errorf("after %v, %v in all, it says %q", wait, time.Since(start), text)
				}
			}
		}
		s.stands(&command.ServerMessage{Kind: command.KindAuthenticated, RefreshMS: 100})
		waits(time.Second, 5*time.Second, 10*time.Second, 20*time.Second, 40*time.Second, 80*time.Second, 160*time.Second, 300*time.Second, 300*time.Second)
		cancel()
		<-done

		// The gateway refuses a token.
		ctx, cancel = context.WithCancel(t.Context())
		s.due = make(chan refresh, 1)
		done = make(chan struct{})
		go func() { s.renew(ctx); close(done) }()
		s.notRenewed(&command.ServerMessage{Kind: command.KindError, Code: []byte("not_available"), Message: []byte("keys_unavailable\x1b"), RetryAfterMS: 60_000})
		if text := said.take(); text != "fleetcast subscribe: the gateway refuses the new token: not_available: keys_unavailable\n" {
			t.Errorf("it says %q", text)
		}
		waits(60*time.Second, 10*time.Second)
		cancel()
		<-done
	})
}

// renewLog is a standard error of which what is new is taken.
type renewLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *renewLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *renewLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// TestSubscribeNotRenewed: the gateway refuses a new token. The subscriptions go on, and a new
// one is shown later.
func TestSubscribeNotRenewed(t *testing.T) {
	t.Parallel() // it waits most of the time
	shown := make(chan string, 2)
	url := scripted(t, func(conn net.Conn, in *bufio.Reader) {
		say := func(text string) { _ = wsutil.WriteServerText(conn, []byte(text)) }
		textOf(in)
		say(`{"type":"welcome","client":"1","ping_interval_ms":25000,"user":"alice","expires_in_ms":60000,"refresh_in_ms":10}`)
		shown <- textOf(in)
		say(`{"type":"error","id":1099511627776,"code":"token_invalid","message":"the signature is wrong"}`)
		say(`{"type":"event","channel":"news","offset":1,"data":"still here"}`)
		shown <- textOf(in)
		say(`{"type":"authenticated","id":1099511627776,"user":"alice","expires_in_ms":60000}`)
		say(`{"type":"event","channel":"news","offset":2,"data":"and here"}`)
		textOf(in)
	})
	prints, _ := printsTokens(t, "t1", "t2", "t3")
	c := start(t, nil, "subscribe", "--data", "--url="+url, "--token-command="+prints, "news")
	c.err.await(t, "the gateway refuses the new token: token_invalid: the signature is wrong")
	c.out.await(t, "still here")
	c.out.await(t, "and here")
	for _, want := range []string{"t2", "t3"} {
		if got := <-shown; !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("it shows %s, want %s", got, want)
		}
	}
	c.stop()
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d: %s", code, c.err)
	}
}

// TestSubscribeWarns of a token that others can read: here, and on the way. Each is told once,
// however often it connects.
func TestSubscribeWarns(t *testing.T) {
	path := fileWith(t, "token", "abc")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	c := start(t, nil, "subscribe", "--url=ws://gateway.invalid/ws", "--token=file:"+path, "news")
	c.err.await(t, "(?s)connecting again.*connecting again")
	c.stop()
	c.wait(t)
	for _, want := range []string{"the token goes to gateway.invalid in clear text", "can read the file with the token, " + path} {
		if n := strings.Count(c.err.String(), want); n != 1 {
			t.Errorf("%q is said %d times: %s", want, n, c.err)
		}
	}
}
