package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// drain drains the gateway in the background.
func (s *server) drain(within time.Duration) (result <-chan error) {
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		done <- s.Drain(ctx)
	}()
	return done
}

// drained waits for the end of a drain and of the gateway.
func (s *server) drained(result <-chan error) error {
	s.Helper()
	select {
	case err := <-result:
		s.awaitEnd()
		return err
	case <-time.After(patience):
		s.Fatal("the drain does not end")
		return nil
	}
}

// TestDrainTellsClients proves RFC 6455, 7.1.2.
func TestDrainTellsClients(t *testing.T) {
	t.Parallel() // it waits most of the time
	const clients, events, window = 30, 200, 5000
	s := start(t, func(c *gateway.Config) { c.RetryWindow = window * time.Millisecond })
	upstream := s.publisher()
	peers := make([]*peer, clients)
	for i := range peers {
		peers[i] = s.connect()
		peers[i].subscribe("news")
	}
	for i := range events - 1 {
		upstream.sends(fmt.Sprintf(`{"channel":"news","data":%d}`+"\n", i))
	}
	upstream.publishes("news", "0") // so all of them are accepted
	result := s.drain(patience)
	upstream.ends()
	upstream.Close()

	var thirds [3]int
	for _, p := range peers {
		for offset := uint64(1); offset <= events; offset++ {
			if m := decode[message](t, p.text()); m.Type != "event" || m.Offset != offset {
				t.Fatalf("received %+v, want event %d", m, offset)
			}
		}
		bye := p.text()
		m := decode[message](t, bye)
		if want := fmt.Sprintf(`{"type":"goodbye","reason":"draining","retry_after_ms":%d}`, m.RetryAfterMS); bye != want || m.RetryAfterMS > window {
			t.Errorf("received %s", bye)
		}
		thirds[min(m.RetryAfterMS*3/window, 2)]++
		p.closes(ws.StatusGoingAway, "draining")
		p.Close()
	}
	for _, n := range thirds { // a shard's may be one more or less than its share
		if n < clients/3-2 || n > clients/3+2 {
			t.Errorf("the thirds of the window get %v clients", thirds)
		}
	}
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
	if s.Ready() {
		t.Error("a gateway that has stopped is ready")
	}
	if _, err := s.Stats(context.Background()); !errors.Is(err, gateway.ErrStopped) {
		t.Errorf("the counters of a gateway that has stopped: %v", err)
	}
	if _, err := net.DialTimeout("tcp", s.clientAddr(), time.Second); err == nil {
		t.Error("a gateway that has stopped takes clients")
	}
}

// Libraries report the close code and its reason to the application.
func TestDrainWithLibraries(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t, func(c *gateway.Config) { c.RetryWindow = 0 })
		c := open(s)
		c.welcome()
		result := s.drain(patience)
		c.wants(`{"type":"goodbye","reason":"draining","retry_after_ms":0}`)
		if _, err := c.receive(); err == nil || !strings.Contains(err.Error(), "draining") {
			t.Errorf("the end is %v", err)
		} else if status := coder.CloseStatus(err); status != -1 && status != coder.StatusGoingAway {
			t.Errorf("the close status is %v", status)
		}
		c.drop()
		if err := s.drained(result); err != nil {
			t.Errorf("draining: %v", err)
		}
	})
}

// Nobody is connected, or the last client leaves while nothing else happens.
func TestDrainOfAnIdleGateway(t *testing.T) {
	s := start(t)
	if err := s.drained(s.drain(patience)); err != nil {
		t.Errorf("draining without anyone: %v", err)
	}

	s = start(t, oneShard)
	p := s.connect()
	result := s.drain(patience)
	p.text()
	p.closes(ws.StatusGoingAway, "draining")
	p.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining one client: %v", err)
	}
}

