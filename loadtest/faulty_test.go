package loadtest_test

import (
	"bufio"
	"net"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// faultyServer speaks both profiles and delivers as its fault says.
type faultyServer struct {
	clients net.Listener
	publish net.Listener
	raw     bool
	refuse  bool // answers subscriptions with an error
	reject  bool // answers events with an error
	fault   fault

	mu          sync.Mutex
	subscribers []*subscriber
	offsets     map[string]uint64
}

// fault returns the payloads that subscriber gets for the event with the given
// offset, whose payload is given. It runs under the server's lock.
type fault func(s *subscriber, offset uint64, payload []byte) [][]byte

type subscriber struct {
	conn    net.Conn
	number  int // in the order of subscribing
	channel string
	held    []byte // for a fault to keep something
}

func faithful(_ *subscriber, _ uint64, payload []byte) [][]byte { return [][]byte{payload} }

func startFaulty(t *testing.T, s *faultyServer) *faultyServer {
	t.Helper()
	s.offsets = make(map[string]uint64)
	for _, l := range []*net.Listener{&s.clients, &s.publish} {
		var err error
		if *l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*l).Close() })
	}
	go accept(s.clients, s.serveClient)
	go accept(s.publish, s.servePublisher)
	return s
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			serve(conn)
		}()
	}
}

func (s *faultyServer) url() string { return "ws://" + s.clients.Addr().String() + "/ws" }

func (s *faultyServer) serveClient(conn net.Conn) {
	buffer := make([]byte, 64<<10)
	n := 0
	for websocket.HeadLength(buffer[:n]) == 0 {
		more, err := conn.Read(buffer[n:])
		if err != nil {
			return
		}
		n += more
	}
	upgrader := websocket.Upgrader{Path: "/ws"}
	answer, _, err := upgrader.Upgrade(nil, buffer[:websocket.HeadLength(buffer[:n])])
	conn.Write(answer)
	if err != nil {
		return
	}
	if s.raw {
		s.subscribe(conn, "", nil)
	} else {
		conn.Write(text(command.AppendWelcome(nil, "test", 25000)))
	}
	s.readClient(conn, buffer)
}

func (s *faultyServer) readClient(conn net.Conn, buffer []byte) {
	var reader websocket.Reader
	config := websocket.ReaderConfig{MaxMessage: 64 << 10}
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		for b := buffer[:n]; len(b) > 0; {
			message, took, ok, err := reader.Next(b, &config)
			if err != nil {
				return
			}
			b = b[took:]
			if ok {
				s.takeMessage(conn, message.Payload)
				reader.Recycle()
			}
		}
	}
}

func (s *faultyServer) takeMessage(conn net.Conn, payload []byte) {
	if s.raw {
		if len(payload) > 0 && payload[0] == 'P' {
			s.broadcast("", func(uint64) []byte { return payload })
		}
		return
	}
	var c command.Command
	if c.Parse(payload) != nil || c.Type != command.Subscribe {
		return
	}
	if s.refuse {
		conn.Write(text(command.AppendError(nil, c.ID, command.PermissionDenied, "no")))
		return
	}
	channel := string(c.Channels[0])
	s.subscribe(conn, channel, func(offset uint64) []byte {
		return text(command.AppendSubscribed(nil, c.ID, channel, "epoch", offset))
	})
}

func (s *faultyServer) subscribe(conn net.Conn, channel string, answer func(offset uint64) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offsets[channel] == 0 {
		s.offsets[channel] = 40 // as if events had been before
	}
	if answer != nil {
		conn.Write(answer(s.offsets[channel]))
	}
	s.subscribers = append(s.subscribers, &subscriber{conn: conn, number: len(s.subscribers), channel: channel})
}

func (s *faultyServer) servePublisher(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if s.reject {
			conn.Write(publish.AppendError(nil, command.ID{}, 1, command.RateLimited, "no"))
			continue
		}
		var request publish.Request
		if err := request.Parse(lines.Bytes(), 64<<10); err != nil {
			conn.Write(publish.AppendError(nil, command.ID{}, 1, command.BadRequest, err.Error()))
			continue
		}
		channel := string(request.Channels[0])
		s.broadcast(channel, func(offset uint64) []byte {
			return command.AppendEvent(nil, command.EventPrefix(channel), offset, request.Data)
		})
	}
}

// broadcast delivers an event. Offsets that faults see count from 1.
func (s *faultyServer) broadcast(channel string, payload func(offset uint64) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offsets[channel]++
	offset := s.offsets[channel]
	p := payload(offset)
	for _, sub := range s.subscribers {
		if sub.channel != channel {
			continue
		}
		var out []byte
		for _, one := range s.fault(sub, offset-40, p) {
			out = append(out, text(one)...)
		}
		sub.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		sub.conn.Write(out)
	}
}

func text(payload []byte) []byte { return websocket.AppendFrame(nil, ws.OpText, payload) }
