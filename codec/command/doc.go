// Package command reads and writes the messages of the client protocol fleetcast.v1: one
// JSON object for each WebSocket text message, without the frame around it.
//
// For the gateway, [Command.Parse] reads what clients send, the Append functions write
// replies, and AppendEventPrefix, EventLength and AppendEvent lay out an event. For clients,
// AppendSubscribe and its like write commands, and [ServerMessage.Parse] reads what the
// gateway sends.
//
// All functions are pure computation on the caller's bytes. A Command or ServerMessage
// is scratch space that a loop uses for one message after another. It belongs to one
// goroutine at a time. The slices in it point into the payload or into its own buffer,
// and are valid until either is used again.
//
// Appending to a dst with capacity allocates nothing. Parsing allocates only for the
// message of an error, and while the scratch space still grows.
package command
