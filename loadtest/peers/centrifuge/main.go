// Command centrifuge is centrifugal/centrifuge as a library, without history or
// presence. Clients speak its JSON protocol on /connection/websocket, connect
// without credentials and may subscribe to any channel. Events are published as
// to Centrifugo: POST /api/publish {"channel":"x","data":{...}}.
package main

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/centrifugal/centrifuge"

	"fleetcast/loadtest/peers/internal/peer"
)

const (
	// readBuffer is what a connection holds to read into, in bytes.
	readBuffer = 1 << 10
	// maxRequest is the longest request to publish, in bytes.
	maxRequest = 1 << 20
)

func main() {
	listener := peer.Listen()
	node, err := newNode()
	if err != nil {
		peer.Fail(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin:    func(*http.Request) bool { return true },
		ReadBufferSize: readBuffer,
		// Both for the memory of idle connections: buffers and deep stacks are
		// shared instead of held.
		UseWriteBufferPool:         true,
		ProcessCommandsOffReadLoop: true,
	}))
	mux.Handle("POST /api/publish", publisher{node})
	peer.Fail(http.Serve(listener, mux))
}

// newNode returns a running node that lets everyone in.
func newNode() (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{}, nil)
		})
	})
	return node, node.Run()
}

// publisher answers requests to publish.
type publisher struct{ node *centrifuge.Node }

// ServeHTTP implements http.Handler.
func (p publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if request.Channel == "" || request.Data == nil {
		http.Error(w, "channel and data are required", http.StatusBadRequest)
		return
	}
	if _, err := p.node.Publish(request.Channel, request.Data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"result":{}}`))
}
