package shard

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/dialect"
)

// history answers a client's question for earlier events of a channel. Who may subscribe to it
// may ask.
func (c *session) history(cmd *command.Command) {
	_ = dialect.Reply{}
}
