package main

import (
	"net"

	"github.com/lxzan/gws"
)

const (
	// echoBuffer is what a connection holds to read into, in bytes: a longer
	// message is read past it, into a buffer of its own size.
	echoBuffer = 64 << 10
	// maxEcho is the longest message that is echoed, in bytes.
	maxEcho = 16 << 20
)

// echoHandler sends every message back, as the library's documentation has it.
type echoHandler struct{ gws.BuiltinEventHandler }

func newEchoServer() *gws.Server {
	server := gws.NewServer(echoHandler{}, &gws.ServerOption{
		ReadBufferSize:      echoBuffer,
		ReadMaxPayloadSize:  maxEcho,
		WriteMaxPayloadSize: maxEcho,
	})
	// Who connects and says nothing is no error.
	server.OnError = func(conn net.Conn, _ error) { conn.Close() }
	return server
}

// OnPing implements gws.Event.
func (echoHandler) OnPing(socket *gws.Conn, payload []byte) { _ = socket.WritePong(payload) }

func (echoHandler) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = socket.WriteMessage(message.Opcode, message.Bytes()) // who is gone is told of it by OnClose
}
