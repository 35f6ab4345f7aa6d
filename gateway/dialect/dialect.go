// Package dialect is the seam between what the gateway does for a client and how the
// client's protocol says it. The gateway decides what happens; a [Dialect] reads what
// clients send and words what they are sent. A client protocol is a folder below this
// one: it implements Dialect and is listed in the gateway's configuration.
//
// The package owns nothing and has no state. Any goroutine may call a dialect.
package dialect

import (
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
)

// Dialect is one client protocol over WebSocket. Its methods may be called from any
// goroutine at the same time, and keep none of their arguments.
//
// A method that appends returns dst with whole frames of a server behind it (RFC 6455:
// complete, not masked, not compressed). It chooses their opcode. If the protocol has
// no message for the purpose, it returns dst unchanged.
//
// No method is called for a delivery: an event is worded once for all subscribers of
// the dialect.
type Dialect interface {
	// Subprotocol is the name by which a client asks for the dialect in its handshake.
	Subprotocol() string

	// Parse reads one message of a client into cmd, which it overwrites; binary tells
	// its opcode. The slices of cmd may point into payload. A message that asks for
	// nothing, such as the answer to a ping that was a message, is a [command.Pong].
	// The error is a *command.Error. cmd.ID is then the id for the refusal.
	Parse(cmd *command.Command, payload []byte, binary bool) error

	// AppendWelcome words the first message to a client.
	AppendWelcome(dst []byte, w Welcome) []byte
	// AppendReply words that a command has been obeyed.
	AppendReply(dst []byte, r Reply) []byte
	// AppendRefusal words the refusal of a command, or of one channel of it. Of r, only
	// To, ID and Channel are set, as far as they are known.
	AppendRefusal(dst []byte, r Reply, err *command.Error) []byte
	// AppendWithdrawn words that the gateway has ended a subscription, for a reason such as
	// [command.PermissionDenied].
	AppendWithdrawn(dst []byte, channel string, code command.Code) []byte
	// AppendGap words that the events of a channel from one offset to another, both
	// included, will not reach the client.
	AppendGap(dst []byte, channel string, from, to uint64) []byte
	// AppendPing words what a client that lives answers with any bytes.
	AppendPing(dst []byte) []byte
	// AppendGoodbye words that the gateway sends the client away, which may come back after
	// a time. A close follows.
	AppendGoodbye(dst []byte, reason string, retryAfter time.Duration) []byte
	// AppendClose words the end of the conversation. The code is one of RFC 6455, which a
	// dialect may replace by one of its own; the text is at most 123 bytes of UTF-8.
	AppendClose(dst []byte, code ws.StatusCode, text string) []byte

	// AppendPrefix appends what all events of a channel share, which is made once for
	// each channel and not for each event. It is not a frame, and may be nothing.
	AppendPrefix(dst []byte, channel string) []byte
	// EventSize is how many bytes AppendEvent will append for the same event and prefix,
	// which AppendPrefix has made. A wrong guess costs a copy.
	EventSize(prefix []byte, e *Event) int
	// AppendEvent words an event, as exactly one frame. data is where e.Data begins in out if it
	// is there byte for byte, or -1. If it is, the gateway need not keep it twice.
	AppendEvent(dst, prefix []byte, e *Event) (out []byte, data int)
}

// Welcome is the content of the first message to a client.
type Welcome struct {
	Client       []byte        // its id, in ASCII
	PingInterval time.Duration // between the gateway's pings
	Limits       *command.Limits
	Standing     *command.Standing // of the client; nil where nobody has to say who they are
}

// Reply is the outcome of a command, or of one channel of it.
type Reply struct {
	To      command.Type // what was asked for
	ID      command.ID   // of the command, if it had one
	Channel []byte       // nil for a ping and for authenticate
	Epoch   []byte       // subscribe, history: of the channel's offsets; publish: of the event's, nil if it had no conditions
	Offset  uint64       // subscribe: events behind it follow; publish: the event's

	Duplicate bool // publish: the event stood there before, and was not published again

	Recovery *command.Recovery // subscribe: of the events before; nil if none were asked for
	Page     *command.Page     // history: the events
	Standing *command.Standing // authenticate: of the client; subscribe: of its token for that, nil if there is none
}

// Event is an event to be worded.
type Event struct {
	Channel string
	Offset  uint64
	Data    []byte // valid JSON
}