func TestDrainRefusesHandshakes(t *testing.T) {
	s := start(t)
	silent, half := s.dialRaw(), s.dialRaw()
	half.sends(head)
	s.eventually("both connections", func(g gateway.GatewayStats) bool {
		return g.Total.Connections == 2 && g.Total.BytesIn == uint64(len(head))
	})
	result := s.drain(patience)
	silent.refused(503, "stopping", "")
	half.refused(503, "stopping", "")
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

// TestDrainIsBounded has a client that never takes what waits for it.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) { c.MaxEvent = 1 << 20 })
	stalled, healthy := s.connectNarrow(), s.connect()
	stalled.subscribe("news")
	s.publish("news", `"`+strings.Repeat("x", 512<<10)+`"`)
	s.eventually("a backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes > 0 })

	from := time.Now()
	result := s.drain(1500 * time.Millisecond)
	if m := decode[message](t, healthy.text()); m.Type != "goodbye" {
		t.Errorf("received %+v", m)
	}
	healthy.closes(ws.StatusGoingAway, "draining")
	if err := s.drained(result); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the drain ended with %v", err)
	}
	if took := time.Since(from); took > patience/2 {
		t.Errorf("the drain took %v", took)
	}
	// What it had not got is lost to it, so nothing may look like a regular end.
	if _, err := io.ReadAll(stalled.in); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection of the client that was cut off ended with %v", err)
	}
}

// A backlog that the client does take goes out before the goodbye.
func TestDrainFlushesBacklogs(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxEvent = 1 << 20 })
	p := s.connectNarrow()
	p.subscribe("news")
	data := `"` + strings.Repeat("x", 512<<10) + `"`
	s.publish("news", data)
	s.eventually("a backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes > 0 })
	result := s.drain(patience)
	p.in = bufio.NewReaderSize(p.TCPConn, 1<<20)
	p.wants(event("news", 1, data))
	if m := decode[message](t, p.text()); m.Type != "goodbye" {
		t.Errorf("received %+v", m)
	}
	p.closes(ws.StatusGoingAway, "draining")
	p.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

// TestDrainAnswersPublishers has publishers that go on sending: they get an
// answer to exactly what was sequenced, and hold the drain up for a bounded time.
func TestDrainAnswersPublishers(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, neverSlow)
	subscriber := s.connect()
	subscriber.subscribe("news")
	const publishers = 4
	var running sync.WaitGroup
	var answered [publishers]uint64
	flowing := make(chan struct{}, publishers)
	for i := range publishers {
		p := s.publisher()
		running.Go(func() {
			answered[i] = p.pipelines(i, func() { flowing <- struct{}{} })
			p.Close()
		})
	}
	for range publishers {
		<-flowing
	}
	result := s.drain(patience)

	var received [publishers]uint64
	goodbyes := 0
	for {
		f := subscriber.frame()
		if f.Header.OpCode != ws.OpText {
			subscriber.closesWith(f, ws.StatusGoingAway, "draining")
			break
		}
		m := decode[message](t, string(f.Payload))
		if m.Type == "goodbye" { // ahead of events that wait
			goodbyes++
			continue
		}
		if m.Type != "event" {
			t.Fatalf("received %+v", m)
		}
		data := decode[[2]uint64](t, string(m.Data))
		if data[1] != received[data[0]] {
			t.Fatalf("event %d of publisher %d arrived behind %d", data[1], data[0], received[data[0]])
		}
		received[data[0]]++
	}
	if goodbyes != 1 {
		t.Errorf("%d goodbyes", goodbyes)
	}
	subscriber.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
	running.Wait()
	if answered != received {
		t.Errorf("the publishers got %v answers for %v events", answered, received)
	}
}

