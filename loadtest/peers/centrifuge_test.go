package peers

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestCentrifuge(t *testing.T) {
	t.Parallel()
	address := start(t, filepath.Join(bin, "centrifuge"))
	var clients []client
	for range 3 {
		clients = append(clients, subscribe(t, address, "news"))
	}
	other := subscribe(t, address, "other")
	for i := range 100 {
		post(t, address, fmt.Sprintf(`{"channel":"news","data":{"n":%d}}`, i), http.StatusOK, `{"result":{}}`)
	}
	post(t, address, `{"channel":"other","data":{}}`, http.StatusOK, `{"result":{}}`)
	for _, c := range clients {
		// Several messages may share a frame, a line each.
		var lines []string
		for len(lines) < 100 {
			lines = append(lines, strings.Split(strings.TrimSpace(c.read()), "\n")...)
		}
		for i, line := range lines {
			if want := fmt.Sprintf(`{"push":{"channel":"news","pub":{"data":{"n":%d}}}}`, i); line != want {
				t.Fatalf("message %d is %s, want %s", i, line, want)
			}
		}
	}
	other.expect(`{"push":{"channel":"other","pub":{"data":{}}}}`)
}

func TestCentrifugeRefusesRequests(t *testing.T) {
	t.Parallel()
	address := start(t, filepath.Join(bin, "centrifuge"))
	post(t, address, `{"channel":"news"}`, http.StatusBadRequest, "channel and data are required\n")
	post(t, address, `{"data":1}`, http.StatusBadRequest, "channel and data are required\n")
	post(t, address, `{`, http.StatusBadRequest, "unexpected EOF\n")
}

// subscribe connects a client and subscribes it to one channel.
func subscribe(t *testing.T, address, channel string) client {
	t.Helper()
	c := dial(t, "ws://"+address+"/connection/websocket")
	c.send(websocket.MessageText, `{"id":1,"connect":{}}`)
	if got := c.read(); !strings.HasPrefix(got, `{"id":1,"connect":{`) {
		t.Fatalf("connect was answered by %s", got)
	}
	c.send(websocket.MessageText, fmt.Sprintf(`{"id":2,"subscribe":{"channel":%q}}`, channel))
	c.expect(`{"id":2,"subscribe":{}}`)
	return c
}

// post publishes and checks the answer.
func post(t *testing.T, address, body string, status int, want string) {
	t.Helper()
	response, err := http.Post("http://"+address+"/api/publish", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || string(answer) != want {
		t.Fatalf("%s was answered by %d %q (%v), want %d %q", body, response.StatusCode, answer, err, status, want)
	}
}
