package loadtest_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
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
	host    string // where it listens; empty: 127.0.0.1
	raw     bool
	refuse  bool // answers subscriptions with an error
	reject  bool // answers events with an error
	fault   fault
	policy  *policy // what becomes of those who lag; nil: everyone waits for them
	// compression is how events are compressed for clients that offer it; nil
	// declines.
	compression *compression

	mute    bool          // no ping is answered
	late    time.Duration // between a subscription and its answer
	refuses int           // every so many events one is refused, which takes its offset all the same; 0: none
	hangUp  int           // after so many events the publisher's connection is closed; 0: never
	// refusal is what a handshake is answered with instead; "" takes it. nil: all are
	// taken.
	refusal func() string
	// published is told of every event's channel and the connection it came by; nil:
	// nobody is.
	published func(channel string, by net.Conn)
	// connected is told of every client's connection; nil: nobody is.
	connected func(net.Conn)
	kept      int                    // events of a channel that are kept for those who come back
	misleads  func(*comeback)        // changes what they are told; nil: nothing does
	log       map[string][]keptEvent // by channel

	mu          sync.Mutex
	subscribers []*subscriber
	subscribed  int // that ever were
	offsets     map[string]uint64
}

// fault returns the payloads that subscriber gets for the event with the given
// offset, whose payload is given. It runs under the server's lock.
type fault func(s *subscriber, offset uint64, payload []byte) [][]byte

type subscriber struct {
	conn    net.Conn
	number  int // in the order of subscribing
	channel string
	deflate *deflating // nil: it gets plain frames
	held    []byte     // for a fault to keep something
	late    []byte     // frames that it gets behind the next event
	backlog *backlog   // nil: what it gets is written at once
}

func faithful(_ *subscriber, _ uint64, payload []byte) [][]byte { return [][]byte{payload} }

func startFaulty(t *testing.T, s *faultyServer) *faultyServer {
	t.Helper()
	s.offsets, s.log = make(map[string]uint64), make(map[string][]keptEvent)
	for _, l := range []*net.Listener{&s.clients, &s.publish} {
		var err error
		if *l, err = net.Listen("tcp4", cmp.Or(s.host, "127.0.0.1")+":0"); err != nil {
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
	if s.connected != nil {
		s.connected(conn)
	}
	head, ok := readHead(conn)
	if !ok {
		return
	}
	if s.refusal != nil {
		if answer := s.refusal(); answer != "" {
			io.WriteString(conn, answer)
			return
		}
	}
	deflate, ok := answerHead(conn, head, "/ws", s.compression)
	if !ok {
		return
	}
	defer s.unsubscribe(conn)
	if s.raw {
		go func() {
			time.Sleep(s.late)
			s.subscribe(conn, deflate, "", nil)
		}()
	} else {
		conn.Write(text(command.AppendWelcome(nil, "test", 25000, nil, nil)))
	}
	readMessages(conn, func(m websocket.Message) {
		switch {
		case m.Op != ws.OpPing:
			s.takeMessage(conn, deflate, m.Payload)
		case !s.mute:
			conn.Write(websocket.AppendFrame(nil, ws.OpPong, m.Payload))
		}
	})
}

// upgrade reads a client's handshake and takes it.
func upgrade(conn net.Conn, path string) bool {
	_, ok := upgradeWith(conn, path, nil)
	return ok
}

// upgradeWith does so and agrees to c; see answerHead.
func upgradeWith(conn net.Conn, path string, c *compression) (*deflating, bool) {
	head, ok := readHead(conn)
	if !ok {
		return nil, false
	}
	return answerHead(conn, head, path, c)
}

// readHead reads a client's handshake, behind which the client must wait.
func readHead(conn net.Conn) (head []byte, ok bool) {
	buffer := make([]byte, 4<<10)
	n := 0
	for websocket.HeadLength(buffer[:n]) == 0 {
		more, err := conn.Read(buffer[n:])
		if err != nil {
			return nil, false
		}
		n += more
	}
	return buffer[:websocket.HeadLength(buffer[:n])], true
}

// answerHead takes the handshake and agrees to c, if it is not nil and the client
// offers compression.
func answerHead(conn net.Conn, head []byte, path string, c *compression) (*deflating, bool) {
	offered := bytes.Contains(head, []byte("\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"))
	upgrader := websocket.Upgrader{Path: path}
	answer, _, err := upgrader.Upgrade(nil, head)
	var agreed *deflating
	if c != nil && offered {
		agreed = c.agree()
		answer = fmt.Appendf(bytes.TrimSuffix(answer, []byte("\r\n")), "Sec-WebSocket-Extensions: %s\r\n\r\n", c.answer)
	}
	conn.Write(answer)
	return agreed, err == nil
}

// readMessages reads until the client goes; its goodbye is answered.
func readMessages(conn net.Conn, take func(websocket.Message)) {
	var reader websocket.Reader
	buffer := make([]byte, 64<<10)
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
			switch {
			case ok && message.Op == ws.OpClose:
				conn.Write(websocket.AppendClose(nil, ws.StatusNormalClosure, ""))
				return
			case ok:
				take(message)
				reader.Recycle()
			}
		}
	}
}

