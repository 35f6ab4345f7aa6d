package main

import (
	"fmt"
	"slices"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// asking holds the channels that a subscriber has to ask for, several in a message, one
// message at a time. The next message follows when each name of the last one has its
// answer, after the longest pause that one of the answers asks for.
type asking struct {
	channels []string
	at       places // where their subscriptions begin
	waiting  []int  // indices of the channels to ask for
	asked    []int  // indices of the channels in the message under way, in its order
	answered int    // of asked
	refused  []int  // of asked, to be asked for again
	pause    time.Duration
	id       uint64
	refusal  string // the first of them
	told     bool   // that the gateway refuses for now

	names, bytes int // of one message at most
}

const (
	// firstBytes is the length of the first message, which is sent before the
	// gateway has told its limits: none has a lower one.
	firstBytes = 128
	// Limits of a message to a gateway that does not send its own.
	batchNames = 128
	batchBytes = 4096
	// commandBytes is the most that a subscribe takes beside its names.
	commandBytes = 64
	// startBytes is the most that a name takes more with the beginning of its subscription, beside the epoch.
	startBytes = 64
)

func newAsking(channels []string, at places) *asking {
	a := &asking{channels: channels, at: at, names: batchNames, bytes: firstBytes}
	for i := range channels {
		a.waiting = append(a.waiting, i)
	}
	return a
}

// limit takes over what the gateway tells in its welcome.
func (a *asking) limit(l command.Limits) {
	a.names, a.bytes = batchNames, batchBytes
	if l.NamesPerCommand > 0 {
		a.names = min(l.NamesPerCommand, command.MaxChannels)
	}
	if l.MessageBytes > 0 {
		a.bytes = l.MessageBytes
	}
}

// next returns the next message, nil if there is none.
func (a *asking) next() []byte {
	n, size, live := 0, commandBytes, true
	var names []string
	var starts []command.Start
	for ; n < len(a.waiting) && n < a.names; n++ {
		name := a.channels[a.waiting[n]]
		start := a.at.start(name)
		if size += len(jsonscan.AppendString(nil, name)) + 1; !start.IsLive() {
			size += startBytes + len(jsonscan.AppendString(nil, start.Since.Epoch))
		}
		if n > 0 && size > a.bytes {
			break
		}
		live = live && start.IsLive()
		names, starts = append(names, name), append(starts, start)
	}
	if n == 0 {
		return nil
	}
	a.asked, a.waiting = a.waiting[:n:n], a.waiting[n:]
	a.answered, a.refused, a.pause = 0, nil, 0
	a.id++
	switch id := command.NewID(a.id); {
	case live:
		return command.AppendSubscribe(nil, id, names...)
	case n == 1:
		return command.AppendResume(nil, id, names[0], starts[0])
	default:
		return command.AppendResumes(nil, id, names, starts)
	}
}

// again has a channel asked for again. It tells whether that can be now: no message is under
// way.
func (a *asking) again(channel string) (now bool) {
	a.waiting = append(a.waiting, slices.Index(a.channels, channel))
	return a.answered == len(a.asked)
}

// answer counts an answer to the message under way; done tells that it was the
// last. Answers come in the order of the names (see docs/protocol.md).
func (a *asking) answer(m *command.ServerMessage) (done bool) {
	if !m.ID.Set || m.ID.Value != a.id || a.answered == len(a.asked) {
		return false
	}
	if m.Kind == command.KindError {
		if len(a.refused) == 0 {
			a.refusal = fmt.Sprintf("%s: %s", m.Code, m.Message)
		}
		a.refused = append(a.refused, a.asked[a.answered])
		a.pause = max(a.pause, pauseOf(m.RetryAfterMS))
	}
	a.answered++
	if a.answered < len(a.asked) {
		return false
	}
	a.waiting = append(a.refused, a.waiting...)
	return true
}

// tell returns the text about the refusals of the last message, the first time that
// there are any.
func (a *asking) tell() string {
	if len(a.refused) == 0 || a.told {
		return ""
	}
	a.told = true
	return fmt.Sprintf("%s; trying again in %v, as the gateway asks", a.refusal, a.pause)
}
