// Command centrifuge is centrifugal/centrifuge as a library, without presence.
// Clients speak its JSON protocol on /connection/websocket, connect
// without credentials and may subscribe to any channel. Events are published as
// to Centrifugo: POST /api/publish {"channel":"x","data":{...}}. With the argument
// history, it keeps the events of each channel in memory, and clients can recover.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"

	"fleetcast/loadtest/peers/internal/peer"
)

const (
	// readBuffer is what a connection holds to read into, in bytes.
	readBuffer = 1 << 10
	// maxRequest is the longest request to publish, in bytes.
	maxRequest = 1 << 20
	// historySize and historyTTL are how much it keeps of a channel with the argument
	// history.
	historySize = 20_000
	historyTTL  = 10 * time.Minute
)

func main() {
	listener, history := peer.ListenOr(peer.HistoryArgument)
	node, err := newNode(history)
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
	mux.Handle("POST /api/publish", publisher{node, history})
	peer.Fail(http.Serve(listener, mux))
}

// newNode returns a running node that lets everyone in. history tells that clients can
// recover.
func newNode(history bool) (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: history}}, nil)
		})
	})
	return node, node.Run()
}

// publisher answers requests to publish.
type publisher struct {
	node    *centrifuge.Node
	history bool
}

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
	var options []centrifuge.PublishOption
	if p.history {
		options = append(options, centrifuge.WithHistory(historySize, historyTTL))
	}
	if _, err := p.node.Publish(request.Channel, request.Data, options...); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"result":{}}`))
}
