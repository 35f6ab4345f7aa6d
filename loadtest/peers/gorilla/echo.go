package main

import (
	"net/http"

	"github.com/gorilla/websocket"
)

const (
	// echoBuffer is what a connection holds to read into, and to write from, in
	// bytes: long messages take few system calls.
	echoBuffer = 64 << 10
	// maxEcho is the longest message that is echoed, in bytes.
	maxEcho = 16 << 20
)

var echoUpgrader = websocket.Upgrader{
	ReadBufferSize:  echoBuffer,
	WriteBufferSize: echoBuffer,
	CheckOrigin:     func(*http.Request) bool { return true },
}

// acceptEcho sends every message back: the loop of the library's documentation.
func acceptEcho(w http.ResponseWriter, r *http.Request) {
	conn, err := echoUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been told
	}
	defer conn.Close()
	conn.SetReadLimit(maxEcho)
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(kind, message); err != nil {
			return
		}
	}
}
