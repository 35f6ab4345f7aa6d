// Package command reads and writes the messages of the client protocol fleetcast.v1: one
// JSON object per WebSocket text message, without the frame around it.
//
// For the gateway: Command.Parse reads what clients send, Append... functions write replies, and
// EventPrefix, EventLength and AppendEvent lay out an event. For clients: AppendSubscribe and
// its like write commands, and ServerMessage.Parse reads what the gateway sends.
//
// Everything is pure computation on the caller's bytes. A Command or ServerMessage is scratch space
// that its owner (a loop) uses for one message after another; the slices in it point
// into the payload or into its own buffer and are valid until either is reused. It belongs to one goroutine
// at a time. Appending to a dst with capacity allocates nothing; nor does parsing, except to build
// the message of an error, and while the scratch space still grows.
package command
