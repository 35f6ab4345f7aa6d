package command_test

import (
	"bytes"
	"testing"
	"time"

	"fleetcast/codec/command"
)

// encode writes a parsed message again.
func encode(m *command.ServerMessage) []byte {
	switch m.Kind {
	case command.KindWelcome:
		return command.AppendWelcome(nil, m.Client, m.PingIntervalMS, m.Limits, standing(m))
	case command.KindAuthenticated:
		return command.AppendAuthenticated(nil, m.ID, standing(m))
	case command.KindSubscribed:
		return command.AppendSubscribed(nil, m.ID, m.Channel, m.Epoch, m.Offset, nil, &command.Standing{ExpiresMS: m.ExpiresMS, RefreshMS: m.RefreshMS})
	case command.KindUnsubscribed:
		if m.Code != nil {
			return command.AppendWithdrawn(nil, m.Channel, command.Code(m.Code))
		}
		return command.AppendUnsubscribed(nil, m.ID, m.Channel)
	case command.KindPublished:
		return command.AppendPublished(nil, m.ID, m.Channel, m.Offset)
	case command.KindPong:
		return command.AppendPong(nil, m.ID)
	case command.KindEvent:
		return command.AppendEvent(nil, command.AppendEventPrefix(nil, m.Channel), m.Offset, m.Data)
	case command.KindGap:
		return command.AppendGap(nil, m.Channel, m.From, m.To)
	case command.KindError:
		return command.AppendRefusal(nil, m.ID, &command.Error{
			Code: command.Code(m.Code), Message: string(m.Message), RetryAfter: time.Duration(m.RetryAfterMS) * time.Millisecond,
		})
	case command.KindGoodbye:
		return command.AppendGoodbye(nil, string(m.Reason), m.RetryAfterMS)
	}
	return nil
}

func standing(m *command.ServerMessage) *command.Standing {
	return &command.Standing{
		User: string(m.User), ExpiresMS: m.ExpiresMS, RefreshMS: m.RefreshMS, Ticket: string(m.Ticket), WithinMS: m.WithinMS,
	}
}

func TestServerMessageRoundTrip(t *testing.T) {
	var m command.ServerMessage
	kinds := map[command.Kind]bool{}
	for _, tt := range messages {
		if err := m.Parse([]byte(tt.want)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		kinds[m.Kind] = true
		if m.Kind != command.KindUnknown && !bytes.Equal(encode(&m), []byte(tt.want)) {
			t.Errorf("%s: %s came back as %s", tt.name, tt.want, encode(&m))
		}
	}
	if len(kinds) != 11 {
		t.Errorf("%d kinds seen, want all 10 and the unknown one", len(kinds))
	}
}

func TestServerMessageFaults(t *testing.T) {
	var m command.ServerMessage
	for _, payload := range []string{
		``, `[]`, `{}`, `{"type":1}`, `{"type":"pong"`, `{"type":"pong","type":"pong"}`, `{"type":"pong","id":-1}`,
		`{"type":"welcome","client":"x"}`, `{"type":"subscribed","channel":"a","epoch":"e"}`, `{"type":"unsubscribed"}`,
		`{"type":"published","channel":"a"}`, `{"type":"event","channel":"a","offset":1}`, `{"type":"event","channel":"a","data":1}`,
		`{"type":"event","channel":1,"offset":1,"data":1}`, `{"type":"event","channel":"a","offset":"1","data":1}`,
		`{"type":"gap","channel":"a","from":1}`, `{"type":"error","code":"x"}`, `{"type":"goodbye","reason":"x"}`,
	} {
		if err := m.Parse([]byte(payload)); err == nil {
			t.Errorf("%s: accepted as kind %d", payload, m.Kind)
		}
	}
}

func FuzzServerMessage(f *testing.F) {
	for _, tt := range messages {
		f.Add([]byte(tt.want))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var m, again command.ServerMessage
		if m.Parse(payload) != nil || m.Kind == command.KindUnknown {
			return
		}
		text := encode(&m)
		if err := again.Parse(text); err != nil || !bytes.Equal(encode(&again), text) {
			t.Fatalf("%q became %q, which comes back as %q, %v", payload, text, encode(&again), err)
		}
	})
}
