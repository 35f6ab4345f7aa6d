package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fleetcast/gateway/web/dashboard"
	"fleetcast/gateway/web/look"
)

func TestHandler(t *testing.T) {
	const javaScript = "text/javascript; charset=utf-8"
	for _, test := range []struct {
		method, path string
		status       int
		contentType  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/dashboard/dashboard.js", 200, javaScript},
		{"GET", "/dashboard/figures.js", 200, javaScript},
		{"GET", "/dashboard/uplot/uPlot.iife.min.js", 200, javaScript},
		{"GET", "/dashboard/dashboard.css", 200, "text/css; charset=utf-8"},
		{"GET", "/dashboard/favicon.svg", 200, "image/svg+xml"},
		{"GET", "/dashboard/uplot/LICENSE", 200, "text/plain; charset=utf-8"},
		{"GET", "/dashboard/", 404, "text/plain; charset=utf-8"},
		{"GET", "/dashboard/dashboard.go", 404, "text/plain; charset=utf-8"},
		{"GET", "/dashboard/figures.test.mjs", 404, "text/plain; charset=utf-8"},
		{"GET", "/dashboard/../dashboard.css", 404, "text/plain; charset=utf-8"},
		{"GET", "/other", 404, "text/plain; charset=utf-8"},
		{"POST", "/", 405, "text/plain; charset=utf-8"},
	} {
		w := httptest.NewRecorder()
		dashboard.Handler().ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
		if w.Code != test.status || w.Header().Get("Content-Type") != test.contentType {
			t.Errorf("%s %s is answered with %d %s", test.method, test.path, w.Code, w.Header().Get("Content-Type"))
		}
		if strings.HasSuffix(test.path, ".css") && test.status == 200 && !strings.HasPrefix(w.Body.String(), look.Theme) {
			t.Errorf("%s does not begin with the style that all pages share", test.path)
		}
		if (w.Body.Len() == 0) != (test.method == "HEAD") {
			t.Errorf("%s %s has %d bytes", test.method, test.path, w.Body.Len())
		}
		if allow := w.Header().Get("Allow"); (allow == "GET, HEAD") != (test.status == 405) {
			t.Errorf("%s %s: Allow is %q", test.method, test.path, allow)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if got := w.Header().Get(name); !strings.Contains(got, want) {
				t.Errorf("%s %s: %s is %q", test.method, test.path, name, got)
			}
		}
		policy := w.Header().Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("the policy is %q", policy)
		}
	}
}

// A browser that has a file is not sent it again, unless it has changed.
func TestRevalidation(t *testing.T) {
	get := func(tag string) *http.Response {
		r := httptest.NewRequest("GET", "/dashboard/dashboard.js", nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		dashboard.Handler().ServeHTTP(w, r)
		return w.Result()
	}
	first := get(`"other"`)
	if first.StatusCode != http.StatusOK || first.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("answered with %d, Cache-Control %q", first.StatusCode, first.Header.Get("Cache-Control"))
	}
	if again := get(first.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same file is answered with %d", again.StatusCode)
	}
}

// Everything that the page names is there, and nothing of it is elsewhere.
func TestReferences(t *testing.T) {
	references := regexp.MustCompile(`(?:src|href)="([^"#]+)"|from "([^"]+)"`)
	names, err := filepath.Glob("*.js")
	if err != nil || len(names) == 0 {
		t.Fatalf("no modules: %v", err)
	}
	found := 0
	for _, name := range append(names, "index.html") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range references.FindAllStringSubmatch(string(text), -1) {
			path := match[1]
			if match[2] != "" {
				path = "/dashboard/" + strings.TrimPrefix(match[2], "./")
			}
			if slices.Contains([]string{"/metrics", "/api/stats", "/debug/pprof/"}, path) {
				continue // of the admin port
			}
			found++
			w := httptest.NewRecorder()
			dashboard.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != http.StatusOK {
				t.Errorf("%s names %s, which is answered with %d", name, path, w.Code)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d references were found", found)
	}
}

// TestNode runs the tests that are written in JavaScript.
func TestNode(t *testing.T) {
	t.Parallel() // it waits most of the time
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the dashboard's figures are not tested")
	}
	version, err := exec.CommandContext(t.Context(), path, "-p", "parseInt(process.versions.node)").Output()
	if major, convErr := strconv.Atoi(strings.TrimSpace(string(version))); err != nil || convErr != nil || major < 20 {
		t.Skipf("node is version %q (%v), not 20 or later: the dashboard's figures are not tested", version, err)
	}
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in JavaScript: %v", err)
	}
	args := append([]string{"--test", "--test-timeout=120000"}, files...)
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
}
