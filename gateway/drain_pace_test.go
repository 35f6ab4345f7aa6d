package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// TestDrainServesThoseWhoseTurnHasNotCome: one client is sent away at once, the
// others have hours. They are served until they leave, which does not wait for
// anyone's turn.
func TestDrainServesThoseWhoseTurnHasNotCome(t *testing.T) {
	s := start(t, oneShard, func(c *gateway.Config) {
		c.DrainWindow = 10 * time.Hour
		c.ClientPublish = gateway.Patterns{"**"}
	})
	s.PaceDrain(time.Hour)
	first, second, third := s.connect(), s.connect(), s.connect()
	result := s.drain(20 * time.Hour)
	if m := decode[message](t, first.text()); m.Type != "goodbye" || m.RetryAfterMS != 0 {
		t.Errorf("the first client receives %+v", m)
	}
	first.closes(ws.StatusGoingAway, "draining")
	first.Close()

	for _, p := range []*peer{second, third} {
		p.says(`{"type":"ping","id":7}`)
		p.wants(`{"type":"pong","id":7}`)
		p.sends(clientFrame(ws.OpPing, true, "still there?"))
		if f := p.frame(); f.Header.OpCode != ws.OpPong {
			t.Errorf("a ping is answered with %v %q", f.Header.OpCode, f.Payload)
		}
		p.subscribe("news")
		p.says(`{"type":"publish","id":8,"channel":"news","data":1}`)
		if m := decode[message](t, p.text()); m.Type != "error" || m.Code != "not_available" {
			t.Errorf("a publish is answered with %+v", m)
		}
		p.sends(clientFrame(ws.OpClose, true, "\x03\xe8"))
		p.closes(ws.StatusNormalClosure, "")
		p.Close()
	}
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

// TestDrainAtOnce closes many clients whose turn comes at the same time, with the
// least that a turn can do.
func TestDrainAtOnce(t *testing.T) {
	const clients = 200
	s := start(t, func(c *gateway.Config) { c.DrainWindow, c.RetryWindow = 0, time.Hour })
	s.CutFanOuts()
	peers := make([]*peer, clients)
	for i := range peers {
		peers[i] = s.connect()
		peers[i].subscribe("news")
	}
	half := s.dialRaw()
	half.sends(head)
	result := s.drain(patience)
	half.refused(503, "stopping", "")
	first, last := 0, uint64(0)
	for _, p := range peers {
		m := decode[message](t, p.text())
		if m.Type != "goodbye" {
			t.Fatalf("received %+v", m)
		}
		if m.RetryAfterMS == 0 {
			first++
		}
		last = max(last, m.RetryAfterMS)
		p.closes(ws.StatusGoingAway, "draining")
		p.Close()
	}
	if hour := uint64(time.Hour.Milliseconds()); last < hour*9/10 || last >= hour {
		t.Errorf("the last client is to come back after %d ms", last)
	}
	if first != 1 { // the slots of one shard lie between those of the other
		t.Errorf("%d clients are to come back first", first)
	}
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

// TestDrainUnderLoad drains while publishers and clients publish without pause.
// Every event that was answered reaches every subscriber, in order and before its
// goodbye; also the one that lags.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel() // it waits most of the time
	const subscribers, publishers, clientPublishers = 16, 2, 4
	s := start(t, func(c *gateway.Config) {
		neverSlow(c)
		c.ClientPublish = gateway.Patterns{"**"}
		c.DrainWindow = 200 * time.Millisecond
	})
	lagging := s.connectNarrow()
	lagging.subscribe("news")

	var reading, publishing sync.WaitGroup
	var received [subscribers]uint64
	for i := range received {
		p := s.connect()
		p.subscribe("news")
		reading.Go(func() { received[i] = p.followsToTheEnd() })
	}
	var answered [publishers + clientPublishers]uint64
	flowing := make(chan struct{}, len(answered))
	flows := func() { flowing <- struct{}{} }
	for i := range answered {
		if i < publishers {
			p := s.publisher()
			publishing.Go(func() { answered[i] = p.pipelines(i, flows); p.Close() })
			continue
		}
		p := s.connect()
		publishing.Go(func() { answered[i] = p.publishesToTheEnd(flows) })
	}
	for range answered {
		<-flowing
	}
	s.eventually("a backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes > 0 })
	result := s.drain(patience)
	reading.Wait()
	publishing.Wait()
	// Everyone else is gone, and it has not read anything yet.
	late := lagging.followsToTheEnd()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
	total := uint64(0)
	for _, n := range answered {
		total += n
	}
	for i, n := range received {
		if n != total {
			t.Errorf("subscriber %d received %d events of %d that were accepted", i, n, total)
		}
	}
	if late != total {
		t.Errorf("the subscriber that lags received %d events of %d that were accepted", late, total)
	}
}

// followsToTheEnd reads events, whose offsets must be 1, 2, 3 and so on, and a
// goodbye, up to the close frame behind them, and returns how many events there
// were. It may run on any goroutine.
func (p *peer) followsToTheEnd() (events uint64) {
	defer p.Close()
	goodbyes := 0
	for {
		f, err := readFrame(p.in)
		if err != nil {
			p.Errorf("the connection ends behind event %d with %v", events, err)
			return events
		}
		var offset uint64
		switch text := string(f.Payload); {
		case f.Header.OpCode == ws.OpPing:
		case f.Header.OpCode == ws.OpClose:
			if rest, err := io.ReadAll(p.in); text != "\x03\xe9draining" || goodbyes != 1 || err != nil || len(rest) > 0 {
				p.Errorf("closed with %q behind %d goodbyes, then comes %q, %v", text, goodbyes, rest, err)
			}
			return events
		case strings.HasPrefix(text, `{"type":"goodbye","reason":"draining"`):
			goodbyes++
		default:
			if _, err := fmt.Sscanf(text, `{"type":"event","channel":"news","offset":%d`, &offset); err != nil || offset != events+1 {
				p.Errorf("received %.100q behind event %d", text, events)
				return events
			}
			events++
		}
	}
}

// publishesToTheEnd publishes as a client, with up to 50 commands unanswered, until
// the gateway closes, and returns how many were accepted. flows is called when the
// first answers have come.
func (p *peer) publishesToTheEnd(flows func()) (accepted uint64) {
	open := make(chan struct{}, 50)
	ended := make(chan struct{})
	defer p.Close()
	defer close(ended)
	command := clientFrame(ws.OpText, true, `{"type":"publish","channel":"news","data":1}`)
	go func() {
		for {
			select {
			case open <- struct{}{}:
			case <-ended:
				return
			}
			if _, err := io.WriteString(p.TCPConn, command); err != nil {
				return
			}
		}
	}()
	for {
		f, err := readFrame(p.in)
		if err != nil || f.Header.OpCode == ws.OpClose {
			return accepted
		}
		switch text := string(f.Payload); {
		case strings.HasPrefix(text, `{"type":"published"`):
			if accepted++; accepted == 100 {
				flows()
			}
			<-open
		case strings.HasPrefix(text, `{"type":"error","code":"not_available"`):
			<-open
		}
	}
}

// TestDrainWaitsForTheLastBytes has a client to which the kernel alone still owes
// bytes, more than it takes while others would have lost patience with it.
func TestDrainWaitsForTheLastBytes(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, func(c *gateway.Config) { c.MaxEvent = 1 << 20 })
	p := s.connectNarrow()
	p.subscribe("news")
	data := `"` + strings.Repeat("x", 96<<10) + `"`
	s.publish("news", data)
	result := s.drain(patience)
	var got strings.Builder
	piece := make([]byte, 2<<10)
	for pace := time.NewTicker(100 * time.Millisecond); ; <-pace.C {
		n, err := p.in.Read(piece)
		got.Write(piece[:n])
		if err != nil {
			if err != io.EOF {
				t.Errorf("the connection ends with %v", err)
			}
			break
		}
	}
	if text := got.String(); !strings.HasSuffix(text, "\x03\xe9draining") || !strings.Contains(text, event("news", 1, data)) {
		t.Errorf("received %d bytes, at last %q", len(text), text[max(0, len(text)-40):])
	}
	p.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}
