// Package fleetcastv1 is the dialect fleetcast.v1: JSON in text messages, as package
// command lays them out and docs/protocol.md describes them. It adds the frames.
//
// It has no state. Any goroutine may call it.
package fleetcastv1

import (
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/dialect"
)

// Dialect implements [dialect.Dialect].
type Dialect struct{}

var errBinary = &command.Error{Code: command.BadRequest, Message: "commands are JSON in text messages, not binary ones"}

// Subprotocol implements [dialect.Dialect].
func (Dialect) Subprotocol() string { return "fleetcast.v1" }

// Parse implements [dialect.Dialect].
func (Dialect) Parse(cmd *command.Command, payload []byte, binary bool) error {
	if binary {
		cmd.Reset()
		return errBinary
	}
	return cmd.Parse(payload)
}

// limitsRoom is how many bytes the limits of a welcome may have before they are
// allocated on the heap.
const limitsRoom = 384

// AppendWelcome implements [dialect.Dialect].
func (Dialect) AppendWelcome(dst []byte, w dialect.Welcome) []byte {
	var room [limitsRoom]byte
	limits := command.AppendLimits(room[:0], *w.Limits)
	text := command.AppendWelcome(websocket.BeginText(dst), w.Client, uint64(w.PingInterval.Milliseconds()), limits, w.Standing)
	return websocket.EndText(text, len(dst))
}

// AppendReply implements [dialect.Dialect].
func (Dialect) AppendReply(dst []byte, r dialect.Reply) []byte {
	text := websocket.BeginText(dst)
	switch r.To {
	case command.Subscribe:
		text = command.AppendSubscribed(text, r.ID, r.Channel, r.Epoch, r.Offset, r.Recovery, r.Standing)
	case command.Unsubscribe:
		text = command.AppendUnsubscribed(text, r.ID, r.Channel)
	case command.Publish:
		if r.Epoch == nil {
			text = command.AppendPublished(text, r.ID, r.Channel, r.Offset)
		} else {
			text = command.AppendPublishedAt(text, r.ID, r.Channel, r.Epoch, r.Offset, r.Duplicate)
		}
	case command.History:
		text = command.AppendHistory(text, r.ID, r.Channel, r.Epoch, r.Page)
	case command.Ping:
		text = command.AppendPong(text, r.ID)
	case command.Authenticate:
		text = command.AppendAuthenticated(text, r.ID, r.Standing)
	}
	return websocket.EndText(text, len(dst))
}

// AppendRefusal implements [dialect.Dialect].
func (Dialect) AppendRefusal(dst []byte, r dialect.Reply, err *command.Error) []byte {
	return websocket.EndText(command.AppendRefusal(websocket.BeginText(dst), r.ID, err), len(dst))
}

// AppendWithdrawn implements [dialect.Dialect].
func (Dialect) AppendWithdrawn(dst []byte, channel string, code command.Code) []byte {
	return websocket.EndText(command.AppendWithdrawn(websocket.BeginText(dst), channel, code), len(dst))
}

// AppendGap implements [dialect.Dialect].
func (Dialect) AppendGap(dst []byte, channel string, from, to uint64) []byte {
	return websocket.EndText(command.AppendGap(websocket.BeginText(dst), channel, from, to), len(dst))
}

// AppendPing implements [dialect.Dialect]: a ping frame, which WebSocket libraries answer
// by themselves.
func (Dialect) AppendPing(dst []byte) []byte { return websocket.AppendFrame(dst, ws.OpPing, nil) }

// AppendGoodbye implements [dialect.Dialect].
func (Dialect) AppendGoodbye(dst []byte, reason string, retryAfter time.Duration) []byte {
	text := command.AppendGoodbye(websocket.BeginText(dst), reason, uint64(retryAfter.Milliseconds()))
	return websocket.EndText(text, len(dst))
}

// AppendClose implements [dialect.Dialect].
func (Dialect) AppendClose(dst []byte, code ws.StatusCode, text string) []byte {
	return websocket.AppendClose(dst, code, text)
}

// AppendPrefix implements [dialect.Dialect].
func (Dialect) AppendPrefix(dst []byte, channel string) []byte {
	return command.AppendEventPrefix(dst, channel)
}

// EventSize implements [dialect.Dialect]. It is exact.
func (Dialect) EventSize(prefix []byte, e *dialect.Event) int {
	length := command.EventLength(prefix, e.Offset, e.Data)
	return websocket.HeaderSize(length) + length
}

// AppendEvent implements [dialect.Dialect].
func (Dialect) AppendEvent(dst, prefix []byte, e *dialect.Event) (out []byte, data int) {
	dst = websocket.AppendHeader(dst, ws.OpText, command.EventLength(prefix, e.Offset, e.Data))
	out = command.AppendEvent(dst, prefix, e.Offset, e.Data)
	return out, len(out) - len("}") - len(e.Data)
}
