package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
	"fleetcast/gateway/publisher"
)

// brief makes the deadline of messages and requests short.
func brief(timeout time.Duration) func(*gateway.Config) {
	return func(c *gateway.Config) { c.MessageTimeout = timeout }
}

// TestUnfinishedMessages has clients that answer pings and never complete a message:
// each is closed in time, while one that goes on slowly is not.
func TestUnfinishedMessages(t *testing.T) {
	t.Parallel() // it waits most of the time
	const timeout = 400 * time.Millisecond
	s := start(t, brief(timeout), noRates)
	text := clientFrame(ws.OpText, true, `{"type":"ping"}`)
	half := map[string]string{
		"half a header":             text[:1],
		"half a payload":            text[:10],
		"a fragment":                clientFrame(ws.OpText, false, "x"),
		"a fragment, and pings":     clientFrame(ws.OpText, false, "x") + clientFrame(ws.OpPong, true, ""),
		"behind a whole message":    text + text[:10],
		"half a ping in a fragment": clientFrame(ws.OpText, false, "") + clientFrame(ws.OpPing, true, "abc")[:4],
	}
	for name, bytes := range half {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.connect()
			began := time.Now()
			p.sends(bytes)
			f := p.frame()
			for f.Header.OpCode != ws.OpClose {
				f = p.frame() // the answer to what was whole
			}
			code, reason := ws.ParseCloseFrameData(f.Payload)
			if code != ws.StatusPolicyViolation || reason != "message unfinished for too long" {
				t.Errorf("closed with %d %q", code, reason)
			}
			if took := time.Since(began); took < timeout {
				t.Errorf("closed after %v", took)
			}
		})
	}
	t.Run("messages that follow each other", func(t *testing.T) {
		t.Parallel()
		const timeout = 3 * time.Second // more than a busy machine takes for one of them
		p := start(t, func(c *gateway.Config) { c.MessageTimeout = timeout }).connect()
		p.sends(text[:5])
		for began := time.Now(); time.Since(began) < timeout*3/2; {
			time.Sleep(timeout / 50)     // there are to be some, not many
			p.sends(text[5:] + text[:5]) // there is always half a message
			p.wants(`{"type":"pong"}`)
		}
		p.sends(text[5:])
		p.wants(`{"type":"pong"}`)
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		p := s.connect()
		time.Sleep(2 * timeout) // nothing is to happen
		p.says(`{"type":"ping"}`)
		p.wants(`{"type":"pong"}`)
	})
}

// TestUnfinishedMessagesAreBounded has clients hold more with half messages than all
// may: some are closed, the rest stays, and what is whole is served.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	t.Parallel() // it waits most of the time
	const limit, clients = 2 << 20, 100
	s := start(t, func(c *gateway.Config) { c.InputMemory, c.Shards = limit, 2 })
	half := clientFrame(ws.OpText, true, strings.Repeat("x", 60<<10))
	half = half[:len(half)-1]
	for range clients {
		p := s.connect()
		p.sends(half)
		go io.Copy(io.Discard, p.in)
	}
	stats := s.eventually("closes", func(g gateway.GatewayStats) bool {
		return g.Total.BytesIn >= clients*uint64(len(half)) && g.ClientInput <= limit
	})
	closed := clients - stats.Total.Clients
	if closed < clients/2 || closed > clients-15 || stats.ClientInput < limit/2 {
		t.Errorf("%d clients were closed, the others hold %d bytes", closed, stats.ClientInput)
	}
	p := s.connect()
	p.says(`{"type":"ping","x":"` + strings.Repeat("x", 60<<10) + `"}`)
	p.wants(`{"type":"pong"}`)

	// Requests for a handshake are input too.
	for range 400 {
		s.dialRaw().sends("GET /ws HTTP/1.1\r\nX: " + strings.Repeat("x", 7<<10))
	}
	s.eventually("refused handshakes", func(g gateway.GatewayStats) bool {
		return g.Total.HandshakeFailures["input_full"] > 0 && g.ClientInput <= limit
	})
	s.eventually("the ends", func(g gateway.GatewayStats) bool { return g.Total.Disconnects["input_full"] >= uint64(closed) })
}

