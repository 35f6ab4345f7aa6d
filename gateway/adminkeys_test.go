package gateway_test

import (
	"strings"
	"testing"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// TestAdminKeys asks each path of the admin port with each kind of key.
func TestAdminKeys(t *testing.T) {
	w := newWitness(t)
	publishText, publish := w.key("upstream", "news")
	readText, read := w.operatorKey("prometheus", keys.Read)
	writeText, write := w.operatorKey("ops", keys.Write)
	s, _ := startSeen(t, w, func(c *gateway.Config) {
		c.PublishKeys, c.AdminKeys = []gateway.Key{publish}, []gateway.Key{read, write}
	})
	drains := 0
	o := operate(t, s.Gateway, gateway.Admin{Drain: func() { drains++ }})
	const event = `{"channel":"news","data":1}`
	for _, test := range []struct {
		method, path, body           string
		none, publisher, reader, all int
	}{
		{"GET", "/", "", 200, 200, 200, 200},
		{"GET", "/dashboard/dashboard.js", "", 200, 200, 200, 200},
		{"GET", "/healthz", "", 200, 200, 200, 200},
		{"GET", "/readyz", "", 200, 200, 200, 200},
		{"GET", "/metrics", "", 401, 403, 200, 200},
		{"HEAD", "/metrics", "", 401, 403, 200, 200},
		{"GET", "/api/stats", "", 401, 403, 200, 200},
		{"GET", "/api/openapi.yaml", "", 401, 403, 200, 200},
		{"GET", "/api/none", "", 401, 403, 404, 404},
		{"GET", "/none", "", 401, 403, 404, 404},
		{"GET", "/dashboard/../api/stats", "", 401, 403, 200, 200},
		{"GET", "/dashboard/%2e%2e/api/stats", "", 401, 403, 404, 404},
		{"GET", "//api/stats", "", 401, 403, 200, 200},
		{"GET", "/api/channels", "", 401, 403, 200, 200},
		{"GET", "/api/channels/none/history", "", 401, 403, 403, 404},
		{"HEAD", "/api/channels/none/history", "", 401, 403, 403, 404},
		{"GET", "/api/%63hannels/none/history", "", 401, 403, 403, 404},
		{"GET", "/api/stats/../channels/none/history", "", 401, 403, 403, 404},
		{"DELETE", "/api/channels/none/history", "", 401, 403, 403, 404},
		{"GET", "/debug/pprof/", "", 401, 403, 403, 200},
		{"GET", "/debug/pprof/cmdline", "", 401, 403, 403, 200},
		{"POST", "/debug/pprof/symbol", "", 401, 403, 403, 200},
		{"POST", "/api/drain", "{}", 401, 403, 403, 202},
		{"POST", "/api/publishers/999/disconnect", "{}", 401, 403, 403, 404},
		{"PUT", "/api/stats", "", 401, 403, 403, 405},
		{"OPTIONS", "/api/stats", "", 401, 403, 403, 405},
		{"GET", "/api/publish", "", 401, 405, 403, 403},
		{"POST", "/api/publish", event, 401, 200, 403, 403},
		{"POST", "/api/publish", `{"channel":"secret","data":1}`, 401, 403, 403, 403},
		{"POST", "/api/publish", `{"channels":["news","secret"],"data":1}`, 401, 403, 403, 403},
		{"POST", "/api/publish", `{"auth":"` + publishText + `"}`, 401, 400, 403, 403},
	} {
		for name, by := range map[string]struct {
			header string
			status int
		}{
			"nobody":             {"X-None: 1", test.none},
			"basic":              {"Authorization: Basic " + writeText, test.none},
			"an empty one":       {"Authorization: Bearer ", test.none},
			"a publisher":        {"Authorization: Bearer " + publishText, test.publisher},
			"a reader":           {"Authorization: bearer  " + readText, test.reader},
			"an operator":        {"Authorization: Bearer " + writeText, test.all},
			"the key as a query": {"X-Key: " + writeText, test.none},
		} {
			path := test.path
			if name == "the key as a query" {
				path += "?key=" + writeText
			}
			reply := o.call(test.method, path, test.body, by.header, jsonType)
			if reply.status != by.status && (name != "the key as a query" || reply.status != 400) {
				t.Errorf("%s %s by %s: answered with %d %s, want %d", test.method, test.path, name, reply.status, reply.body, by.status)
			}
			challenge := reply.header.Get("WWW-Authenticate")
			if (reply.status == 401) != strings.HasPrefix(challenge, `Bearer realm="fleetcast"`) && reply.status != 403 {
				t.Errorf("%s %s by %s: %d with the challenge %q", test.method, test.path, name, reply.status, challenge)
			}
		}
	}
	if drains != 1 {
		t.Errorf("%d drains", drains)
	}
	stats := s.stats()
	if stats.Publish.Events != 1 || stats.Publish.Errors["permission_denied"] != 2 || stats.AdminRefused["other_scope"] == 0 || stats.AdminRefused["authentication_required"] == 0 {
		t.Errorf("the counters are %+v and %v", stats.Publish, stats.AdminRefused)
	}
	if reply := o.call("GET", "/api/stats", "", "Authorization: Bearer "+writeText, "Sec-Fetch-Site: cross-site"); reply.status != 403 {
		t.Errorf("a foreign page with the key is answered with %d", reply.status)
	}
}

// TestOneKindOfKeys: publishing by the API needs a key where any keys are configured, and
// the rest of the admin port where some are configured for it.
func TestOneKindOfKeys(t *testing.T) {
	w := newWitness(t)
	publishText, publish := w.key("upstream", "**")
	_, admin := w.operatorKey("ops", keys.Write)
	const event = `{"channel":"news","data":1}`
	s, config := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys = []gateway.Key{publish} })
	o := s.operator()
	for step, want := range map[string][3]int{"only publish": {200, 401, 200}, "only admin": {401, 401, 401}, "none": {200, 200, 200}} {
		config.PublishKeys, config.AdminKeys = nil, nil
		switch step {
		case "only publish":
			config.PublishKeys = []gateway.Key{publish}
		case "only admin":
			config.AdminKeys = []gateway.Key{admin}
		}
		if err := s.Reconfigure(*config); err != nil {
			t.Fatal(err)
		}
		got := [3]int{o.get("/api/stats").status, o.post("/api/publish", event).status, o.call("POST", "/api/publish", event, "Authorization: Bearer "+publishText, jsonType).status}
		if got != want {
			t.Errorf("%s: answered with %v, want %v", step, got, want)
		}
	}
}

