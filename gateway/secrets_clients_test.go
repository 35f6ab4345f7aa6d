package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// adminShows is what the admin port shows of the whole gateway.
var adminShows = []string{
	"/", "/healthz", "/readyz", "/metrics", "/api/stats", "/api/channels", "/api/publishers", "/api/laggards", "/api/users/alice", "/api/none",
	"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/goroutine?debug=1", "/debug/pprof/heap?debug=1", "/debug/pprof/heap",
	"/debug/pprof/allocs?debug=1", "/debug/pprof/block?debug=1", "/debug/pprof/mutex?debug=1", "/debug/pprof/threadcreate?debug=1", "/debug/pprof/trace?seconds=0.05",
}

// secretsOfClients are tokens and a ticket, good ones and others, by names.
func secretsOfClients(s *server) map[string]string {
	s.Helper()
	ticket := s.shows("Authorization: Bearer " + alice()).welcomed().Ticket
	return map[string]string{
		"right": alice(), "ticket": ticket, "forged": forged(1), "expired": signed(claims{"sub": "alice", "exp": 1}),
		"of another issuer": signed(claims{"iss": "elsewhere"}), "for a subscription": signed(claims{"sub": "alice", "channel": "chat.*"}), "cut": alice()[:100],
	}
}

// TestSecretsOfClients: tokens and tickets, where they belong and where they do not, are in no
// log, metric, profile or answer of the admin port, even if the decider panics with them.
func TestSecretsOfClients(t *testing.T) {
	w := newWitness(t)
	operatorText, admin := w.operatorKey("ops", keys.Write)
	h := hookThatSays(t, `{"user":"alice","grants":{"subscribe":["chat.*"]}}`)
	s, _ := startSeen(t, w, identified, h.asked, func(c *gateway.Config) {
		c.TokenCookie, c.AdminKeys = "session", []gateway.Key{admin}
		c.Decider = &gateway.Decider{AtOnce: 100, Decide: func(_ context.Context, r gateway.ConnectRequest) *gateway.ConnectRefusal {
			if r.Query == "panic" {
				panic(fmt.Sprint("no client with ", r.Values("authorization"), r.Values("cookie")))
			}
			return nil
		}}
	})
	all := secretsOfClients(s)
	w.secrets = append(w.secrets, secret)
	for name, text := range all {
		w.secrets = append(w.secrets, text)
		if last := strings.LastIndexByte(text, '.'); name != "cut" && len(text)-last > 20 {
			w.secrets = append(w.secrets, text[last:]) // the signature alone
		}
		for _, lines := range [][]string{
			{"Authorization: Bearer " + text}, {"Authorization: Basic " + text}, {"Authorization: " + text}, {"Authorization: Bearer " + text + " x"},
			{"Sec-WebSocket-Protocol: fleetcast.v1, bearer." + text}, {"Sec-WebSocket-Protocol: bearer." + text}, {"Sec-WebSocket-Protocol: " + text},
			{"Origin: http://localhost", "Cookie: session=" + text}, {"Origin: http://" + text}, {"Cookie: session=" + text}, {"User-Agent: " + text},
			{"X-Forwarded-For: " + text}, {"Sec-WebSocket-Extensions: " + text}, {"Sec-WebSocket-Key: " + text}, {text + ": x"},
		} {
			s.shows(lines...).Close()
		}
		for _, target := range []string{"/ws?token=" + text, "/ws/" + text, "/" + text, "/ws?panic"} {
			p := s.dialRaw()
			p.sends(strings.Replace(head, "/ws", target, 1) + "Authorization: Bearer " + text + "\r\n\r\n")
			p.responseHead()
			p.Close()
		}
		p := s.shows("Authorization: Bearer " + alice())
		p.welcomed()
		for _, command := range []string{
			`{"type":"authenticate","id":1,"token":%q}`, `{"type":"authenticate","id":1,"token":[%q]}`, `{"type":"subscribe","id":1,"channel":"chat.a","token":%q}`,
			`{"type":"subscribe","id":1,"channel":%q}`, `{"type":%q,"id":1}`, `{"type":"publish","id":1,"channel":"chat.a","data":%q}`, `{"type":"ping","id":%q}`,
		} {
			p.says(fmt.Sprintf(command, text))
			p.text()
		}
		p.says(text)
		p.text()
		p.Close()
	}
	o := s.operator()
	for _, path := range adminShows {
		reply := o.call("GET", path, "", "Authorization: Bearer "+operatorText)
		for _, secret := range w.secrets {
			if strings.Contains(reply.body, secret) {
				t.Errorf("%s shows a secret", path)
			}
		}
	}
	s.Close()
	s.awaitEnd() // it logs the rest
	if log := w.logged(); !strings.Contains(log, "no client with") || !strings.Contains(log, "token_refused") {
		t.Errorf("the log has not been captured:\n%s", log)
	}
}
