package loadtest

import (
	"fmt"

	"fleetcast/codec/websocket"
)

// Names of the built-in profiles.
const (
	// ProfileFleetcast is the protocol fleetcast.v1: a subscription per client,
	// events published as NDJSON on the publish port.
	ProfileFleetcast = "fleetcast"
	// ProfileRaw is a bare broadcast server: whoever completes the handshake,
	// whose Sec-WebSocket-Accept is not checked, gets every text message that
	// begins with P and that any client sends on its own socket.
	ProfileRaw = "raw"
)

// profile is how the harness speaks to one kind of server. Each worker has its
// own, which belongs to the worker's goroutine.
type profile interface {
	// checkResponse checks the response head that b begins with; what is behind
	// it may be quoted in an error.
	checkResponse(b []byte, key websocket.Key) error
	// appendSubscribe appends the text message that subscribes to channel.
	appendSubscribe(dst []byte, channel string) []byte
	// confirms tells whether the server answers it. Where not, clients are live
	// once it is sent.
	confirms() bool
	// read says what a message from the server is.
	read(payload []byte) incoming
	// newDoor makes the way by which events are published.
	newDoor() doorProtocol
}

// incoming is a message from the server. Its slices are valid until the next
// message is read.
type incoming struct {
	kind    incomingKind
	channel []byte // empty if the server has no channels
	data    []byte // of an event
	offset  uint64 // of the channel's latest event, when subscribed
	gap     span   // offsets of a gap
	text    string // of a refusal
}

type incomingKind uint8

const (
	incomingUnexpected incomingKind = iota
	incomingNotice                  // nothing that verification cares for
	incomingSubscribed
	incomingEvent
	incomingGap
	incomingRefusal
)

// newProfile returns the built-in profile of that name.
func newProfile(name string, config *Fanout, to target) (profile, error) {
	switch name {
	case ProfileFleetcast:
		if config.Publish == "" {
			return nil, fmt.Errorf("profile %s publishes through the publish port: its address is missing", name)
		}
		port, err := resolve(config.Publish)
		if err != nil {
			return nil, fmt.Errorf("publish port: %w", err)
		}
		return &fleetcastProfile{publishPort: port}, nil
	case ProfileRaw:
		return &rawProfile{to}, nil
	}
	return nil, fmt.Errorf("there is no profile %q: choose %s or %s", name, ProfileFleetcast, ProfileRaw)
}
