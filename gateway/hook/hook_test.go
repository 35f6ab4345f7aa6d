package hook_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/stats"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

func TestMain(m *testing.M) {
	testrun.Waiting()
	os.Exit(m.Run())
}

// logged is what a hook logs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// options are those of a hook at url, with time enough for a busy machine.
func options(url string) (hook.Options, *logged) {
	o, log := hook.DefaultOptions(), new(logged)
	o.Name, o.URL, o.Timeout = "connect", url, patience
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	return o, log
}

func newHook(t testing.TB, o hook.Options) *hook.Hook {
	t.Helper()
	h, err := hook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// serve starts a server and returns a hook that asks it.
func serve(t testing.TB, handler http.HandlerFunc) (*hook.Hook, *logged) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o, log := options(server.URL + "/hook")
	return newHook(t, o), log
}

// serveWith is serve with other options than the usual.
func serveWith(t testing.TB, handler http.HandlerFunc, set func(*hook.Options)) *hook.Hook {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o, _ := options(server.URL + "/hook")
	set(&o)
	return newHook(t, o)
}

// answers answers every request alike.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// reasonOf is the reason of a refusal, or "allowed".
func reasonOf(o hook.Outcome) string {
	switch {
	case o.Allowed && o.Refusal == nil:
		return "allowed"
	case o.Allowed || o.Refusal == nil || o.Identity != nil:
		return fmt.Sprintf("contradiction: %+v", o)
	}
	return o.Refusal.Reason
}

var client = hook.ConnectRequest{
	Client: netip.MustParseAddrPort("[::ffff:203.0.113.7]:5123"), Host: "ws.example.com", Origin: "https://example.com",
	Path: "/ws", Query: "room=7&x=\xff", Token: "the-token",
	Header: http.Header{
		"Cookie": {"a=1", "b=2"}, "User-Agent": {"browser"}, "Accept-Language": {"de", "en"}, "X-Secret": {"not-for-the-hook"},
		"X-Bad": {"a\r\nInjected: 1"}, "Authorization": {"Bearer the-token"},
	},
}

// TestConnectRequest compares everything that a server gets with what it is to get.
func TestConnectRequest(t *testing.T) {
	t.Parallel()
	var got map[string]any
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != http.MethodPost || r.URL.String() != "/hook?key=k" || r.Proto != "HTTP/1.1" {
			t.Errorf("%s %s %s: %v", r.Method, r.URL, r.Proto, err)
		}
		_, _ = io.WriteString(w, `{"user":"alice","grants":{"subscribe":["chat.a"]},"subscriptions":["news"],"expires_in_ms":60000}`)
	}))
	t.Cleanup(server.Close)
	o, _ := options(server.URL + "/hook?key=k")
	o.Gateway, o.Forward, o.Header = "edge-1", []string{"cookie", "User-Agent", "Accept-Language", "X-Bad", "X-Absent"}, http.Header{"authorization": {"Bearer own"}}
	before := time.Now().Unix()
	outcome := newHook(t, o).Connect(t.Context(), client)
	after := time.Now().Unix()

	if reasonOf(outcome) != "allowed" || outcome.Identity.User != "alice" || outcome.Identity.Grants.Text() != `{"subscribe":["chat.a"],"auto":["news"]}` {
		t.Errorf("%+v", outcome)
	}
	if e := outcome.Expires; e < before+60 || e > after+61 || e != outcome.Identity.Expires {
		t.Errorf("expires at %d, asked from %d to %d", e, before, after)
	}
	want := map[string]any{
		"version": 1.0, "type": "connect", "gateway": "edge-1", "address": "203.0.113.7", "port": 5123.0, "host": "ws.example.com",
		"origin": "https://example.com", "path": "/ws", "query": "room=7&x=\ufffd", "token": "the-token",
		"headers": map[string]any{"cookie": "a=1; b=2", "user-agent": "browser", "accept-language": "de, en"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the body is\n%v, want\n%v", got, want)
	}
	header.Del("Content-Length")
	wantHeader := http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/json"}, "Authorization": {"Bearer own"},
		"Cookie": {"a=1", "b=2"}, "User-Agent": {"browser"}, "Accept-Language": {"de", "en"},
	}
	if !reflect.DeepEqual(header, wantHeader) {
		t.Errorf("the header is\n%v, want\n%v", header, wantHeader)
	}
}

