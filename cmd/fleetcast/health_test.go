package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	_, _, _, admin := startGateway(t)
	_, port, _ := net.SplitHostPort(admin)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	unwell := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/readyz":
			http.Error(w, "not ready\n\x1b[31m"+strings.Repeat("x", 1<<20), http.StatusServiceUnavailable)
		default:
			w.Write([]byte("ok"))
		}
	}))
	defer unwell.Close()
	unwellAt := unwell.Listener.Addr().String()

	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"runs", []string{"--admin=" + admin}, 0, `/healthz answers "ok"`},
		{"ready", []string{"--admin=" + admin, "--ready"}, 0, `/readyz answers "ready"`},
		{"all addresses", []string{"--admin=0.0.0.0:" + port}, 0, `answers "ok"`},
		{"empty host", []string{"--admin=:" + port}, 0, `answers "ok"`},
		{"redirected", []string{"--admin=" + unwellAt}, exitFailure, `answers 302 Found`},
		{"not ready", []string{"--admin=" + unwellAt, "--ready"}, exitFailure, `answers 503 Service Unavailable: "not ready"`},
		{"nobody there", []string{"--admin=127.0.0.1:1"}, exitFailure, "is a gateway running there?"},
		{"silence", []string{"--admin=" + silent.Addr().String(), "--timeout=10ms"}, exitFailure, "deadline exceeded"},
		{"off", []string{"--admin=off"}, exitUsage, "without its admin port a gateway cannot be asked"},
		{"no port", []string{"--admin=localhost:0"}, exitUsage, "must name the port"},
		{"no time", []string{"--timeout=0s"}, exitUsage, "--timeout is 0s, must be from 1ms to 24h"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, nil, append([]string{"health"}, test.args...)...)
			if code := c.wait(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			got := c.out.String() + c.err.String()
			if !strings.Contains(got, test.want) {
				t.Errorf("it does not say %q:\n%s", test.want, got)
			}
			if test.code != exitUsage && strings.Count(got, "\n") != 1 {
				t.Errorf("it says more than one line:\n%s", got)
			}
		})
	}
	t.Run("environment", func(t *testing.T) {
		t.Setenv("FLEETCAST_ADMIN", admin)
		c := start(t, nil, "health")
		if code := c.wait(t); code != 0 {
			t.Errorf("exit code %d: %s", code, c.err)
		}
	})
}

// TestHealthUsesNoProxy names an address that nobody has. A proxy would answer
// for it. The process is a new one, because a process reads its proxies once.
func TestHealthUsesNoProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("the proxy is well"))
	}))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	p := startProcess(t, "health", "--admin=192.0.2.1:80", "--timeout=200ms")
	if code := p.exitCode(t); code != exitFailure {
		t.Errorf("exit code %d: %s", code, p.out)
	}
}

func TestReachable(t *testing.T) {
	for text, want := range map[string][]string{
		"0.0.0.0:1":      {"127.0.0.1:1"},
		"[::]:1":         {"127.0.0.1:1", "[::1]:1"},
		"192.0.2.1:1":    {"192.0.2.1:1"},
		"[2001:db8::]:1": {"[2001:db8::]:1"},
	} {
		var got []string
		for _, addr := range reachable([]netip.AddrPort{netip.MustParseAddrPort(text)}) {
			got = append(got, addr.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
