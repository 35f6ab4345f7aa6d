package command_test

import (
	"bytes"
	"fmt"
	"strings"
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
		return command.AppendSubscribed(nil, m.ID, m.Channel, m.Epoch, m.Offset, recovery(m), &command.Standing{ExpiresMS: m.ExpiresMS, RefreshMS: m.RefreshMS})
	case command.KindHistory:
		events, err := m.AppendEvents(nil)
		if err != nil {
			return nil
		}
		return command.AppendHistory(nil, m.ID, m.Channel, m.Epoch, &command.Page{Latest: m.Latest, Events: events, More: m.More})
	case command.KindUnsubscribed:
		if m.Code != nil {
			return command.AppendWithdrawn(nil, m.Channel, command.Code(m.Code))
		}
		return command.AppendUnsubscribed(nil, m.ID, m.Channel)
	case command.KindPublished:
		if m.Epoch != nil {
			return command.AppendPublishedAt(nil, m.ID, m.Channel, m.Epoch, m.Offset, m.Duplicate)
		}
		return command.AppendPublished(nil, m.ID, m.Channel, m.Offset)
	case command.KindPong:
		return command.AppendPong(nil, m.ID)
	case command.KindEvent:
		return command.AppendEvent(nil, command.AppendEventPrefix(nil, m.Channel), m.Offset, m.Data)
	case command.KindGap:
		return command.AppendGap(nil, m.Channel, m.From, m.To)
	case command.KindError:
		e := &command.Error{Code: command.Code(m.Code), Message: string(m.Message), RetryAfter: time.Duration(m.RetryAfterMS) * time.Millisecond}
		if m.Epoch != nil {
			e.Now = &command.Since{Epoch: m.Epoch, Offset: m.Offset}
		}
		return command.AppendRefusal(nil, m.ID, e)
	case command.KindGoodbye:
		return command.AppendGoodbye(nil, string(m.Reason), m.RetryAfterMS)
	}
	return nil
}

func recovery(m *command.ServerMessage) *command.Recovery {
	r := &command.Recovery{Resumes: m.Resumes, Recovered: m.Recovered, LostFrom: m.LostFrom, LostTo: m.LostTo, Latest: m.Latest}
	if *r == (command.Recovery{}) {
		return nil
	}
	return r
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
	if len(kinds) != 12 {
		t.Errorf("%d kinds seen, want all 11 and the unknown one", len(kinds))
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
		withLost(`null`), withLost(`[18,29]`), withLost(`{}`), withLost(`{"from":18}`), withLost(`{"to":29}`), withLost(`{"from":29,"to":18}`),
		withLost(`{"from":0,"to":29}`), withLost(`{"from":18,"to":"29"}`), withLost(`{"to":"29","from":18}`), withLost(`{"from":18,"to":29,"from":18}`),
		withLost(`{"to":9007199254740992,"from":18}`), withLost(`{"from":18,"to":9007199254740992}`), withLost(`{"from":18,"to":29},"lost":{"from":18,"to":29}`),
		subscribedWith(`"recovered":1`), subscribedWith(`"recovered":"true"`), subscribedWith(`"recovered":null`), subscribedWith(`"recovered":true,"recovered":true`),
		subscribedWith(`"latest":-1`), subscribedWith(`"latest":null`), subscribedWith(`"events":{}`), subscribedWith(`"more":0`),
		`{"type":"history","channel":"a","epoch":"e","latest":1,"events":[]}`, `{"type":"history","channel":"a","epoch":"e","latest":1,"more":true}`,
		`{"type":"history","channel":"a","epoch":"e","events":[],"more":true}`, `{"type":"history","channel":"a","latest":1,"events":[],"more":true}`,
		`{"type":"history","epoch":"e","latest":1,"events":[],"more":true}`, `{"type":"history","channel":"a","epoch":"e","latest":1,"events":[1,"more":true}`,
	} {
		if err := m.Parse([]byte(payload)); err == nil {
			t.Errorf("%s: accepted as kind %d", payload, m.Kind)
		}
	}
}

