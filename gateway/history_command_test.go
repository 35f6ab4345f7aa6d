package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway"
)

// pageEvents are the events of a history, from one to another, each with its offset as data.
func pageEvents(from, to int) string {
	var events []string
	for n := from; n <= to; n++ {
		events = append(events, fmt.Sprintf(`{"offset":%d,"data":%d}`, n, n))
	}
	return "[" + strings.Join(events, ",") + "]"
}

// TestHistory asks for parts of a history of which the events from 11 to 40 are kept.
func TestHistory(t *testing.T) {
	const latest, first = 40, 11
	s := start(t, keeps(latest+1-first))
	p := s.publisher()
	epoch := ""
	for n := 1; n <= latest; n++ {
		epoch = p.publishes("news", fmt.Sprint(n)).Epoch
	}
	since := func(offset uint64) string { return fmt.Sprintf(`,"since":{"epoch":%q,"offset":%d}`, epoch, offset) }
	c := s.connect()
	for _, test := range []struct {
		ask      string
		from, to int
		more     bool
	}{
		{``, first, latest, false},
		{`,"limit":2`, 39, 40, true},
		{`,"limit":30`, first, latest, false},
		{`,"limit":1000`, first, latest, false},
		{`,"before":39,"limit":2`, 37, 38, true},
		{`,"before":13,"limit":2`, 11, 12, false},
		{`,"before":13,"limit":5`, 11, 12, false},
		{`,"before":11`, 1, 0, false},
		{`,"before":1`, 1, 0, false},
		{`,"before":41,"limit":1`, 40, 40, true},
		{`,"before":9007199254740991,"limit":1`, 40, 40, true},
		{since(38), 39, 40, false},
		{since(38) + `,"limit":1`, 39, 39, true},
		{since(39) + `,"limit":1`, 40, 40, false},
		{since(40), 1, 0, false},
		{since(41), 1, 0, false},
		{since(9007199254740991), 1, 0, false},
		{since(10) + `,"limit":2`, 11, 12, true},
		{since(0) + `,"limit":2`, 11, 12, true}, // those before are not kept
		{`,"since":{"epoch":"other","offset":38},"limit":2`, 11, 12, true},
		{`,"since":{"epoch":"","offset":9007199254740991}`, first, latest, false},
	} {
		c.says(`{"type":"history","id":5,"channel":"news"` + test.ask + `}`)
		c.wants(fmt.Sprintf(`{"type":"history","id":5,"channel":"news","epoch":%q,"latest":40,"events":%s,"more":%v}`, epoch, pageEvents(test.from, test.to), test.more))
	}
	c.says(`{"type":"history","channel":"unknown","since":{"epoch":"","offset":0}}`)
	c.wants(`{"type":"history","channel":"unknown","epoch":"","latest":0,"events":[],"more":false}`)
	c.says(`{"type":"history","id":6,"channel":"a b"}`)
	c.wants(`{"type":"error","id":6,"code":"bad_channel","message":"history \"a b\": a channel name holds a space or a control character"}`)
	if n := s.stats().Total.Subscriptions; n != 0 {
		t.Errorf("it has %d subscriptions", n)
	}
}

