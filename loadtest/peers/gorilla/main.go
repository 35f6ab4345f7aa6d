// Command gorilla is a broadcast server on gorilla/websocket: a goroutine per
// connection that reads, and events written to one connection after the other
// as a prepared message. With the argument echo it is an echo server instead.
// Package peers describes the protocols.
package main

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"fleetcast/loadtest/peers/internal/peer"
)

// readBuffer is what a connection holds to read into, in bytes. Clients send
// little; a longer message only takes more reads.
const readBuffer = 1 << 10

// server upgrades requests and broadcasts what its clients send.
type server struct {
	upgrader websocket.Upgrader
	clients  *peer.Hub[*websocket.Conn]
}

func main() {
	listener, echo := peer.ListenOrEcho()
	if echo {
		peer.Fail(http.Serve(listener, http.HandlerFunc(acceptEcho)))
	}
	s := &server{
		upgrader: websocket.Upgrader{
			ReadBufferSize: readBuffer,
			// Only the handshake and control frames use write buffers: a prepared
			// message is written as it is.
			WriteBufferSize: readBuffer,
			WriteBufferPool: new(sync.Pool),
			CheckOrigin:     func(*http.Request) bool { return true },
		},
		clients: peer.NewHub[*websocket.Conn](),
	}
	peer.Fail(http.Serve(listener, http.HandlerFunc(s.accept)))
}

// accept makes a request a connection, and leaves it to a goroutine of its own:
// so the request and the stack that grew while it was read are free.
func (s *server) accept(w http.ResponseWriter, r *http.Request) {
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been told
	}
	go s.read(conn)
}

// read reads a client's messages until it is gone.
func (s *server) read(conn *websocket.Conn) {
	defer conn.Close()
	s.clients.Add(conn)
	defer s.clients.Remove(conn)
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage && len(message) > 0 && message[0] == peer.Mark {
			s.broadcast(message)
		}
	}
}

// broadcast writes an event to every client. A client that does not read holds
// it up: nothing here limits what a write may take.
func (s *server) broadcast(message []byte) {
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, message)
	if err != nil {
		return
	}
	s.clients.Each(func(conn *websocket.Conn) {
		if conn.WritePreparedMessage(prepared) != nil {
			conn.Close() // its reader then removes it
		}
	})
}
