package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fleetcast/gateway/web"
)

// ask sends a request to the site's handler. Headers are "Name: value".
func ask(site web.Site, method, path string, headers ...string) *http.Response {
	request := httptest.NewRequest(method, path, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Add(name, value)
	}
	recorder := httptest.NewRecorder()
	site.Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return string(b)
}

func TestSiteRoutes(t *testing.T) {
	on := web.Site{Path: "/push", Publish: "[::1]:8082", PublishKey: true, Tokens: true, ClientPublish: []web.Grant{{Match: "chat*", Clients: true}}, Console: true}
	off := web.Site{Path: "/push"}
	const script, text = "text/javascript; charset=utf-8", "text/plain; charset=utf-8"
	for _, test := range []struct {
		name        string
		site        web.Site
		method      string
		path        string
		status      int
		contentType string
		part        string // of the body
	}{
		{"console", on, "GET", "/", 200, "text/html; charset=utf-8", "<title>fleetcast console</title>"},
		{"console's program", on, "GET", "/console/console.js", 200, script, "class Console"},
		{"console's style", on, "GET", "/console/console.css", 200, "text/css; charset=utf-8", "--page"},
		{"config", on, "GET", "/console/config.json", 200, "application/json", `{"path":"/push","publish":"[::1]:8082","admin":"","publishKey":true,"adminKey":false,"tokens":true,"clientPublish":[{"match":"chat*","clients":true}]}`},
		{"query", on, "GET", "/?x=1", 200, "text/html; charset=utf-8", "console"},
		{"no folder", on, "GET", "/console/", 404, text, "WebSocket clients connect to /push"},
		{"no way out", on, "GET", "/console/../site.go", 404, text, "/push"},
		{"module", off, "GET", "/fleetcast.js", 200, script, "export function connect"},
		{"classic", off, "GET", "/fleetcast.classic.js", 200, script, "globalThis.Fleetcast"},
		{"types", off, "GET", "/fleetcast.d.ts", 200, text, "export interface Position"},
		{"types of the global", off, "GET", "/fleetcast.global.d.ts", 200, text, "declare global"},
		{"icon", off, "GET", "/favicon.ico", 200, "image/svg+xml", "<svg"},
		{"console off", off, "GET", "/", 200, text, "WebSocket clients connect to /push"},
		{"console off: its files", off, "GET", "/console/console.js", 404, text, "/push"},
		{"console off: its config", off, "GET", "/console/config.json", 404, text, "/push"},
		{"unknown", on, "GET", "/nothing", 404, text, "WebSocket clients connect to /push"},
		{"unknown, other method", on, "POST", "/nothing", 404, text, "/push"},
		{"post", on, "POST", "/fleetcast.js", 405, text, "GET and HEAD"},
		{"options", on, "OPTIONS", "/fleetcast.js", 405, text, "GET and HEAD"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(test.site, test.method, test.path)
			got := body(t, r.Body)
			if r.StatusCode != test.status || r.Header.Get("Content-Type") != test.contentType || !strings.Contains(got, test.part) {
				t.Errorf("status %d, type %q, body %.200q", r.StatusCode, r.Header.Get("Content-Type"), got)
			}
			if allow := r.Header.Get("Allow"); (test.status == 405) != (allow == "GET, HEAD") {
				t.Errorf("Allow: %q", allow)
			}
			if origin := r.Header.Get("Access-Control-Allow-Origin"); (origin == "*") != (strings.HasPrefix(test.path, "/fleetcast.") && test.status == 200) {
				t.Errorf("Access-Control-Allow-Origin: %q", origin)
			}
			for name, part := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; ",
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
			} {
				if !strings.Contains(r.Header.Get(name), part) {
					t.Errorf("%s: %q", name, r.Header.Get(name))
				}
			}
		})
	}
}

func TestSiteEncodings(t *testing.T) {
	for _, test := range []struct {
		accept string
		want   string
	}{
		{"", ""},
		{"gzip", "gzip"},
		{"br, GZip;q=0.5", "gzip"},
		{"gzip;q=0", ""},
		{"gzip; q=0.0, *", ""},
		{"*", "gzip"},
		{"*;q=0", ""},
		{"gzip;q=much", ""},
		{"br", ""},
	} {
		r := ask(web.Site{}, "GET", "/fleetcast.js", "Accept-Encoding: "+test.accept)
		if got := r.Header.Get("Content-Encoding"); got != test.want || r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: encoding %q, Vary %q", test.accept, got, r.Header.Get("Vary"))
			continue
		}
		content := io.Reader(r.Body)
		if test.want == "gzip" {
			unpacked, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Fatalf("Accept-Encoding %q: %v", test.accept, err)
			}
			content = unpacked
		}
		if got := body(t, content); got != string(web.JavaScript) {
			t.Errorf("Accept-Encoding %q: %d bytes, want %d", test.accept, len(got), len(web.JavaScript))
		}
	}
	if got := ask(web.Site{}, "GET", "/", "Accept-Encoding: gzip").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("a short text has encoding %q", got)
	}
}

func TestSiteCaching(t *testing.T) {
	server := httptest.NewServer(web.Site{Console: true}.Handler())
	defer server.Close()
	tags := map[string]bool{}
	for _, accept := range []string{"identity", "gzip"} {
		first := request(t, "GET", server.URL, accept, "")
		tag := first.Header.Get("Etag")
		if tag == "" || tags[tag] || first.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: tag %s, Cache-Control %q", accept, tag, first.Header.Get("Cache-Control"))
		}
		tags[tag] = true
		length := int64(len(body(t, first.Body)))
		head := request(t, "HEAD", server.URL, accept, "")
		if head.StatusCode != 200 || head.ContentLength != length || body(t, head.Body) != "" {
			t.Errorf("%s: HEAD is answered by %d of length %d, GET has %d", accept, head.StatusCode, head.ContentLength, length)
		}
		if again := request(t, "GET", server.URL, accept, tag); again.StatusCode != 304 || body(t, again.Body) != "" {
			t.Errorf("%s: the tag is answered by status %d", accept, again.StatusCode)
		}
		if other := request(t, "GET", server.URL, accept, `"other"`); other.StatusCode != 200 {
			t.Errorf("%s: another tag is answered by status %d", accept, other.StatusCode)
		}
	}
}

func request(t *testing.T, method, url, accept, tag string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", accept) // the transport then unpacks nothing
	if tag != "" {
		request.Header.Set("If-None-Match", tag)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}
