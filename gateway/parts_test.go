package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestCommandInParts: what a client's command names is answered in order, although the patterns
// of its grants take so long that the command is handled in many turns, and a hook decides about
// some of the channels. What comes behind the command is answered behind it.
func TestCommandInParts(t *testing.T) {
	h := newRoomHook(t)
	var patterns []string
	for i := range 8 {
		patterns = append(patterns, strings.Repeat("*a", 100)+fmt.Sprint("b", i))
	}
	list, err := json.Marshal(append(patterns, "room.**", "chat.*"))
	if err != nil {
		t.Fatal(err)
	}
	token := signed(claims{"sub": "alice", "fleetcast": grants(`{"subscribe":` + string(list) + `}`)})
	for name, every := range map[string]struct{ chat, room int }{"no hook": {3, 1000}, "a hook late": {3, 70}, "a hook now and then": {4, 9}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, identified, h.decides, noRates)
			p := s.shows("Authorization: Bearer " + token)
			p.welcomed()
			var names []string
			for i := range 120 {
				switch {
				case i%every.room == every.room-1:
					names = append(names, fmt.Sprint("room.", i))
				case i%every.chat == 0:
					names = append(names, fmt.Sprint("chat.", i))
				default:
					names = append(names, fmt.Sprint(strings.Repeat("a", 220), i))
				}
			}
			all, err := json.Marshal(names)
			if err != nil {
				t.Fatal(err)
			}
			p.says(fmt.Sprintf(`{"type":"subscribe","id":1,"channels":%s}`, all))
			p.says(ping)
			subscriptions := 0
			for _, channel := range names {
				m := decode[standing](p, p.text())
				denied := strings.HasPrefix(channel, "a")
				if m.ID != 1 || denied && m.Code != "permission_denied" || !denied && (m.Type != "subscribed" || m.Channel != channel) {
					t.Fatalf("answered with %+v about %s", m, channel)
				}
				if !denied {
					subscriptions++
				}
			}
			p.wants(pong)
			st := s.stats()
			if st.Total.ReadCuts < 10 || st.Total.Subscriptions != int64(subscriptions) {
				t.Errorf("%d cuts, %d subscriptions", st.Total.ReadCuts, st.Total.Subscriptions)
			}
			p.says(fmt.Sprintf(`{"type":"unsubscribe","id":1,"channels":%s}`, all))
			for range names {
				p.text()
			}
			p.says(ping)
			p.wants(pong)
		})
	}
}
