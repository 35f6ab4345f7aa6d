package gateway_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// witness keeps what a gateway logs, at every level. When the test ends, it looks for the
// secrets that it was told of. Any goroutine may write to it.
type witness struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
}

// newWitness makes a witness that judges when the test ends.
func newWitness(tb testing.TB) *witness {
	w := new(witness)
	tb.Cleanup(func() {
		log := w.logged()
		for _, secret := range w.secrets {
			if strings.Contains(log, secret) {
				tb.Errorf("a secret is in the log:\n%s", log)
			}
		}
	})
	return w
}

// Write implements io.Writer.
func (w *witness) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

// logged is everything until now.
func (w *witness) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// hides tells the witness of secrets. The first bytes of a key are enough to know it by.
func (w *witness) hides(secrets ...string) {
	for _, s := range secrets {
		w.secrets = append(w.secrets, s[:min(len(s), 16)])
	}
}

// key makes a key, which no log may show.
func (w *witness) key(name string, channels ...string) (text string, key gateway.Key) {
	text = keys.New()
	w.hides(text)
	return text, gateway.Key{Name: name, Digest: keys.DigestOf([]byte(text)), Channels: channels}
}

// operatorKey is key for an operator.
func (w *witness) operatorKey(name string, scope keys.Scope) (text string, key gateway.Key) {
	text, key = w.key(name)
	key.Scope = scope
	return text, key
}

// startSeen is start with a witness of the log, and the configuration to change later.
func startSeen(t *testing.T, w *witness, set ...func(*gateway.Config)) (*server, *gateway.Config) {
	t.Helper()
	config := gateway.DefaultConfig(10_000)
	config.Shards = 1
	config.ConnectionLog = 1000
	for _, f := range set {
		f(&config)
	}
	g, err := gateway.New(config, slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatalf("starting a gateway: %v", err)
	}
	return run(t, g), &config
}

// TestSecretsInLogs: keys where they do not belong, in names, commands and paths, are in no
// log.
func TestSecretsInLogs(t *testing.T) {
	w := newWitness(t)
	text, k := w.key("upstream", "**")
	adminText, admin := w.operatorKey("ops", keys.Write)
	s, _ := startSeen(t, w, func(c *gateway.Config) {
		c.PublishKeys, c.AdminKeys = []gateway.Key{k}, []gateway.Key{admin}
		c.PublisherCredits = 1 // so that it waits, and is named
	})
	for _, line := range []string{
		`{"auth":"` + text + `x"}`, `{"auth":` + text + `}`, `{"` + text + `":1}`, text, `{"auth":"` + text + `","channel":"a","data":1}`, "AUTH x" + text, "AUTH " + text + " " + text,
		"POST /" + text + " HTTP/1.1", "\x16\x03\x01" + text,
	} {
		p := s.publisher()
		p.sends(line + "\r\n")
		p.CloseWrite()
		p.Close()
	}
	p := s.publisher()
	p.sends(array("AUTH", text) + array("CLIENT", "SETNAME", text) + array("CLIENT", "SETINFO", "lib-name", text) + array("AUHT", text) +
		array("PUBLISH", text, "\xff") + array("PUBLISH", text+" ", "1") + array("CONFIG", "SET", text) + array("PUBLISH", "a", `"`+text+`"`))
	p.receives("+OK\r\n+OK\r\n+OK\r\n-ERR unknown command")
	o := s.operator()
	for _, header := range []string{"Authorization: Bearer " + text, "Authorization: Bearer " + adminText, "Authorization: Basic " + adminText, "X-Key: " + text} {
		for _, path := range []string{"/api/" + adminText, "/api/clients/" + adminText, "/api/stats?key=" + adminText, "/" + adminText, "/debug/pprof/" + adminText} {
			if reply := o.call("GET", path, "", header); strings.Contains(reply.header.Get("WWW-Authenticate"), "fck_") {
				t.Errorf("%s is answered with %v", path, reply)
			}
		}
		for _, body := range []string{`{"reason":"` + text + `"}`, `{"` + text + `":1}`, text} {
			o.call("POST", "/api/publishers/999/disconnect", body, header, jsonType)
			o.call("POST", "/api/publish", body, header, jsonType)
		}
	}
	o.call("POST", fmt.Sprintf("/api/publishers/%d/disconnect", 10), `{"reason":"`+text+`"}`, "Authorization: Bearer "+adminText, jsonType)
	metrics := o.call("GET", "/metrics", "", "Authorization: Bearer "+adminText)
	if metrics.status != 200 || strings.Contains(metrics.body, "fck_") {
		t.Errorf("/metrics answers %d, or shows a key", metrics.status)
	}
	s.Close()
	s.awaitEnd() // it logs the rest
	if log := w.logged(); !strings.Contains(log, "requests to publish were refused") || !strings.Contains(log, "publisher connected") {
		t.Errorf("the log has not been captured:\n%s", log)
	}
}