// TestHistoryInPages reads a history from its end and from its beginning, page by page. A
// page has at most 256 KiB of data, or one event.
func TestHistoryInPages(t *testing.T) {
	sizes := []int{100_000, 100_000, 62_144, 1000, 300_000, 300_000, 262_144, 1000}
	s := start(t, keeps(100), func(c *gateway.Config) { c.MaxEvent = 400_000 })
	p := s.publisher()
	epoch := ""
	for _, size := range sizes {
		epoch = p.publishes("news", `"`+strings.Repeat("x", size-2)+`"`).Epoch
	}
	type page struct {
		Events []struct {
			Offset int
			Data   string
		}
		More bool
	}
	c := s.connect()
	ask := func(where string) string {
		c.says(`{"type":"history","channel":"news"` + where + `}`)
		got := decode[page](c, c.text())
		offsets := make([]int, 0, len(got.Events))
		for _, e := range got.Events {
			offsets = append(offsets, e.Offset)
			if len(e.Data)+2 != sizes[e.Offset-1] {
				t.Errorf("event %d has %d bytes", e.Offset, len(e.Data)+2)
			}
		}
		return fmt.Sprint(offsets, got.More)
	}
	for _, test := range []struct{ where, want string }{
		{``, `[8] true`},
		{`,"before":8`, `[7] true`},
		{`,"before":7`, `[6] true`},
		{`,"before":6`, `[5] true`},
		{`,"before":5`, `[2 3 4] true`},
		{`,"before":2`, `[1] false`},
		{fmt.Sprintf(`,"since":{"epoch":%q,"offset":0}`, epoch), `[1 2 3] true`},
		{fmt.Sprintf(`,"since":{"epoch":%q,"offset":3}`, epoch), `[4] true`},
		{fmt.Sprintf(`,"since":{"epoch":%q,"offset":4}`, epoch), `[5] true`},
		{fmt.Sprintf(`,"since":{"epoch":%q,"offset":6}`, epoch), `[7] true`},
		{fmt.Sprintf(`,"since":{"epoch":%q,"offset":7}`, epoch), `[8] false`},
	} {
		if got := ask(test.where); got != test.want {
			t.Errorf("%s is answered with %s, want %s", test.where, got, test.want)
		}
	}
}

// readsHistory asks for the history of a channel, and returns how that is answered: with
// history, or an error's code.
func (p *peer) readsHistory(channel string) string {
	p.Helper()
	p.says(fmt.Sprintf(`{"type":"history","channel":%q}`, channel))
	m := decode[standing](p, p.text())
	return strings.TrimPrefix(m.Type, "error") + m.Code
}

// TestHistoryOfWhom: a client gets the history of channels that it may subscribe to, or is
// subscribed to, and of no other.
func TestHistoryOfWhom(t *testing.T) {
	s := start(t, identified)
	for _, channel := range []string{"chat.a", "orders.17", "other"} {
		s.publish(channel, "1")
	}
	stranger := s.shows()
	stranger.welcomed()
	if got := stranger.readsHistory("chat.a"); got != "authentication_required" {
		t.Errorf("somebody is answered with %s", got)
	}
	p := s.shows("Authorization: Bearer " + alice())
	p.welcomed()
	wants := func(channel, want string) {
		t.Helper()
		if got := p.readsHistory(channel); got != want {
			t.Errorf("the history of %s is answered with %s, want %s", channel, got, want)
		}
	}
	wants("chat.a", "history")
	wants("chat.unknown", "history")
	wants("other", "permission_denied")
	wants("orders.17", "permission_denied")
	p.subscribes("orders.17", signed(claims{"sub": "alice", "channel": "orders.*"}))
	wants("orders.17", "history")
	p.says(`{"type":"unsubscribe","channel":"orders.17"}`)
	p.text()
	wants("orders.17", "permission_denied")

	// A token may grant the history alone.
	p = s.shows("Authorization: Bearer " + signed(claims{"sub": "alice", "fleetcast": map[string]any{"history": []string{"orders.*"}}}))
	p.welcomed()
	wants("orders.17", "history")
	wants("chat.a", "permission_denied")
	p.says(`{"type":"subscribe","channel":"orders.17"}`)
	if got := decode[message](p, p.text()); got.Code != "permission_denied" {
		t.Errorf("with a grant of the history, subscribe is answered with %+v", got)
	}
}

// TestHistoryOfHook: where a hook decides about each subscription, who is subscribed gets the
// history. The hook is not asked.
func TestHistoryOfHook(t *testing.T) {
	h := newRoomHook(t)
	s := start(t, h.decides)
	s.publish("room.1", "1")
	p := s.connect()
	if got := p.readsHistory("room.1"); got != "permission_denied" {
		t.Errorf("before the hook has decided, the answer is %s", got)
	}
	if got := p.readsHistory("room.lobby"); got != "history" {
		t.Errorf("where no hook decides, the answer is %s", got)
	}
	if n := len(h.questions()); n != 0 {
		t.Errorf("the hook is asked %d questions", n)
	}
	p.says(`{"type":"subscribe","channel":"room.1"}`)
	p.text()
	if got := p.readsHistory("room.1"); got != "history" {
		t.Errorf("a subscriber is answered with %s", got)
	}
}