// TestWrongAdminKeys: after ten wrong keys an address is answered 429, and the right one is
// still taken.
func TestWrongAdminKeys(t *testing.T) {
	w := newWitness(t)
	text, admin := w.operatorKey("ops", keys.Read)
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.AdminKeys = []gateway.Key{admin} })
	o := s.operator()
	if reply := o.call("GET", "/api/stats", "", "Authorization: Bearer some-token"); reply.status != 401 || !strings.Contains(string(reply.body), "this is no key: keys begin with fck_") {
		t.Errorf("what is no key is answered with %d %s", reply.status, reply.body)
	}
	limited := 0
	for range 20 {
		reply := o.call("GET", "/api/stats", "", "Authorization: Bearer "+keys.New())
		switch {
		case reply.status == 401 && strings.Contains(reply.header.Get("WWW-Authenticate"), `error="invalid_token"`) && limited == 0:
		case reply.status == 429 && reply.header.Get("Retry-After") != "":
			limited++
		default:
			t.Fatalf("answered with %d %s", reply.status, reply.body)
		}
	}
	if limited < 5 { // on a machine that is slow, some are allowed again
		t.Errorf("%d of 20 are too many", limited)
	}
	if reply := o.call("GET", "/api/stats", "", "Authorization: Bearer "+text); reply.status != 200 {
		t.Errorf("the right key is answered with %d", reply.status)
	}
	if n := s.stats().AdminRefused["invalid_key"]; n != 21 {
		t.Errorf("%d are counted", n)
	}
}