func subscribedWith(members string) string {
	return `{"type":"subscribed","channel":"a","epoch":"e","offset":17,` + members + `}`
}

func withLost(value string) string { return subscribedWith(`"lost":` + value) }

// TestRecoveryIsRead has what a client reads of a subscribed that is worded in another way than
// this package words it.
func TestRecoveryIsRead(t *testing.T) {
	type read struct {
		resumes, recovered       bool
		lostFrom, lostTo, latest uint64
	}
	var m command.ServerMessage // one for all: nothing may be left over from the message before
	for _, tt := range []struct {
		members string
		want    read
	}{
		{`"lost":{"x":[],"to":29,"more":{},"from":18},"recovered":false,"latest":40`, read{true, false, 18, 29, 40}},
		{`"latest":18,"recovered":false,"lost":{"from":18,"to":18}`, read{true, false, 18, 18, 18}},
		{`"x":1`, read{}},
		{`"recovered":true,"latest":17`, read{true, true, 0, 0, 17}},
		{`"latest":0`, read{}},
		{`"recovered":false,"latest":0`, read{resumes: true}},
	} {
		if err := m.Parse([]byte(subscribedWith(tt.members))); err != nil {
			t.Errorf("%s: %v", tt.members, err)
		}
		if got := (read{m.Resumes, m.Recovered, m.LostFrom, m.LostTo, m.Latest}); got != tt.want {
			t.Errorf("%s: read as %+v, want %+v", tt.members, got, tt.want)
		}
	}
}

func TestAppendEvents(t *testing.T) {
	kept := []command.PageEvent{{Offset: 7, Data: []byte(`7`)}}
	for _, tt := range []struct{ events, want string }{
		{`[]`, `7:7`},
		{` [ { "x" : {} , "data" : [1, 2] , "\u006fffset" : 18 } , {"offset":19,"data":null,"x":1,"x":2} ] `, `7:7 18:[1, 2] 19:null`},
		{`[{"offset":1,"data":` + nested(20_000) + `}]`, `7:7 1:` + nested(20_000)},
		{`[1]`, ``}, {`[[]]`, ``}, {`[null]`, ``}, {`[{}]`, ``}, {`[{"offset":1}]`, ``}, {`[{"data":1}]`, ``},
		{`[{"offset":"1","data":1}]`, ``}, {`[{"offset":-1,"data":1}]`, ``}, {`[{"offset":9007199254740992,"data":1}]`, ``},
		{`[{"offset":1,"offset":1,"data":1}]`, ``}, {`[{"offset":1,"data":1,"data":1}]`, ``}, {`[{"offset":1,"data":1},2]`, ``},
	} {
		var m command.ServerMessage
		payload := `{"type":"history","channel":"a","epoch":"e","latest":40,"events":` + tt.events + `,"more":false}`
		if err := m.Parse([]byte(payload)); err != nil {
			t.Errorf("%.80s: %v", payload, err)
			continue
		}
		events, err := m.AppendEvents(kept)
		texts := make([]string, 0, len(events))
		for _, e := range events {
			texts = append(texts, fmt.Sprintf("%d:%s", e.Offset, e.Data))
		}
		if got := strings.Join(texts, " "); (err == nil) != (tt.want != "") || err == nil && got != tt.want {
			t.Errorf("%.80s: read as %.80s, %v, want %.80s", tt.events, got, err, tt.want)
		}
	}
	if events, err := new(command.ServerMessage).AppendEvents(nil); err == nil {
		t.Errorf("a message that is no history has the events %v", events)
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
		if text == nil { // a history whose events are wrong
			return
		}
		if err := again.Parse(text); err != nil || !bytes.Equal(encode(&again), text) {
			t.Fatalf("%q became %q, which comes back as %q, %v", payload, text, encode(&again), err)
		}
	})
}