func (s *faultyServer) takeMessage(conn net.Conn, deflate *deflating, payload []byte) {
	if s.raw {
		if bytes.Contains(payload, []byte(`"probe"`)) {
			s.probe(payload)
			return
		}
		if len(payload) > 0 && payload[0] == 'P' && !s.broadcast("", "", func(uint64) []byte { return payload }) {
			conn.Close()
		}
		return
	}
	var c command.Command
	if c.Parse(payload) != nil || c.Type != command.Subscribe {
		return
	}
	if s.refuse {
		conn.Write(text(command.AppendRefusal(nil, c.ID, &command.Error{Code: command.PermissionDenied, Message: "no"})))
		return
	}
	time.Sleep(s.late)
	channel := string(c.Channels[0])
	if c.Start.HasSince {
		s.resume(conn, deflate, c.ID, channel, &c.Start.Since)
		return
	}
	s.subscribe(conn, deflate, channel, func(offset uint64) []byte {
		return text(command.AppendSubscribed(nil, c.ID, channel, testEpoch, offset, nil, nil))
	})
}

func (s *faultyServer) subscribe(conn net.Conn, deflate *deflating, channel string, answer func(offset uint64) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open(channel)
	if answer != nil {
		conn.Write(answer(s.offsets[channel]))
	}
	sub := &subscriber{conn: conn, number: s.subscribed, channel: channel, deflate: deflate}
	if s.policy != nil {
		sub.backlog = newBacklog(s.policy, sub, s.offsets[channel]+1)
	}
	s.subscribers = append(s.subscribers, sub)
	s.subscribed++
}

func (s *faultyServer) unsubscribe(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = slices.DeleteFunc(s.subscribers, func(sub *subscriber) bool {
		if sub.conn == conn && sub.backlog != nil {
			sub.backlog.close()
		}
		return sub.conn == conn
	})
}

// servePublisher takes NDJSON, or RESP if the first byte says so.
func (s *faultyServer) servePublisher(conn net.Conn) {
	in := bufio.NewReader(conn)
	first, err := in.Peek(1)
	if err != nil {
		return
	}
	var line uint64
	next := func(in *bufio.Reader) (request, error) { line++; return nextLine(in, line) }
	if first[0] == '*' {
		next = nextCommand
	}
	for {
		event, err := next(in)
		if err != nil {
			return
		}
		if s.published != nil {
			s.published(event.channel, conn)
		}
		if s.reject || s.refused(event.channel) {
			conn.Write(event.refusal)
			continue
		}
		whole := s.broadcast(event.channel, event.key, func(offset uint64) []byte {
			return command.AppendEvent(nil, command.AppendEventPrefix(nil, event.channel), offset, event.data)
		})
		if !whole {
			return
		}
		conn.Write(event.answer)
	}
}

// request is an event as it was published, and what is answered.
type request struct {
	channel         string
	key             string
	data            []byte
	answer, refusal []byte
}

func nextLine(in *bufio.Reader, number uint64) (r request, err error) {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return r, err
	}
	var p publish.Request
	if err := p.Parse(bytes.TrimSpace(line), publish.RequestLimits{Data: 64 << 10, Channel: command.MaxChannel}); err != nil {
		return r, err
	}
	var keyed struct{ Key string }
	if bytes.Contains(line, []byte(`"key":`)) {
		if err := json.Unmarshal(line, &keyed); err != nil {
			return r, err
		}
	}
	r = request{string(p.Channels[0]), keyed.Key, p.Data, nil, publish.AppendError(nil, p.ID, number, command.RateLimited, "no")}
	if p.ID.Set {
		r.answer = publish.AppendResultsEnd(publish.AppendResult(publish.AppendResultsBegin(nil, p.ID), p.Channels[0], "e", 1, 0))
	}
	return r, nil
}

// nextCommand reads PUBLISH with its two arguments.
func nextCommand(in *bufio.Reader) (r request, err error) {
	var parts [3]string
	var count int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &count); err != nil || count != len(parts) {
		return r, fmt.Errorf("a command of %d parts: %w", count, err)
	}
	for i := range parts {
		var size int
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return r, err
		}
		part := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, part); err != nil {
			return r, err
		}
		parts[i] = string(part[:size])
	}
	return request{parts[1], "", []byte(parts[2]), []byte(":1\r\n"), []byte("-ERR rate_limited no\r\n")}, nil
}

// refused tells whether the next event is one that is refused.
func (s *faultyServer) refused(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open(channel)
	if s.refuses == 0 || (s.offsets[channel]-offsetBefore+1)%uint64(s.refuses) != 0 {
		return false
	}
	s.offsets[channel]++
	return true
}

// offsetBefore is every channel's offset before the first event of a run, as if
// there had been others.
const offsetBefore = 40

// open makes a channel that is new.
func (s *faultyServer) open(channel string) {
	if s.offsets[channel] == 0 {
		s.offsets[channel] = offsetBefore
	}
}

// broadcast delivers an event; false means that it was the publisher's last.
// Offsets that faults see count from 1.
func (s *faultyServer) broadcast(channel, key string, payload func(offset uint64) []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open(channel)
	s.offsets[channel]++
	offset := s.offsets[channel]
	if s.hangUp > 0 && offset-offsetBefore > uint64(s.hangUp) {
		return false
	}
	p := payload(offset)
	s.keep(channel, offset, p)
	for _, sub := range s.subscribers {
		if sub.channel != channel {
			continue
		}
		var out []byte
		for _, one := range s.fault(sub, offset-offsetBefore, p) {
			out = append(out, sub.deflate.frames(one)...)
		}
		out, sub.late = append(out, sub.late...), nil
		if sub.backlog != nil {
			sub.backlog.add(waitingEvent{offset, key, out})
			continue
		}
		sub.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		sub.conn.Write(out)
	}
	return offset-offsetBefore != uint64(s.hangUp)
}

// probe delivers what is not counted as an event.
func (s *faultyServer) probe(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subscribers {
		sub.conn.Write(sub.deflate.frames(payload))
	}
}

func text(payload []byte) []byte { return websocket.AppendFrame(nil, ws.OpText, payload) }
