package shard

import (
	"bytes"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
)

// part is where a command with many channels goes on in the next turn. Matching their names
// with the patterns of a client's grants may take long.
type part struct {
	payload []byte
	binary  bool
	from    int     // channels before it are done
	refused int     // by the rate, of those
	hooks   *asking // with those that are done and wait for hooks
}

// size is about how many bytes it holds; p may be nil.
func (p *part) size() int {
	switch {
	case p == nil:
		return 0
	case p.hooks != nil:
		return cap(p.payload) + p.hooks.bytes
	}
	return cap(p.payload)
}

// eachChannel subscribes or unsubscribes, from a part of the command on. Each name is a command
// of its own; it returns how many of them the rate refused now.
func (c *session) eachChannel(cmd *command.Command, p part) (refused int) {
	hooks := p.hooks
	for i, name := range cmd.Channels[p.from:] {
		if c.shard.tooMuch() {
			p.from, p.refused, p.hooks = p.from+i, p.refused+refused, hooks
			c.goOnLater(p)
			return refused
		}
		refusal, hookName := c.takeCommand(p.refused+refused), ""
		if refusal != nil {
			refused++
		} else if cmd.Type == command.Subscribe {
			hookName = c.hookFor(name, false)
		}
		if hooks == nil && hookName != "" {
			hooks = &asking{id: cmd.ID}
		}
		switch {
		case hooks != nil:
			hooks.add(c, name, hookName, "", refusal)
			hooks.startAt(cmd.StartOf(p.from + i))
		case refusal != nil:
			c.refuseChannel(cmd.Type, name, refusal, cmd.ID)
		case cmd.Type == command.Subscribe:
			c.subscribe(name, cmd.ID, cmd.StartOf(p.from+i), nil)
		default:
			c.unsubscribe(name, cmd.ID)
		}
	}
	if hooks != nil {
		c.ask(hooks)
	}
	return refused
}

// tooMuch tells whether a command has looked through as many rules and patterns as it may in
// one turn.
func (s *Shard) tooMuch() bool { return limits.RuleWork*s.ruled > limits.TurnWork }

// goOnLater leaves the rest of a command for the next turn. TCP pushes the client back.
func (c *session) goOnLater(p part) {
	p.payload = bytes.Clone(p.payload)
	c.held = &heldInput{part: &p, waits: waitTurn}
	c.conn.PauseReading()
	c.shard.postponed.Push(c)
	c.shard.Counters.ReadCuts++
}

// goOn handles the next part of a command.
func (c *session) goOn(p part) {
	s := c.shard
	cmd := &s.command
	s.ruled = 0
	if c.dialect().Parse(cmd, p.payload, p.binary) != nil || cmd.Type == command.Pong {
		return // it was parsed before
	}
	if charged := refusalCharge(c.eachChannel(cmd, p), 0); charged > 0 && c.charge(charged) && c.held == nil {
		c.throttle(nil)
	}
}