func TestSubscribeRequest(t *testing.T) {
	t.Parallel()
	var got map[string]any
	h, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		_, _ = io.WriteString(w, `{"allow":true,"expires_in_ms":1000}`)
	})
	outcome := h.Subscribe(t.Context(), hook.SubscribeRequest{
		Client: "5f0c", Address: netip.MustParseAddr("2001:db8::1"), User: "alice", Channel: "chat.lobby", Token: "sub-token",
	})
	if reasonOf(outcome) != "allowed" || outcome.Identity != nil || outcome.Expires < time.Now().Unix() {
		t.Errorf("%+v", outcome)
	}
	want := map[string]any{
		"version": 1.0, "type": "subscribe", "gateway": "", "client": "5f0c", "address": "2001:db8::1", "user": "alice", "channel": "chat.lobby", "token": "sub-token",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the body is\n%v, want\n%v", got, want)
	}
	if s := stats.SubscribeHook(h.Stats()); s.Requests["allowed"] != 1 || s.Seconds.Count != 1 {
		t.Errorf("counted %+v", s)
	}
	if outcome = h.Subscribe(t.Context(), hook.SubscribeRequest{}); reasonOf(outcome) != "allowed" || got["address"] != "" {
		t.Errorf("without anything: %+v, %v", outcome, got)
	}
}

// TestStatuses asks servers that answer with all kinds of statuses and bodies.
func TestStatuses(t *testing.T) {
	t.Parallel()
	const allow, refuse = `{"user":"alice"}`, `{"refuse":{"reason":"banned","message":"You are banned."}}`
	for _, test := range []struct {
		status    int
		body      string
		want      string
		temporary bool
	}{
		{200, allow, "allowed", false},
		{201, allow, "allowed", false},
		{200, refuse, "banned", false},
		{200, `{"refuse":{"reason":"moving","temporary":true}}`, "moving", true},
		{200, "", "hook_failed", true},
		{200, "{}", "hook_failed", true},
		{200, "<html>", "hook_failed", true},
		{204, "", "hook_failed", true},
		{300, allow, "hook_failed", true},
		{400, refuse, "hook_failed", true},
		{401, "", "hook_failed", true},
		{401, refuse, "banned", false},
		{401, `{"refuse":{}}`, "refused", false},
		{401, allow, "hook_failed", true},
		{401, `{"detail":"bad key"}`, "hook_failed", true},
		{403, "<html>", "hook_failed", true},
		{403, refuse, "banned", false},
		{403, strings.Repeat("x", 100_000), "hook_failed", true},
		{404, allow, "hook_failed", true},
		{407, refuse, "hook_failed", true},
		{429, refuse, "hook_failed", true},
		{500, allow, "hook_failed", true},
		{503, refuse, "hook_failed", true},
		{599, allow, "hook_failed", true},
		{777, allow, "hook_failed", true},
	} {
		h, log := serve(t, answers(test.status, test.body))
		outcome := h.Connect(t.Context(), client)
		if reasonOf(outcome) != test.want || outcome.Refusal != nil && outcome.Refusal.Temporary != test.temporary {
			t.Errorf("%d %.40s: %+v, %+v", test.status, test.body, outcome, outcome.Refusal)
		}
		counted := test.want
		if !strings.HasPrefix(counted, "hook_") && counted != "allowed" {
			counted = "refused"
		}
		if s := h.Stats(); s.Requests[counted] != 1 || s.Seconds.Count != 1 || s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("%d: counted %+v", test.status, s)
		}
		if lines := strings.Count(log.String(), "\n"); (lines == 1) != (test.want == "hook_failed") {
			t.Errorf("%d: logs %s", test.status, log)
		}
		ofSecret := test.want == "hook_failed" && (test.status == 401 || test.status == 403)
		if strings.Contains(log.String(), "is the gateway's secret right?") != ofSecret {
			t.Errorf("%d: logs %s", test.status, log)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "4000000000": time.Minute, "99999999999999": 0, "3600": time.Minute, "-1": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0,
	} {
		h, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		if outcome := h.Connect(t.Context(), client); outcome.Refusal == nil || outcome.Refusal.RetryAfter != want {
			t.Errorf("%q: %+v, want %v", value, outcome.Refusal, want)
		}
	}
}

