package loadtest

import (
	"bytes"
	"net/netip"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/codec/websocket"
)

// fleetcastProfile is ProfileFleetcast.
type fleetcastProfile struct {
	publishPort netip.AddrPort
	message     command.ServerMessage
}

func (*fleetcastProfile) checkResponse(b []byte, key websocket.Key) error {
	_, err := websocket.CheckResponse(b, key, nil)
	return err
}

func (*fleetcastProfile) appendSubscribe(dst []byte, channel string) []byte {
	return command.AppendSubscribe(dst, command.ID{}, channel)
}

func (*fleetcastProfile) confirms() bool { return true }

func (p *fleetcastProfile) read(payload []byte) incoming {
	m := &p.message
	if m.Parse(payload) != nil {
		return incoming{}
	}
	switch m.Kind {
	case command.KindEvent:
		return incoming{kind: incomingEvent, channel: m.Channel, data: m.Data}
	case command.KindSubscribed:
		return incoming{kind: incomingSubscribed, channel: m.Channel, offset: m.Offset}
	case command.KindGap:
		return incoming{kind: incomingGap, channel: m.Channel, gap: span{int64(m.From), int64(m.To) + 1}}
	case command.KindWelcome, command.KindPong, command.KindGoodbye, command.KindUnknown:
		return incoming{kind: incomingNotice}
	case command.KindError:
		return incoming{kind: incomingRefusal, text: string(m.Code) + ": " + string(m.Message)}
	}
	return incoming{}
}

func (p *fleetcastProfile) newDoor() doorProtocol { return &ndjsonDoor{port: p.publishPort} }

// ndjsonDoor publishes on the publish port, without ids: only failures are
// answered.
type ndjsonDoor struct {
	port netip.AddrPort
	line []byte // an answer that has arrived in part
}

// maxAnswer bounds an answer of the publish port, in bytes.
const maxAnswer = 64 << 10

func (n *ndjsonDoor) address() netip.AddrPort { return n.port }

// greet has nothing to say: the first request decides the protocol.
func (n *ndjsonDoor) greet(d *door) { d.opened() }

func (n *ndjsonDoor) appendEvent(dst []byte, channel string, data []byte) []byte {
	dst = append(dst, `{"channel":`...)
	dst = jsonscan.AppendString(dst, channel)
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	return append(dst, "}\n"...)
}

// received takes answers, each of which is a failure.
func (n *ndjsonDoor) received(d *door, p []byte) {
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		n.line = append(n.line, line[:min(len(line), maxAnswer-len(n.line))]...)
		if whole {
			d.publisher.refused(string(n.line))
			n.line = n.line[:0]
		}
		p = rest
	}
}
