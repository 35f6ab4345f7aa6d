package gateway_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/dialect/fleetcastv1"
)

// toy is another dialect: lines of text, in which the data of an event is quoted. It
// takes binary messages too, pings with a message and has its own close codes. It
// counts the events that it words.
type toy struct{ worded *atomic.Int64 }

const toyName = "toy.v2"

func (toy) Subprotocol() string { return toyName }

var errToyWords = &command.Error{Code: command.BadRequest, Message: "say join, leave, say or hello?"}

func (toy) Parse(cmd *command.Command, payload []byte, _ bool) error {
	cmd.Reset()
	verb, rest, _ := bytes.Cut(payload, []byte(" "))
	name, data, _ := bytes.Cut(rest, []byte(" "))
	switch string(verb) {
	case "join":
		cmd.Type = command.Subscribe
	case "leave":
		cmd.Type = command.Unsubscribe
	case "say":
		cmd.Type, cmd.Data = command.Publish, data
	case "hello?":
		cmd.Type = command.Ping
		return nil
	case "here":
		cmd.Type = command.Pong
		return nil
	default:
		return errToyWords
	}
	cmd.Channels = append(cmd.Channels, name)
	return nil
}

func says(dst []byte, format string, values ...any) []byte {
	return websocket.AppendFrame(dst, ws.OpText, fmt.Appendf(nil, format, values...))
}

func (toy) AppendWelcome(dst []byte, w dialect.Welcome) []byte {
	return says(dst, "hello %s, up to %d channels, pings every %v", w.Client, w.Limits.Channels, w.PingInterval)
}

func (toy) AppendReply(dst []byte, r dialect.Reply) []byte {
	switch r.To {
	case command.Subscribe:
		return says(dst, "joined %s %s %d", r.Channel, r.Epoch, r.Offset)
	case command.Unsubscribe:
		return says(dst, "left %s", r.Channel)
	case command.Publish:
		return says(dst, "said %s %d", r.Channel, r.Offset)
	}
	return says(dst, "hello!")
}

func (toy) AppendRefusal(dst []byte, r dialect.Reply, err *command.Error) []byte {
	return says(dst, "no %v of %q: %s", r.To, r.Channel, err.Code)
}

func (toy) AppendWithdrawn(dst []byte, channel string, code command.Code) []byte {
	return says(dst, "no more %s: %s", channel, code)
}

func (toy) AppendGap(dst []byte, channel string, from, to uint64) []byte {
	return says(dst, "lost %s %d %d", channel, from, to)
}

func (toy) AppendPing(dst []byte) []byte { return says(dst, "there?") }

func (toy) AppendGoodbye(dst []byte, reason string, retryAfter time.Duration) []byte {
	return says(dst, "bye: %s, %t", reason, retryAfter < time.Minute)
}

func (toy) AppendClose(dst []byte, code ws.StatusCode, text string) []byte {
	return websocket.AppendClose(dst, code+3000, strings.ToUpper(text))
}

func (toy) AppendPrefix(dst []byte, channel string) []byte {
	return append(append(dst, channel...), ' ')
}

func (toy) EventSize(prefix []byte, e *dialect.Event) int { return len(prefix) + 2*len(e.Data) }

func (t toy) AppendEvent(dst, prefix []byte, e *dialect.Event) (out []byte, data int) {
	t.worded.Add(1)
	return says(dst, "event %s%d %q", prefix, e.Offset, e.Data), -1
}

// toyEvent is how it words an event.
func toyEvent(channel string, offset uint64, data string) string {
	return fmt.Sprintf("event %s %d %q", channel, offset, data)
}

// toyMessage is what one of its texts says of a channel.
func toyMessage(tb testing.TB, text string) (m message) {
	tb.Helper()
	words := strings.SplitN(text, " ", 4)
	number := func(i int) uint64 {
		n, err := strconv.ParseUint(words[i], 10, 64)
		if err != nil {
			tb.Fatalf("received %.80q", text)
		}
		return n
	}
	m.Channel = words[1]
	switch words[0] {
	case "event":
		data, err := strconv.Unquote(words[3])
		if err != nil {
			tb.Fatalf("received %.80q: %v", text, err)
		}
		m.Type, m.Offset, m.Data = "event", number(2), []byte(data)
	case "lost":
		m.Type, m.From, m.To = "gap", number(2), number(3)
	default:
		tb.Fatalf("received %.80q, want an event or a gap", text)
	}
	return m
}

// counted is fleetcast.v1, with the events that it words counted.
type counted struct {
	fleetcastv1.Dialect
	worded *atomic.Int64
}

func (c counted) AppendEvent(dst, prefix []byte, e *dialect.Event) (out []byte, data int) {
	c.worded.Add(1)
	return c.Dialect.AppendEvent(dst, prefix, e)
}
