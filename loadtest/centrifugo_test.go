package loadtest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest"
)

// fakeCentrifugo speaks as much of Centrifugo's JSON protocol as its profile does.
type fakeCentrifugo struct {
	clients net.Listener
	api     *httptest.Server
	// answer says what the HTTP API answers to request n, counted from 1; an
	// empty body means success, and the event goes out.
	answer func(n int) (status int, body string)

	redirect string // where requests below /moved are sent to

	mu          sync.Mutex
	requests    int
	bytes       int // of frames with an event, each once
	pongs       int
	subscribers map[string][]net.Conn // by channel

	history  bool                    // it is kept, and clients recover from it
	misleads func(*centrifugoAnswer) // changes what those are told who recover; nil: nothing does
	kept     map[string][]json.RawMessage
}

const centrifugoPath = "/connection/websocket"

func startCentrifugo(t *testing.T, answer func(n int) (int, string)) (*fakeCentrifugo, loadtest.Common) {
	t.Helper()
	f := &fakeCentrifugo{answer: answer, subscribers: make(map[string][]net.Conn), kept: make(map[string][]json.RawMessage)}
	var err error
	if f.clients, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.clients.Close() })
	go accept(f.clients, f.serveClient)
	f.api = httptest.NewServer(http.HandlerFunc(f.publish))
	t.Cleanup(f.api.Close)
	return f, loadtest.Common{
		URL: "ws://" + f.clients.Addr().String(), Publish: f.api.URL, Profile: "centrifugo",
		PID: loadtest.NoProcess, Settle: time.Millisecond, Stall: 2 * time.Second,
	}
}

func (f *fakeCentrifugo) serveClient(conn net.Conn) {
	peeked := peekedConn{conn, bufio.NewReader(conn)}
	if first, err := peeked.in.Peek(len(http.MethodPost)); err == nil && string(first) == http.MethodPost {
		f.serveAPI(conn, peeked.in)
		return
	}
	if upgrade(peeked, centrifugoPath) {
		readMessages(peeked, func(m websocket.Message) { f.take(conn, m.Payload) })
	}
}

// peekedConn is a connection of which something has been read ahead.
type peekedConn struct {
	net.Conn
	in *bufio.Reader
}

func (c peekedConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// serveAPI serves requests to the API on the clients' port.
func (f *fakeCentrifugo) serveAPI(conn net.Conn, in *bufio.Reader) {
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		answer := httptest.NewRecorder()
		f.publish(answer, request)
		response := answer.Result()
		response.ContentLength = int64(answer.Body.Len())
		if response.Write(conn) != nil {
			return
		}
	}
}

func (f *fakeCentrifugo) take(conn net.Conn, message []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if string(message) == "{}" {
		f.pongs++
		return
	}
	var command struct {
		ID        int
		Connect   *struct{}
		Subscribe *centrifugoSubscribe
	}
	if err := json.Unmarshal(message, &command); err != nil {
		conn.Close()
		return
	}
	switch {
	case command.Connect != nil:
		conn.Write(text(fmt.Appendf(nil, `{"id":%d,"connect":{"client":"x","version":"5","ping":25,"pong":true}}`, command.ID)))
	case command.Subscribe != nil:
		channel := command.Subscribe.Channel
		f.subscribers[channel] = append(f.subscribers[channel], conn)
		// With a line that is no business of the client's.
		conn.Write(text(fmt.Appendf(nil, `{"id":%d,"subscribe":%s}`+"\n"+`{"push":{"channel":%q,"join":{}}}`+"\n", command.ID, f.answerTo(command.Subscribe), channel)))
	}
}

