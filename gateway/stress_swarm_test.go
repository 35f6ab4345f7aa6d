package gateway_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/poller"
)

// scaled is n, or a fraction of it where everything is slow: under the race
// detector or in short mode.
func scaled(n, fraction int) int {
	if raceDetected() || testing.Short() {
		return n / fraction
	}
	return n
}

func raceDetected() bool {
	info, _ := debug.ReadBuildInfo()
	for _, setting := range info.Settings {
		if setting.Key == "-race" {
			return setting.Value == "true"
		}
	}
	return false
}

// until waits for a condition.
func until(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-poll.C {
		if time.Now().After(deadline) {
			tb.Fatalf("%s does not come about", what)
		}
	}
}

// nextFrame reads a frame of up to 1 MiB.
func nextFrame(in *bufio.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(in); err != nil {
		return f, err
	}
	if f.Header.Length > 1<<20 {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(in, f.Payload)
	return f, err
}

// greeting is what a client of a swarm sends first: its handshake and, in the
// same write, its subscription. fields are added to its handshake.
func greeting(channel, fields string) []byte {
	return websocket.AppendMaskedFrame([]byte(head+fields+"\r\n"), ws.OpText,
		command.AppendSubscribe(nil, command.ID{}, channel), [4]byte{1, 2, 3, 4})
}

// swarm is a crowd of subscribers on one loop.
type swarm struct {
	loop    *poller.Loop
	tasks   *poller.Mailbox[func()]
	addr    netip.AddrPort
	hello   []byte
	clients []*swarmClient // the loop's

	// received is given, on the loop, the bytes behind the reply to the
	// subscription.
	received func(c *swarmClient, p []byte)

	subscribed atomic.Int64
	gone       atomic.Int64
}

type swarmClient struct {
	poller.Conn
	swarm      *swarm
	subscribed bool
	taken      int // bytes received behind the reply
}

func newSwarm(addr netip.AddrPort, channel string) (*swarm, error) {
	s := &swarm{tasks: poller.NewMailbox[func()](), addr: addr, hello: greeting(channel, "")}
	s.received = func(c *swarmClient, p []byte) { c.taken += len(p) }
	var err error
	s.loop, err = poller.NewLoop(s, poller.LoopConfig{})
	return s, err
}

// offerDeflate has the clients to come offer compression, as browsers do.
func (s *swarm) offerDeflate(channel string) {
	s.hello = greeting(channel, "Sec-WebSocket-Extensions: "+browserOffer+"\r\n")
}

// talk has the clients to come compress with context: their subscription, and so
// many commands before it that are the larger by padding.
func (s *swarm) talk(channel string, commands, padding int) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	s.hello = []byte(head + "Sec-WebSocket-Extensions: " + browserOffer + "\r\n\r\n")
	say := func(message []byte) {
		out.Reset()
		w.Write(message)
		w.Flush()
		payload := bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff"))
		start := len(s.hello)
		s.hello = websocket.AppendMaskedFrame(s.hello, ws.OpText, payload, [4]byte{1, 2, 3, 4})
		s.hello[start] |= 0x40 // compressed
	}
	for i := range commands {
		say(fmt.Appendf(nil, `{"type":"ping","id":%d,"padding":%q}`, i, strings.Repeat("x", padding)))
	}
	say(command.AppendSubscribe(nil, command.ID{}, channel))
}

// startSwarm runs a swarm until the test ends.
func startSwarm(tb testing.TB, addr netip.AddrPort, channel string) *swarm {
	tb.Helper()
	s, err := newSwarm(addr, channel)
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { s.loop.Run(); close(ended) }()
	tb.Cleanup(func() { s.loop.Stop(); <-ended })
	return s
}

func (s *swarm) Accepted(*poller.Listener, int)       {}
func (s *swarm) AcceptFailed(*poller.Listener, error) {}
func (s *swarm) Tick()                                {}
func (s *swarm) Pending() bool                        { return !s.tasks.Empty() }

func (s *swarm) Turn() bool {
	for {
		task, ok := s.tasks.Take()
		if !ok {
			return false
		}
		task()
	}
}

// post has the loop call f.
func (s *swarm) post(f func()) {
	s.tasks.Post(f)
	s.loop.Wake()
}

// dial adds n clients, at most some hundred at a time.
func (s *swarm) dial(n int) {
	s.post(func() {
		for range min(n, 250) {
			c := &swarmClient{swarm: s}
			if err := s.loop.Dial(&c.Conn, s.addr, netip.AddrPort{}, c); err != nil {
				panic(err)
			}
			s.clients = append(s.clients, c)
		}
	})
}

// grow adds n clients and waits until all are subscribed.
func (s *swarm) grow(n int, settled func(want int64)) {
	for want := s.subscribed.Load() + int64(n); n > 0; n -= 250 {
		s.dial(n)
		settled(want - int64(max(n-250, 0)))
	}
}

// drop ends every client: every second one with a reset, the others with a FIN.
func (s *swarm) drop() {
	s.post(func() {
		for i, c := range s.clients {
			if i%2 == 0 {
				c.Reset()
			}
			c.Close(nil)
		}
		s.clients = nil
	})
}

func (c *swarmClient) Connected() {
	if n, err := c.Send(c.swarm.hello); err != nil || n != len(c.swarm.hello) {
		c.Close(err)
	}
}

// Received expects the answers to the greeting in one piece, as they were sent.
func (c *swarmClient) Received(p []byte) {
	if !c.subscribed {
		i := bytes.Index(p, []byte(`{"type":"subscribed"`))
		if i < 0 {
			return
		}
		c.subscribed = true
		c.swarm.subscribed.Add(1)
		p = p[i+bytes.IndexByte(p[i:], '}')+1:]
	}
	if len(p) > 0 {
		c.swarm.received(c, p)
	}
}

func (c *swarmClient) PeerClosed()  { c.Close(nil) }
func (c *swarmClient) Writable()    {}
func (c *swarmClient) Swept()       {}
func (c *swarmClient) Closed(error) { c.swarm.gone.Add(1) }

// childEnv tells a copy of the test binary what to be.
const childEnv = "GATEWAY_STRESS_CHILD"

// TestStressChild is not a test: a test that needs another process runs this
// one function in it.
func TestStressChild(t *testing.T) {
	switch role := os.Getenv(childEnv); role {
	case "":
		t.Skip("this is the other process of other tests")
	case swarmPlain, swarmDeflating, swarmBrief, swarmTalkative:
		swarmChild(role)
	case "scarce":
		scarceChild(t)
	}
}
