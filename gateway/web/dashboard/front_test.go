package dashboard_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/publisher"
)

// object is any JSON object.
type object = map[string]any

// front is an admin port: that of a real gateway, with answers of its own where a
// test needs certain ones. Its methods may be called from any goroutine.
type front struct {
	url string

	mu      sync.Mutex
	admin   http.Handler
	change  func(stats object) // changes what /api/stats answers
	answers map[string]any     // by path; an error is a refusal with its text
	silent  bool               // /api/ ends connections
	posts   []string
	bare    bool // the gateway answers itself
}

// newFront serves g, without what depends on the machine's speed.
func newFront(t *testing.T, g *gateway.Gateway) *front {
	t.Helper()
	f := &front{admin: g.AdminHandler(gateway.Admin{Version: "1.2.3"}), answers: map[string]any{
		"/api/channels": object{"channels": []any{}}, "/api/laggards": object{"laggards": []any{}, "total": 0},
	}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// set changes the front.
func (f *front) set(change func(*front)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// posted returns the requests that would have changed something.
func (f *front) posted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.posts...)
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.silent && strings.HasPrefix(r.URL.Path, "/api/") {
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		f.posts = append(f.posts, fmt.Sprint(r.URL.EscapedPath(), " ", r.Header.Get("Content-Type"), " ", string(body), err))
	}
	answer, ok := f.answers[r.URL.Path]
	if refusal, bad := answer.(error); bad {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		answer = object{"error": object{"code": "not_available", "message": refusal.Error()}}
	}
	switch {
	case f.bare:
		f.admin.ServeHTTP(w, r)
	case ok:
		_ = json.NewEncoder(w).Encode(answer) // the page is gone if it fails
	case r.URL.Path == "/api/stats":
		f.serveStats(w, r)
	default:
		f.admin.ServeHTTP(w, r)
	}
}

func (f *front) serveStats(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	f.admin.ServeHTTP(answer, r)
	var stats object
	if err := json.Unmarshal(answer.Body.Bytes(), &stats); err != nil || answer.Code != http.StatusOK {
		http.Error(w, answer.Body.String(), http.StatusBadGateway)
		return
	}
	stats["ready"] = true
	stats["version"] = "v1.2.3"
	stats["started_at"] = "2026-01-02T03:04:05.678Z"
	stats["limits"] = object{"max_clients": 1000, "max_publishers": 100, "max_channels": 1000, "credits_bytes": 64 << 20, "backlog_bytes": 1 << 20, "backlog_memory_bytes": 1 << 30, "history_memory_bytes": 512 << 20}
	for _, part := range append([]any{stats["total"]}, stats["shards"].([]any)...) {
		part := part.(object)
		delete(part, "turn_seconds")
		delete(part, "publish_to_write_seconds")
		part["lagging"] = 0
	}
	if f.change != nil {
		f.change(stats)
	}
	_ = json.NewEncoder(w).Encode(stats) // the page is gone if it fails
}

func startGateway(t *testing.T) *gateway.Gateway {
	t.Helper()
	config := gateway.DefaultConfig(1000)
	config.Shards = 2
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatalf("starting a gateway: %v", err)
	}
	var running sync.WaitGroup
	running.Go(g.Run)
	t.Cleanup(func() {
		g.Close()
		running.Wait()
	})
	return g
}

// subscribe connects a client that is subscribed to channels.
func subscribe(t *testing.T, g *gateway.Gateway, channels ...string) *websocket.Conn {
	t.Helper()
	conn := connect(t, g)
	say(t, conn, object{"type": "subscribe", "channels": channels})
	for range channels {
		expect(t, conn, "subscribed")
	}
	return conn
}

// connect connects a client.
func connect(t *testing.T, g *gateway.Gateway) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+g.ClientAddrs()[0].String()+gateway.Path, nil)
	if err != nil {
		t.Fatalf("connecting a client: %v", err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	expect(t, conn, "welcome")
	return conn
}

// say sends a command.
func say(t *testing.T, conn *websocket.Conn, command object) {
	t.Helper()
	text, err := json.Marshal(command)
	if err == nil {
		err = conn.Write(t.Context(), websocket.MessageText, text)
	}
	if err != nil {
		t.Fatalf("sending %v: %v", command, err)
	}
}

// expect reads a message of the given type.
func expect(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	_, text, err := conn.Read(t.Context())
	var message struct{ Type string }
	if err == nil {
		err = json.Unmarshal(text, &message)
	}
	if err != nil || message.Type != want {
		t.Fatalf("received %q, error %v; want %s", text, err, want)
	}
}

// publisherOf connects a publisher.
func publisherOf(t *testing.T, g *gateway.Gateway) *publisher.Publisher {
	t.Helper()
	p, err := publisher.Dial(t.Context(), g.PublishAddrs()[0].String())
	if err != nil {
		t.Fatalf("connecting to publish: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
