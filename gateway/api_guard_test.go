package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway"
)

// posts are what changes something, with bodies that are accepted.
func posts(id string) map[string]string {
	return map[string]string{
		"/api/publish":                       `{"channel":"news","data":1}`,
		"/api/clients/" + id + "/disconnect": "{}",
		"/api/drain":                         "{}",
	}
}

// TestForgedRequests has what a web page can make its visitor's browser send. None
// may do anything.
func TestForgedRequests(t *testing.T) {
	s := start(t)
	var drains atomic.Int32
	o := operate(t, s.Gateway, gateway.Admin{Drain: func() { drains.Add(1) }})
	p, id := s.connectKnown(0)
	p.subscribe("news")
	for path, body := range posts(id) {
		for _, kind := range []string{
			"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, text/plain",
			"text/json", "application/jsonx", "text/plain; application/json", "", "/", "application/json;;",
		} {
			o.refused(o.call("POST", path, body, "Content-Type: "+kind), 415, "unsupported_media_type", "application/json")
		}
		o.refused(o.call("POST", path, body, "Accept: */*"), 415, "unsupported_media_type", "application/json")
		for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null"} {
			o.refused(o.call("POST", path, body, jsonType, header), 403, "permission_denied", "another origin")
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"} {
			reply := o.call(method, path, "")
			if allow := reply.header.Get("Allow"); reply.status != 405 || allow != "POST" {
				t.Errorf("%s %s is answered with %d, Allow: %s", method, path, reply.status, allow)
			}
			if reply.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s lets other origins in", method, path)
			}
		}
	}
	if drains.Load() != 0 || s.stats().Total.Clients != 1 || s.stats().Publish.Events != 0 {
		t.Errorf("a forged request had an effect: %+v", s.stats())
	}
	// The gateway's own pages may.
	for _, header := range []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Origin: " + o.web.URL} {
		answered[answer](t, o.call("POST", "/api/publish", `{"channel":"other","data":1}`, jsonType, header), 200)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	o := start(t).operator()
	for _, path := range []string{"/api/", "/api/nix", "/api/channels/", "/api/channels/news", "/api/stats/x", "/api/%00", "/api/publish%2f"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			o.refused(o.call(method, path, ""), 404, "not_found", "openapi.yaml")
		}
	}
	for _, path := range []string{"/api/stats", "/api/channels", "/api/laggards", "/api/openapi.yaml", "/api/clients/0123456789abcdef"} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			reply := o.call(method, path, "{}", jsonType)
			o.refused(reply, 405, "method_not_allowed", "GET, HEAD")
			if reply.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: Allow: %s", method, path, reply.header.Get("Allow"))
			}
		}
		head, get := o.call("HEAD", path, ""), o.get(path)
		if head.status != get.status || head.body != "" {
			t.Errorf("HEAD %s is answered with %d, GET with %d", path, head.status, get.status)
		}
	}
}

// endless is a body without an end.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

// TestHugeBodies are not read to their end.
func TestHugeBodies(t *testing.T) {
	s := start(t)
	var drains atomic.Int32
	o := operate(t, s.Gateway, gateway.Admin{Drain: func() { drains.Add(1) }})
	_, id := s.connectKnown(0)
	for path := range posts(id) {
		body := new(endless)
		response, err := o.web.Client().Post(o.web.URL+path, "application/json", io.MultiReader(body))
		if err != nil {
			// The connection was cut before the client had read the answer.
			t.Logf("%s: %v", path, err)
		} else {
			if response.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s is answered with %d", path, response.StatusCode)
			}
			response.Body.Close()
		}
		if n := body.read.Load(); n > 32<<20 {
			t.Errorf("%s took %d bytes", path, n)
		}
	}
	// A body that breaks off.
	p := dial(t, o.web.Listener.Addr().String(), 0)
	p.sends("POST /api/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{}")
	p.CloseWrite()
	if answer := p.responseHead(); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("a body that breaks off is answered with %q", answer)
	}
	if drains.Load() != 0 || s.stats().Total.Clients != 1 {
		t.Errorf("%d drains, %+v", drains.Load(), s.stats().Total)
	}
}

// TestDrainByOperator drains and looks on: reads work, publishing does not.
func TestDrainByOperator(t *testing.T) {
	s := start(t)
	result := make(chan (<-chan error), 1)
	var calls atomic.Int32
	o := operate(t, s.Gateway, gateway.Admin{Drain: func() {
		if calls.Add(1) == 1 {
			result <- s.drain(patience)
		}
	}})
	p, id := s.connectKnown(0)
	p.subscribe("news")
	for range 2 {
		if reply := o.post("/api/drain", ""); reply.status != http.StatusAccepted || decode[map[string]bool](t, reply.body)["draining"] != true {
			t.Errorf("answered with %d %s", reply.status, reply.body)
		}
	}
	if m := decode[message](t, p.text()); m.Type != "goodbye" {
		t.Errorf("received %+v", m)
	}
	// It has not closed its side yet.
	o.refused(o.post("/api/publish", `{"channel":"news","data":1}`), 503, "not_available", "stopping")
	for _, path := range []string{"/api/stats", "/api/channels", "/api/laggards", "/api/openapi.yaml"} {
		if reply := o.get(path); reply.status != http.StatusOK {
			t.Errorf("%s is answered with %d", path, reply.status)
		}
	}
	o.refused(o.get("/api/clients/"+id), 404, "not_found", id)
	for _, body := range []string{`{"now":true}`, "[]", "x"} {
		o.refused(o.post("/api/drain", body), 400, "bad_request", "")
	}
	p.Close()
	if err := s.drained(<-result); err != nil {
		t.Errorf("draining: %v", err)
	}
	if calls.Load() != 2 {
		t.Errorf("drained %d times", calls.Load())
	}
	for _, path := range []string{"/api/stats", "/api/laggards", "/api/clients/" + id} {
		o.refused(o.get(path), 503, "not_available", "stopped")
	}
}

// TestAPIOfStalledShards says which shard does not answer, and works again when it
// does. What does not need the shards works all the time.
func TestAPIOfStalledShards(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard)
	const patience = 30 * time.Millisecond
	o := operate(t, s.Gateway, gateway.Admin{Patience: patience})
	p, id := s.connectKnown(0)
	p.subscribe("news")
	goOn := s.StallShards()
	stalled := fmt.Sprintf("shard 0 has not answered within %v", patience)
	o.refused(o.get("/api/clients/"+id), 503, "not_available", stalled)
	o.refused(o.post("/api/clients/"+id+"/disconnect", ""), 503, "not_available", stalled)
	o.refused(o.get("/api/laggards"), 503, "not_available", stalled)
	o.refused(o.get("/api/stats"), 503, "not_available", "shard 0")
	if page := o.channels(nil); len(page.Channels) != 1 || page.Channels[0].Subscribers != 1 {
		t.Errorf("the channels are %+v", page)
	}
	answered[answer](t, o.post("/api/publish", `{"channel":"news","data":1}`), 200)
	goOn()
	p.wants(event("news", 1, "1"))
	s.stats()
	// Who was told that it failed must not see it done later.
	if d := s.operator().client(id); d.Client != id {
		t.Errorf("the client is %+v", d)
	}
}