// TestRedirects sees that neither the token nor the secret goes where a server points.
func TestRedirects(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server is asked: %s %s", r.Method, r.URL)
		_, _ = io.WriteString(w, `{"user":"root"}`)
	}))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		h, log := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		if outcome := h.Connect(t.Context(), client); reasonOf(outcome) != "hook_failed" || !strings.Contains(log.String(), "redirects are not followed") {
			t.Errorf("%d: %+v, %s", status, outcome, log)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("the server is asked by %s", r.Proto)
		}
		answers(200, `{"user":"alice"}`)(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, url, roots, want, log string }{
		{"with its root", server.URL, roots, "allowed", ""},
		{"with the system's roots", server.URL, "", "hook_failed", "certificate signed by unknown authority"},
		{"by another name", strings.Replace(server.URL, "127.0.0.1", "localhost", 1), roots, "hook_failed", "certificate is valid for"},
		{"in plain text", strings.Replace(server.URL, "https:", "http:", 1), "", "hook_failed", "status 400"},
	} {
		o, log := options(test.url)
		o.RootFile = test.roots
		h := newHook(t, o)
		if outcome := h.Connect(t.Context(), client); reasonOf(outcome) != test.want || !strings.Contains(log.String(), test.log) {
			t.Errorf("%s: %+v, %s", test.name, outcome, log)
		}
	}
}

// TestDown asks where nothing listens.
func TestDown(t *testing.T) {
	t.Parallel()
	o, log := options("http://" + testrun.FreeAddress(t))
	o.Breaker.Window, o.Breaker.Rest = time.Hour, time.Hour
	h := newHook(t, o)
	for i := range 30 {
		want := "hook_failed"
		if i >= o.Breaker.AtLeast {
			want = "hook_open"
		}
		outcome := h.Connect(t.Context(), client)
		if reasonOf(outcome) != want || !outcome.Refusal.Temporary {
			t.Fatalf("call %d: %+v", i, outcome.Refusal)
		}
		if left := outcome.Refusal.RetryAfter; want == "hook_open" && (left < time.Second || left > o.Breaker.Rest) {
			t.Errorf("to come back in %v", left)
		}
	}
	if s := h.Stats(); s.Requests["hook_failed"] != 10 || s.Requests["hook_open"] != 20 || s.Open != 1 || s.Opened != 1 || s.Seconds.Count != 10 {
		t.Errorf("counted %+v", s)
	}
	if text := log.String(); strings.Count(text, "\n") != strings.Count(text, "connection refused") || strings.Count(text, "a hook fails and is not asked for now") != 1 {
		t.Errorf("logs\n%s", text)
	}
}

// TestLocalhost asks this machine by name.
func TestLocalhost(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(answers(200, `{"user":"alice"}`))
	t.Cleanup(server.Close)
	o, _ := options(strings.Replace(server.URL, "127.0.0.1", "LocalHost", 1))
	if outcome := newHook(t, o).Connect(t.Context(), client); reasonOf(outcome) != "allowed" {
		t.Errorf("%+v", outcome.Refusal)
	}
}
