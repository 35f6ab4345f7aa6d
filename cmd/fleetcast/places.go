package main

import (
	"fmt"
	"regexp"
	"slices"

	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/command"
)

// position is the value of --since.
type position struct{ command.Since }

// UnmarshalText reads EPOCH:OFFSET.
func (p *position) UnmarshalText(text []byte) (err error) {
	p.Since, err = command.ParsePosition(string(text))
	return err
}

// start is where a subscription begins that goes on from p, or that goes back so many events.
func (p *position) start(last int) command.Start {
	return command.Start{Since: p.Since, HasSince: p.Epoch != nil, Last: uint32(last)}
}

// places are how far a subscriber has come in its channels, over all of its connections.
type places map[string]*place

// place is how far it has come in one channel.
type place struct {
	start   command.Start // of the next subscription; live: it does not matter
	reached bool          // start is where the last subscription stood
}

// newPlaces are those before the first connection.
func newPlaces(c *subscribeCommand) places {
	at := make(places)
	for _, name := range c.Channels {
		at[name] = &place{start: c.Since.start(c.Last)}
	}
	return at
}

// start is where the next subscription to a channel begins.
func (at places) start(channel string) command.Start { return at[channel].start }

// reach notes the last event of a channel that was printed, or is lost.
func (at places) reach(channel []byte, offset uint64) {
	if p := at[string(channel)]; p != nil {
		p.start.Since.Offset = offset
	}
}

// begin takes the answer to a subscription. It returns what is to be said about what came
// before.
func (at places) begin(m *command.ServerMessage) (says string) {
	p := at[string(m.Channel)]
	if p == nil { // the token has brought it
		p = new(place)
		at[string(m.Channel)] = p
	}
	says = said(&p.start, m)
	p.start = command.Start{HasSince: true, Since: command.Since{Epoch: slices.Clone(m.Epoch), Offset: m.Offset}}
	p.reached = true
	return says
}

// said is what the answer m means for a subscription that was to begin at start.
func said(start *command.Start, m *command.ServerMessage) string {
	since := &start.Since
	switch {
	case !start.HasSince:
		return following("earlier", m.Offset, m.Latest)
	case string(m.Epoch) != string(since.Epoch):
		return fmt.Sprintf("; the channel has begun anew, with epoch %s: events behind offset %d of epoch %s are lost%s",
			stdio.Printable(string(m.Epoch)), since.Offset, stdio.Printable(string(since.Epoch)), missedAnew(m.Offset))
	case m.Offset < since.Offset:
		return fmt.Sprintf("; the gateway does not know offset %d, so it is not known what was missed", since.Offset)
	case m.LostFrom > 0:
		return fmt.Sprintf("; events %d to %d are lost, because they are not kept any more%s", m.LostFrom, m.LostTo, following("missed", m.LostTo, m.Latest))
	case m.Offset > since.Offset: // the gateway was not asked, or does not look at since
		return fmt.Sprintf("; events %d to %d are lost", since.Offset+1, m.Offset)
	default:
		return following("missed", m.Offset, m.Latest)
	}
}

// following says how many earlier events come.
func following(which string, behind, latest uint64) string {
	switch {
	case latest <= behind:
		return ""
	case latest == behind+1:
		return fmt.Sprintf("; 1 %s event follows", which)
	}
	return fmt.Sprintf("; %d %s events follow", latest-behind, which)
}

// missedAnew says which events of the new epoch are lost.
func missedAnew(offset uint64) string {
	if offset == 0 {
		return ""
	}
	return fmt.Sprintf(", and events 1 to %d of the new epoch do not come; fleetcast history prints those that are kept", offset)
}

// tell says where to go on. Only one channel can. What it says goes into a shell, so it is
// nothing if the gateway's epoch is none of a gateway.
func (at places) tell(channels []string) string {
	if len(channels) != 1 || !at[channels[0]].reached || !epochs.Match(at[channels[0]].start.Since.Epoch) {
		return ""
	}
	return fmt.Sprintf("to go on from here, add --since %s", at[channels[0]].start.Since)
}

// epochs are the texts that gateways have for epochs.
var epochs = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)
