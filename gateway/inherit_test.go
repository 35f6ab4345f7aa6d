package gateway_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"fleetcast/gateway"
)

// inherited opens a socket as another process would and returns its file.
func inherited(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // file is a copy
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file, l.Addr().String()
}

// Sockets of another process serve clients and publishers; and who connects
// while no gateway runs is served by the next one.
func TestInheritedSockets(t *testing.T) {
	clients, clientAddr := inherited(t)
	publishers, publishAddr := inherited(t)
	inherit := func(c *gateway.Config) {
		c.Listen, c.ListenFiles = nil, []*os.File{clients}
		c.Publish, c.PublishFiles = nil, []*os.File{publishers}
	}
	s := start(t, inherit)
	if s.clientAddr() != clientAddr || s.publishAddr() != publishAddr {
		t.Errorf("bound to %s and %s, want %s and %s", s.clientAddr(), s.publishAddr(), clientAddr, publishAddr)
	}
	for range 20 {
		s.connect().subscribe("news")
	}
	p := s.connect()
	p.subscribe("news")
	s.publish("news", "1")
	p.wants(event("news", 1, "1"))

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond) // clients do not close
	defer cancel()
	_ = s.Drain(ctx)
	s.awaitEnd()
	early := dial(t, clientAddr, 0)
	early.sends(head + "\r\n")
	next := start(t, inherit)
	early.upgraded()
	if m := decode[message](t, early.text()); m.Type != "welcome" {
		t.Errorf("received %+v", m)
	}
	if n := next.stats().Total.Clients; n != 1 {
		t.Errorf("%d clients, want 1", n)
	}
}

func TestInheritedSocketOfAnotherKind(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config := gateway.DefaultConfig(100)
	config.ListenFiles = []*os.File{file}
	if g, err := gateway.New(config, nil); err == nil {
		g.Close()
		t.Error("a device is taken for a socket")
	}
}