// publish is the HTTP API. Every tenth event comes with a ping.
func (f *fakeCentrifugo) publish(w http.ResponseWriter, r *http.Request) {
	if f.redirect != "" && strings.HasPrefix(r.URL.Path, "/moved/") {
		http.Redirect(w, r, f.redirect, http.StatusTemporaryRedirect)
		return
	}
	body, err := io.ReadAll(r.Body)
	var event struct {
		Channel string
		Data    json.RawMessage
	}
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if err != nil || r.URL.Path != "/api/publish" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "not a request of the profile's", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if status, refusal := f.answer(f.requests); refusal != "" {
		w.WriteHeader(status)
		io.WriteString(w, refusal)
		return
	}
	frame := fmt.Appendf(nil, `{"push":{"channel":%q,"pub":{"data":%s}}}`, event.Channel, event.Data)
	if f.history {
		f.kept[event.Channel] = append(f.kept[event.Channel], event.Data)
		frame = fmt.Appendf(nil, `{"push":{"channel":%q,"pub":{"data":%s,"offset":%d}}}`, event.Channel, event.Data, len(f.kept[event.Channel]))
	}
	if f.requests%10 == 0 {
		frame = append(frame, "\n{}"...)
	}
	f.bytes += len(frame)
	for _, conn := range f.subscribers[event.Channel] {
		conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		conn.Write(text(frame))
	}
	io.WriteString(w, `{"result":{}}`)
}

func accepted(int) (int, string) { return http.StatusOK, "" }

func TestCentrifugo(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*loadtest.Fanout)
		events int64
	}{
		"window":   {func(*loadtest.Fanout) {}, 100},
		"rate":     {func(f *loadtest.Fanout) { f.Rate, f.Duration = 500, 200*time.Millisecond }, 100},
		"channels": {func(f *loadtest.Fanout) { f.Channels, f.Loops = 3, 2 }, 100},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, common := startCentrifugo(t, accepted)
			f := loadtest.Fanout{Common: common, Clients: 6, Traffic: loadtest.Traffic{Events: 100, Window: 8}}
			c.change(&f)
			r := scenario(t, loadtest.RunFanout, f)
			delivered := c.events * 6
			if f.Channels == 3 {
				delivered = c.events * 2
			}
			check(t, r, counts{clients: 6, delivered: delivered})
			fake.mu.Lock()
			defer fake.mu.Unlock()
			if mean := float64(fake.bytes) / float64(c.events); math.Abs(r.Detail.FramePayloadBytes-mean) > 1e-9 && f.Channels != 3 {
				t.Errorf("frames have %v bytes, want %v, other lines in them included", r.Detail.FramePayloadBytes, mean)
			}
			if pongs := int(delivered) / 10; fake.pongs != pongs {
				t.Errorf("%d pings were answered, want %d", fake.pongs, pongs)
			}
		})
	}
}

func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	every20 := func(status int, body string) func(int) (int, string) {
		return func(n int) (int, string) {
			if n%20 == 0 {
				return status, body
			}
			return http.StatusOK, ""
		}
	}
	cases := map[string]struct {
		answer func(int) (int, string)
		note   string
	}{
		"500":     {every20(http.StatusInternalServerError, "broken"), "500 Internal Server Error: broken"},
		"401":     {every20(http.StatusUnauthorized, "no key"), "401 Unauthorized: no key"},
		"refusal": {every20(http.StatusOK, `{"error":{"code":102,"message":"unknown channel"}}`), "refused: 102: unknown channel"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, common := startCentrifugo(t, c.answer)
			r := scenario(t, loadtest.RunFanout, loadtest.Fanout{
				Common: common, Clients: 6, Traffic: loadtest.Traffic{Events: 101, Window: 8},
			})
			check(t, r, counts{clients: 6, delivered: 6 * 96})
			if r.Detail.Rejected != 5 {
				t.Errorf("%d rejected", r.Detail.Rejected)
			}
			noted(t, r, c.note)
		})
	}
}

// The server's refusal of a subscription reaches the reader.
func TestCentrifugoRefusesSubscription(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go accept(l, func(conn net.Conn) {
		if !upgrade(conn, centrifugoPath) {
			return
		}
		readMessages(conn, func(m websocket.Message) {
			if bytes.Contains(m.Payload, []byte("connect")) {
				conn.Write(text([]byte(`{"id":1,"connect":{}}`)))
				return
			}
			conn.Write(text([]byte(`{"id":2,"error":{"code":103,"message":"permission denied"}}`)))
		})
	})
	_, err = loadtest.RunConnect(t.Context(), loadtest.Connect{
		Common:  loadtest.Common{URL: "ws://" + l.Addr().String(), Profile: "centrifugo", PID: loadtest.NoProcess},
		Clients: 3,
	})
	expectError(t, "refused", err, "the server refused: 103: permission denied")
}
