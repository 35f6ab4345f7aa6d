// Command netpoll is a broadcast server on cloudwego/netpoll's connections,
// with the frames of gobwas/ws: no goroutine per connection, and events written
// to one connection after the other. Package peers describes the protocol.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/cloudwego/netpoll"
	"github.com/gobwas/ws"

	"fleetcast/loadtest/peers/internal/peer"
)

const (
	// readBuffer is what a connection holds to read into, in bytes, before a
	// longer message makes it grow.
	readBuffer = 1 << 10
	// maxMessage is the longest message that a client may send, in bytes.
	maxMessage = 1 << 20
)

var errTooLong = errors.New("the message is too long")

// client is the state of one connection. Netpoll runs what concerns it in one
// goroutine at a time.
type client struct{ shaken bool }

type clientKey struct{}

// server broadcasts what its clients send.
type server struct {
	clients *peer.Hub[netpoll.Connection]
}

func main() {
	listener := peer.Listen()
	s := &server{peer.NewHub[netpoll.Connection]()}
	if err := netpoll.Configure(netpoll.Config{BufferSize: readBuffer}); err != nil {
		peer.Fail(err)
	}
	loop, err := netpoll.NewEventLoop(s.read, netpoll.WithOnPrepare(prepare))
	if err != nil {
		peer.Fail(err)
	}
	peer.Fail(loop.Serve(listener))
}

// prepare gives a new connection its state.
func prepare(netpoll.Connection) context.Context {
	return context.WithValue(context.Background(), clientKey{}, new(client))
}

// read takes what has arrived. What is there only in part is waited for, which
// holds this goroutine until it has come.
func (s *server) read(ctx context.Context, conn netpoll.Connection) error {
	c := ctx.Value(clientKey{}).(*client)
	if !c.shaken {
		if _, err := ws.Upgrade(conn); err != nil {
			return conn.Close()
		}
		c.shaken = true
		s.clients.Add(conn)
		return conn.AddCloseCallback(func(netpoll.Connection) error {
			s.clients.Remove(conn)
			return nil
		})
	}
	if s.readFrame(conn) != nil {
		return conn.Close()
	}
	return conn.Reader().Release()
}

// readFrame reads one frame; io.EOF says that the client takes its leave. A message in fragments is not understood, and
// nothing is broadcast of it.
func (s *server) readFrame(conn netpoll.Connection) error {
	header, err := ws.ReadHeader(conn)
	if err != nil {
		return err
	}
	if header.Length > maxMessage {
		return errTooLong
	}
	payload, err := conn.Reader().Next(int(header.Length))
	if err != nil {
		return err
	}
	switch {
	case header.OpCode == ws.OpClose:
		_, _ = conn.Write(ws.CompiledCloseNormalClosure)
		return io.EOF
	case header.OpCode == ws.OpText && header.Fin && header.Length > 0:
		ws.Cipher(payload, header.Mask, 0)
		if payload[0] == peer.Mark {
			s.broadcast(ws.MustCompileFrame(ws.NewTextFrame(payload)))
		}
	}
	return nil
}

// broadcast writes an event to every client. A client that does not read holds
// it up: nothing here limits what a write may take.
func (s *server) broadcast(frame []byte) {
	s.clients.Each(func(conn netpoll.Connection) {
		// One that is closed leaves the hub by its callback, not here, where the
		// hub is locked.
		if _, err := conn.Writer().WriteBinary(frame); err == nil {
			_ = conn.Writer().Flush()
		}
	})
}
