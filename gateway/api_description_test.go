package gateway_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"fleetcast/gateway"
)

// TestRoutesAreDescribed compares the routes that the handler is made from with
// openapi.yaml, in both directions.
func TestRoutesAreDescribed(t *testing.T) {
	var described []string
	for path, item := range describe(t).Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	routes := gateway.APIRoutes()
	slices.Sort(described)
	slices.Sort(routes)
	if !slices.Equal(routes, described) {
		t.Errorf("the routes are\n%s, described are\n%s", strings.Join(routes, "\n"), strings.Join(described, "\n"))
	}
}

// TestStatsAreDescribed compares the members of an answer of /api/stats with openapi.yaml, in
// both directions.
func TestStatsAreDescribed(t *testing.T) {
	s := start(t, identified, newRoomHook(t).decides)
	var answer any
	if err := json.Unmarshal([]byte(operate(t, s.Gateway, gateway.Admin{}).get("/api/stats").body), &answer); err != nil {
		t.Fatal(err)
	}
	compareMembers(t, "the answer", describe(t).Components.Schemas["Stats"].Value, answer)
}

// compareMembers compares the members of a value, and of what it has in it, with a schema.
func compareMembers(t *testing.T, at string, schema *openapi3.Schema, value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			compareMembers(t, at, schema.Items.Value, item)
		}
	case map[string]any:
		for name, member := range value {
			described := schema.Properties[name]
			if described == nil {
				described = schema.AdditionalProperties.Schema
			}
			if described == nil {
				t.Errorf("%s of %s is not described", name, at)
				continue
			}
			compareMembers(t, name+" of "+at, described.Value, member)
		}
		for name := range schema.Properties {
			if _, has := value[name]; !has {
				t.Errorf("%s of %s is described, and is not there", name, at)
			}
		}
	}
}

// TestEveryDescribedAnswer brings about each status of each operation. That the
// answers are as described is what the operator checks.
func TestEveryDescribedAnswer(t *testing.T) {
	document := describe(t)
	met := make(map[string]bool)
	note := func(o *operator) {
		o.met.Range(func(key, _ any) bool {
			met[key.(string)] = true
			return true
		})
	}

	s := start(t, func(c *gateway.Config) {
		c.PublisherRate, c.PublisherCredits = gateway.Rate{PerSecond: 1.0 / 3600, Burst: 4}, 1
	})
	o := operate(t, s.Gateway, gateway.Admin{Drain: func() {}})
	p, id := s.connectKnown(0)
	p.subscribe("news")
	o.post("/api/publish", `{"id":1,"channel":"news","data":{"a":1}}`)
	s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
	o.post("/api/publish", `{"channels":["one","two"],"data":null}`)
	o.post("/api/publish", `{"channel":"one","data":1,"expect":{"epoch":"other","offset":1}}`)
	o.post("/api/publish", `{"channel":"one","data":"over the rate"}`)
	for _, path := range []string{"/api/stats", "/api/channels", "/api/clients/" + id, "/api/laggards", "/api/publishers", "/api/openapi.yaml", "/api/users/alice"} {
		o.get(path)
		o.get(path + "?nonsense=1")
	}
	o.operateHistory("news")
	const nobody = "/api/clients/0123456789abcdef"
	o.get(nobody)
	o.post(nobody+"/disconnect", "{}")
	s.publisher().publishes("news", "1")
	const first, noPublisher = "/api/publishers/1/disconnect", "/api/publishers/999/disconnect"
	o.post(noPublisher, "{}")
	for _, path := range []string{"/api/publish", "/api/drain", "/api/clients/" + id + "/disconnect", first, "/api/users/alice/disconnect", "/api/users/alice/unsubscribe"} {
		o.post(path, "x")
		// This is over each limit. The body waits for the answer, or that might be lost in
		// a reset; it is short enough for net/http to read to its end if it does come.
		o.call("POST", path, strings.Repeat(" ", 200<<10), jsonType, "Expect: 100-continue")
		o.call("POST", path, "{}", "Content-Type: text/plain")
		o.call("POST", path, "{}", jsonType, "Sec-Fetch-Site: cross-site")
	}
	o.post("/api/clients/"+id+"/disconnect", `{"reason":"over"}`)
	o.post(first, `{"reason":"over"}`)
	o.post("/api/users/alice/disconnect", `{"reason":"over","block_ms":1}`)
	o.post("/api/users/alice/unsubscribe", `{"channel":"news"}`)
	o.post("/api/drain", "{}")
	note(o)

	alone := operate(t, s.Gateway, gateway.Admin{Patience: 20 * time.Millisecond})
	alone.post("/api/drain", "")
	goOn := s.StallShards()
	for _, path := range []string{"/api/stats", nobody, "/api/laggards", "/api/publishers"} {
		alone.get(path)
	}
	alone.post(nobody+"/disconnect", "{}")
	alone.get("/api/users/alice")
	alone.post("/api/users/alice/disconnect", "{}")
	alone.post("/api/users/alice/unsubscribe", `{"channel":"news"}`)
	alone.post("/api/publishers/0123456789abcdef/disconnect", "{}")
	goOn()
	s.Close()
	s.awaitEnd()
	alone.post("/api/publish", `{"channel":"news","data":1}`)
	note(alone)

	note(refusedForKeys(t, document))

	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				number, _ := strconv.Atoi(status)
				if !met[method+" "+path+" "+http.StatusText(number)] {
					t.Errorf("%s %s was never answered with %s", method, path, status)
				}
			}
		}
	}
}

// refusedForKeys calls each operation without a key, with one that is for something else,
// and with wrong ones until these are too many.
func refusedForKeys(t *testing.T, document *openapi3.T) *operator {
	w := newWitness(t)
	publishText, publish := w.key("upstream", "**")
	adminText, admin := w.operatorKey("ops", gateway.KeyWrite)
	s, _ := startSeen(t, w, func(c *gateway.Config) { c.PublishKeys, c.AdminKeys = []gateway.Key{publish}, []gateway.Key{admin} })
	o := operate(t, s.Gateway, gateway.Admin{})
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			other := publishText
			if path == "/api/publish" {
				other = adminText
			}
			path := strings.ReplaceAll(path, "{id}", "0123456789abcdef")
			o.call(method, path, "", jsonType)
			o.call(method, path, "", jsonType, "Authorization: Bearer "+other)
			for range 12 {
				o.call(method, path, "", jsonType, "Authorization: Bearer "+publishText+"x")
			}
		}
	}
	return o
}

func TestDescriptionIsServed(t *testing.T) {
	text, err := os.ReadFile("admin/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t)
	o := operate(t, s.Gateway, gateway.Admin{})
	reply := o.get("/api/openapi.yaml")
	if reply.body != string(text) || reply.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("answered with %v and %d bytes", reply.header, len(reply.body))
	}
}
