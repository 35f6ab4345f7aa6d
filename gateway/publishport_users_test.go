package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"fleetcast/gateway"
)

// TestPublisherAboutUsers does by lines what /api/users does, between events of one read.
func TestPublisherAboutUsers(t *testing.T) {
	s := start(t, identified)
	first, second := s.shows("Authorization: Bearer "+alice()), s.shows("Authorization: Bearer "+alice())
	first.welcomed()
	second.welcomed()
	first.subscribe("chat.a")
	p := s.publisher()
	p.sends(strings.Join([]string{
		`{"id":1,"channel":"chat.a","data":1,"user":"alice","disconnect":5,"user":1}`, // an event, whatever else it has
		`{"id":2,"user":"alice"}`,
		`{"id":3,"user":"alice","unsubscribe":"chat.a"}`,
		`{"user":"nobody","disconnect":{}}`,
		`{"id":4,"user":"alice","disconnect":{"reason":"spam","block_ms":600000}}`,
		`{"id":5,"channel":"chat.a","data":1}`,
		`{"id":6,"user":"alice","disconnect":{"block_ms":0}}`,
	}, "\n")) // the last line without an end
	if err := p.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"id":1,"results":[{"channel":"chat.a",`, `{"id":2,"user":"alice","total":2,"connections":[{"client":"`,
		`{"id":3,"user":"alice","channel":"chat.a","unsubscribed":1}`, `{"id":4,"user":"alice","disconnected":2,"blocked_until":"`,
		`{"id":5,"results":[{"channel":"chat.a",`, `{"id":6,"user":"alice","disconnected":0}`,
	} {
		if line := p.line(); !strings.HasPrefix(line, want) {
			t.Errorf("answered with %s, want %s", line, want)
		}
	}
	p.ends()
	if m := decode[message](first, first.text()); m.Channel != "chat.a" || m.Type != "event" {
		t.Errorf("the client gets %+v", m)
	}
	if m := decode[standing](first, first.text()); m.Type != "unsubscribed" || m.Code != "withdrawn" {
		t.Errorf("the client is told %+v", m)
	}
	for _, client := range []*peer{first, second} {
		if code, reason := client.closed(); code != 4403 || reason != "spam" {
			t.Errorf("closed with %d %q", code, reason)
		}
	}
	s.shows("Authorization: Bearer " + alice()).welcomed() // blocked no more
}

// TestPublisherAboutUsersRefused: what is wrong, and keys that are not for it.
func TestPublisherAboutUsersRefused(t *testing.T) {
	w := newWitness(t)
	text, k := w.key("backend", "news")
	other, publishes := w.key("prices", "prices.**")
	k.Users = true
	s, _ := startSeen(t, w, identified, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{k, publishes} })
	p := s.publisher()
	p.sends(auth(text))
	p.line()
	for line, want := range map[string]string{
		`"user":"bob"`:              `"total":0,"connections":[]}`,
		`"user":""`:                 `"error":{"code":"bad_request","message":"a user's name`,
		`"user":1`:                  `"error":{"code":"bad_request","message":"user must`,
		`"user":"a","user":"b"`:     `"error":{"code":"bad_request","message":"a key is repeated`,
		`"user":"a","disconnect":1`: `"error":{"code":"bad_request","message":"disconnect must`,
		`"user":"a","disconnect":{"block_ms":-1}`:      `"error":{"code":"bad_request","message":"block_ms`,
		`"user":"a","disconnect":{"unblock":1}`:        `"error":{"code":"bad_request","message":"`,
		`"user":"a","disconnect":{},"unsubscribe":"x"`: `"error":{"code":"bad_request","message":"disconnect and`,
		`"user":"a","unsubscribe":"a b"`:               `"error":{"code":"bad_channel"`,
		`"user":"` + strings.Repeat("x", 256) + `"`:    `"error":{"code":"bad_request","message":"a user's name`,
		`"disconnect":{}`:                              `"error":{"code":"bad_request","message":"channel is missing`,
		`"user":"a","channel":"news"`:                  `"error":{"code":"bad_request","message":"data is missing`,
	} {
		p.sends(fmt.Sprintf(`{"id":1,%s}`+"\n", line))
		if got := p.line(); !strings.HasPrefix(got, `{"id":1,`) || !strings.Contains(got, want) {
			t.Errorf("%s is answered with %s", line, got)
		}
	}
	p = s.publisher()
	p.sends(auth(other) + `{"id":2,"user":"alice","disconnect":{"block_ms":60000}}` + "\n")
	p.line()
	if got := p.line(); !strings.HasPrefix(got, `{"id":2,"error":{"code":"permission_denied"`) {
		t.Errorf("a key that is not for users is answered with %s", got)
	}
	s.shows("Authorization: Bearer " + alice()).welcomed()
	o := s.operator()
	o.refused(o.call("POST", "/api/publish", `{"user":"alice"}`, jsonType, "Authorization: Bearer "+text), http.StatusBadRequest, "bad_request", "user")
}