// TestUnfinishedRequests has publishers that send nothing, or never complete a
// request: each is told, and ended. Idle ones stay.
func TestUnfinishedRequests(t *testing.T) {
	t.Parallel() // it waits most of the time
	const timeout = 400 * time.Millisecond
	s := start(t, brief(timeout))
	const unfinished = `the request was not complete after 400ms`
	for name, test := range map[string]struct{ sent, answer string }{
		"nothing":         {"", "-ERR nothing was sent in 400ms\r\n"},
		"half a line":     {`{"channel":`, `{"line":1,"error":{"code":"not_available","message":"` + unfinished + `"}}` + "\n"},
		"a second line":   {`{"channel":"a","data":1}` + "\n{", `{"line":2,"error":{"code":"not_available","message":"` + unfinished + `"}}` + "\n"},
		"half an array":   {"*3\r\n$7\r\nPUBLISH\r\n", "-ERR " + unfinished + "\r\n"},
		"half an inline":  {"PUBL", "-ERR " + unfinished + "\r\n"},
		"a half bulk":     {"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$5000\r\nxxx", "-ERR " + unfinished + "\r\n"},
		"only the array":  {"*", "-ERR " + unfinished + "\r\n"},
		"half and blanks": {" \n\n{", `{"line":3,"error":{"code":"not_available","message":"` + unfinished + `"}}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.publisher()
			began := time.Now()
			p.sends(test.sent)
			p.receives(test.answer)
			p.ends()
			if took := time.Since(began); took < timeout {
				t.Errorf("ended after %v", took)
			}
		})
	}
	for name, greeting := range map[string]struct{ sent, answer string }{
		"has published":    {`{"id":1,"channel":"a","data":1}` + "\n", ""},
		"says a command":   {"PING\r\n", "+PONG\r\n"},
		"only a blank":     {"\n", ""},
		"a setup of Redis": {"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.publisher()
			p.sends(greeting.sent)
			p.receives(greeting.answer)
			time.Sleep(3 * timeout) // nothing is to happen
			if name == "has published" || name == "only a blank" {
				if name == "has published" {
					p.line()
				}
				p.publishes("a", "1")
				return
			}
			p.sends("PING\r\n")
			answer := ""
			for !strings.HasSuffix(answer, "PONG\r\n") {
				b, err := p.in.ReadByte()
				if err != nil {
					t.Fatalf("received %q: %v", answer, err)
				}
				answer += string(b)
			}
		})
	}
	t.Run("the Go client", func(t *testing.T) {
		t.Parallel()
		client, err := publisher.Dial(t.Context(), s.publishAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		time.Sleep(3 * timeout) // it has nothing to say
		if err := client.Send(t.Context(), "a", []byte("1")); err != nil {
			t.Error(err)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestPlacesOfPublishers fills the places: those that have published nothing make
// room, those that have stay, whatever they do meanwhile.
func TestPlacesOfPublishers(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxPublishers = 20 })
	working := s.publisher()
	working.publishes("news", "1")
	var silent []*peer
	for i := range 40 {
		p := s.publisher()
		if i%2 == 0 {
			p.sends("PING\r\n") // which is no reason to stay
			p.receives("+PONG\r\n")
		}
		silent = append(silent, p)
	}
	for range 30 {
		p := s.publisher()
		p.publishes("news", "1")
		p.Close()
	}
	working.publishes("news", "1")
	stats := s.stats().Publish
	if stats.Ended["replaced"] < 21 || stats.Refused["full"] != 0 || stats.Publishers > 21 {
		t.Errorf("the counters are %+v", stats)
	}
	// Whoever came first has gone first, and was told.
	if _, err := io.ReadAll(silent[0].in); err != nil {
		t.Errorf("the first ended with %v", err)
	}
	// Those that have published a short time ago do not give their places.
	for i := range 20 {
		p := s.publisher()
		p.sends(fmt.Sprintf(`{"id":1,"channel":"news","data":%d}`+"\n", i))
		p.line()
	}
	late := s.publisher()
	late.receives("-ERR max number of clients reached\r\n")
	late.ends()
	working.publishes("news", "1")
}

// TestUnfinishedRequestsAreBounded has publishers hold more with half requests than
// all may.
func TestUnfinishedRequestsAreBounded(t *testing.T) {
	const limit, publishers = 2 << 20, 60
	s := start(t, func(c *gateway.Config) { c.InputMemory = limit })
	for range publishers {
		p := s.publisher()
		p.sends(`{"channel":"a","data":"` + strings.Repeat("x", 60<<10))
	}
	stats := s.eventually("ends", func(g gateway.GatewayStats) bool {
		return g.Publish.BytesIn > publishers*60<<10 && g.Publish.InputBytes <= limit
	})
	if n := stats.Publish.Ended["input_full"]; n < publishers/3 || n == publishers {
		t.Errorf("%d of %d were ended", n, publishers)
	}
	s.publish("news", "1")
}