// pipelines publishes [number, 0], [number, 1] and so on until the gateway
// ends the connection, with up to 50 requests unanswered. flows is called when
// the first answers have come.
func (p *peer) pipelines(number int, flows func()) (answered uint64) {
	open := make(chan struct{}, 50)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for id := 0; ; id++ {
			select {
			case open <- struct{}{}:
			case <-ended:
				return
			}
			if _, err := fmt.Fprintf(p.TCPConn, `{"id":%d,"channel":"news","data":[%d,%d]}`+"\n", id, number, id); err != nil {
				return
			}
		}
	}()
	for {
		text, err := p.in.ReadString('\n')
		if err != nil {
			if len(text) > 0 {
				p.Errorf("publisher %d was left with half a reply, %q", number, text)
			}
			return answered
		}
		var a answer
		if err := json.Unmarshal([]byte(text), &a); err != nil || a.ID == nil || *a.ID != answered || len(a.Results) != 1 {
			p.Errorf("reply %d is %s", answered, text)
		}
		if answered++; answered == 100 {
			flows()
		}
		<-open
	}
}

// A publisher that has sent everything and waits gets every answer.
func TestDrainAnswersWhatWasSent(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t)
	p := s.publisher()
	const requests = 2000
	p.sends(strings.Repeat(`{"id":1,"channel":"news","data":1}`+"\n", requests))
	s.eventually("the first of them", func(g gateway.GatewayStats) bool { return g.Publish.BytesIn > 0 })
	result := s.drain(patience)
	for i := range requests {
		if a := decode[answer](t, p.line()); len(a.Results) != 1 || a.Results[0].Offset != uint64(i+1) {
			t.Fatalf("answer %d is %+v", i, a)
		}
	}
	p.ends()
	p.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

// A publisher that does not read its replies does not keep the clients from
// their goodbye.
func TestDrainWithStalledPublisher(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t)
	subscriber := s.connect()
	p := dial(t, s.publishAddr(), 4<<10)
	go func() {
		for { // the gateway stops reading, then closes
			if _, err := io.WriteString(p.TCPConn, strings.Repeat("x\n{}\n", 1000)); err != nil {
				return
			}
		}
	}()
	s.stops("the reading", func(g gateway.GatewayStats) uint64 { return g.Publish.BytesIn })
	from := time.Now()
	result := s.drain(patience)
	if m := decode[message](t, subscriber.text()); m.Type != "goodbye" {
		t.Errorf("received %+v", m)
	}
	if took := time.Since(from); took > patience/2 {
		t.Errorf("the goodbye came after %v", took)
	}
	subscriber.closes(ws.StatusGoingAway, "draining")
	subscriber.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

// Nor does one that never ceases to send. It is ended with a FIN, behind the
// replies to what was sequenced.
func TestDrainWithFloodingPublisher(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t)
	subscriber, p := s.connect(), s.publisher()
	go func() {
		for {
			if _, err := io.WriteString(p.TCPConn, strings.Repeat(`{"channel":"news","data":1}`+"\n", 100)); err != nil {
				return
			}
		}
	}()
	s.eventually("the flood", func(g gateway.GatewayStats) bool { return g.Publish.Events > 0 })
	result := s.drain(patience)
	p.ends()
	p.Close()
	if m := decode[message](t, subscriber.text()); m.Type != "goodbye" {
		t.Errorf("received %+v", m)
	}
	subscriber.Close()
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}

// Close cuts everyone off.
func TestClose(t *testing.T) {
	s := start(t)
	p, upstream := s.connect(), s.publisher()
	upstream.publishes("news", "1")
	s.Close()
	s.awaitEnd()
	p.ends()
	upstream.ends()
	if err := s.Drain(context.Background()); !errors.Is(err, gateway.ErrStopped) {
		t.Errorf("draining what has stopped: %v", err)
	}
}

// TestDrainGivesUpOnSilent has a client that takes nothing of what waits for it:
// the drain does not wait longer for it than the gateway would have.
func TestDrainGivesUpOnSilent(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) {
		c.MaxEvent, c.PingInterval, c.PongTimeout = 1<<20, 400*time.Millisecond, 300*time.Millisecond
	})
	p := s.connectNarrow()
	p.subscribe("news")
	s.publish("news", `"`+strings.Repeat("x", 512<<10)+`"`)
	s.eventually("a backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes > 0 })
	result := s.drain(patience)
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
	if _, err := io.Copy(io.Discard, p.in); err == nil {
		t.Error("the connection ended with a FIN, want a reset")
	}
}
