// Command gws is a broadcast server on lxzan/gws: a goroutine per connection
// that reads, and events handed to the library's Broadcaster, which writes to
// each connection from that connection's own queue. With the argument echo it is
// an echo server instead. Package peers describes the protocols.
package main

import (
	"bufio"
	"bytes"
	"net"
	"net/http"

	"github.com/lxzan/gws"

	"fleetcast/loadtest/peers/internal/peer"
)

// readBuffer is what a connection holds to read into, in bytes.
const readBuffer = 1 << 10

// handler takes what happens to connections; gws calls it in the connection's
// goroutine.
type handler struct {
	gws.BuiltinEventHandler
	clients *peer.Hub[*gws.Conn]
}

func main() {
	listener, echo := peer.ListenOrEcho()
	if echo {
		peer.Fail(newEchoServer().RunListener(listener))
	}
	server := gws.NewServer(&handler{clients: peer.NewHub[*gws.Conn]()}, &gws.ServerOption{
		ReadBufferSize: readBuffer,
		NewSession:     func() gws.SessionStorage { return nil }, // nothing is kept in it
	})
	// As the server's own, but for the new goroutine: so the request and the
	// stack that grew while it was read are free.
	server.OnRequest = func(conn net.Conn, br *bufio.Reader, r *http.Request) {
		if socket, err := server.GetUpgrader().UpgradeFromConn(conn, br, r); err == nil {
			go socket.ReadLoop()
		}
	}
	// Who connects and says nothing is no error.
	server.OnError = func(conn net.Conn, _ error) { conn.Close() }
	peer.Fail(server.RunListener(listener))
}

// OnOpen implements gws.Event.
func (h *handler) OnOpen(socket *gws.Conn) { h.clients.Add(socket) }

func (h *handler) OnClose(socket *gws.Conn, _ error) { h.clients.Remove(socket) }

func (h *handler) OnPing(socket *gws.Conn, payload []byte) { _ = socket.WritePong(payload) }

func (h *handler) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer message.Close()
	if message.Opcode != gws.OpcodeText || len(message.Bytes()) == 0 || message.Bytes()[0] != peer.Mark {
		return
	}
	// The queues still hold the event when message is recycled.
	broadcaster := gws.NewBroadcaster(gws.OpcodeText, bytes.Clone(message.Bytes()))
	defer broadcaster.Close()
	h.clients.Each(func(socket *gws.Conn) { _ = broadcaster.Broadcast(socket) })
}
