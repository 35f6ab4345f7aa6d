package hook

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
)

func goodOptions() Options {
	o := DefaultOptions()
	o.Name, o.URL, o.Logger = "connect", "https://app.example.com/connect?key="+testrun.Secret, slog.New(slog.DiscardHandler)
	o.Forward, o.Header = []string{"Cookie"}, http.Header{"Authorization": {"Bearer " + testrun.Secret}}
	return o
}

func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"https://app.example.com/connect?key=1":   "",
		"HTTPS://app.example.com":                 "",
		"https://app.example.com:8443":            "",
		"http://127.0.0.1:3000/connect":           "",
		"http://127.3.2.1/connect":                "",
		"http://[::1]:3000/connect":               "",
		"http://localhost:3000/connect":           "",
		"http://LocalHost./connect":               "",
		"":                                        "the URL must be like",
		"https://a/%zz":                           "the URL must be like",
		"https://" + strings.Repeat("a", 2050):    "the URL must be like",
		"app.example.com/connect":                 "the URL must begin with",
		"//app.example.com/connect":               "the URL must begin with",
		"https:///connect":                        "the URL must begin with",
		"https://:443/connect":                    "the URL must begin with",
		"ftp://app.example.com":                   "the URL must begin with",
		"unix:/run/app.sock":                      "the URL must begin with",
		"https://user:" + testrun.Secret + "@app": "has a user or a password",
		"https://user@app":                        "has a user or a password",
		"https://app/#a":                          "has a fragment",
		"http://app.example.com/connect":          `the URL is http to "app.example.com"`,
		"http://10.0.0.1/connect":                 `the URL is http to "10.0.0.1"`,
		"http://0.0.0.0/connect":                  `the URL is http to "0.0.0.0"`,
		"http://localhost.example.com/connect":    `the URL is http to "localhost.example.com"`,
		"http://127.0.0.1.example.com/connect":    `the URL is http to "127.0.0.1.example.com"`,
		"http://2130706433/connect":               `the URL is http to "2130706433"`,
	} {
		o := goodOptions()
		o.URL = url
		err := o.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.50s: %v, want %q", url, err, want)
		}
		if err != nil && testrun.FindSecret(err.Error()) != "" {
			t.Errorf("the error shows a secret: %v", err)
		}
		if o.Plain = true; strings.HasPrefix(want, "the URL is http") && o.Check() != nil {
			t.Errorf("%s is refused though it is allowed explicitly: %v", url, o.Check())
		}
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string // in the error; "" if it is right
	}{
		{"as they are", func(*Options) {}, ""},
		{"no logger", func(o *Options) { o.Logger = nil }, ""},
		{"no timeout", func(o *Options) { o.Timeout = 0 }, "the timeout is 0s"},
		{"a long timeout", func(o *Options) { o.Timeout = time.Hour }, "the timeout is 1h0m0s"},
		{"nothing at once", func(o *Options) { o.AtOnce = 0 }, "0 calls at once"},
		{"too many at once", func(o *Options) { o.AtOnce = 5000 }, "5000 calls at once"},
		{"no queue", func(o *Options) { o.Queue = 0 }, ""},
		{"a negative queue", func(o *Options) { o.Queue = -1 }, "-1 callers"},
		{"small answers", func(o *Options) { o.MaxAnswer = 1 }, "answers of at most 1 bytes"},
		{"large answers", func(o *Options) { o.MaxAnswer = 1 << 30 }, "answers of at most 1073741824 bytes"},
		{"no breaker", func(o *Options) { o.Breaker = Breaker{} }, ""},
		{"a breaker for more than all", func(o *Options) { o.Breaker.Percent = 101 }, "opens at 101 percent"},
		{"a breaker for one call", func(o *Options) { o.Breaker.AtLeast = 0 }, "looks at 0 calls"},
		{"a breaker without a window", func(o *Options) { o.Breaker.Window = 0 }, "window is 0s"},
		{"a breaker without rest", func(o *Options) { o.Breaker.Rest = 0 }, "rest is 0s"},
		{"no fields", func(o *Options) { o.Forward, o.Header = nil, nil }, ""},
		{"a name that is none", func(o *Options) { o.Forward = []string{"X Y"} }, `"X Y" is no name`},
		{"an empty name", func(o *Options) { o.Forward = []string{""} }, `"" is no name`},
		{"a name twice", func(o *Options) { o.Forward = []string{"cookie", "Cookie"} }, "Cookie is named twice"},
		{"forwarded and its own", func(o *Options) { o.Forward = []string{"authorization"} }, "Authorization is named twice"},
		{"too many names", func(o *Options) { o.Forward = strings.Fields(strings.Repeat("X-A ", 17)) }, "17 header fields are forwarded"},
		{"the host", func(o *Options) { o.Forward = []string{"Host"} }, "Host is the gateway's own"},
		{"the length", func(o *Options) { o.Forward = []string{"content-length"} }, "Content-Length is the gateway's own"},
		{"the handshake's", func(o *Options) { o.Forward = []string{"sec-websocket-protocol"} }, "Sec-Websocket-Protocol is the gateway's own"},
		{"a proxy's", func(o *Options) { o.Header = http.Header{"Proxy-Authorization": {"x"}} }, "Proxy-Authorization is the gateway's own"},
		{"a repeated request's", func(o *Options) { o.Header = http.Header{"Idempotency-Key": {"x"}} }, "Idempotency-Key is the gateway's own"},
		{"a value with a line end", func(o *Options) { o.Header = http.Header{"X-Key": {testrun.Secret + "\r\nX: y"}} }, `value of the header field "X-Key"`},
		{"a name without a value", func(o *Options) { o.Header = http.Header{"X-Key": nil} }, `value of the header field "X-Key"`},
		{"a file that is not there", func(o *Options) { o.RootFile = "/nowhere.pem" }, "read the hook's root certificates: open /nowhere.pem"},
		{"a file that is no regular one", func(o *Options) { o.RootFile = "/dev/null" }, "read the hook's root certificates: /dev/null is no regular file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := goodOptions()
			test.change(&o)
			_, err := New(o)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err != nil && testrun.FindSecret(err.Error()) != "" {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
	o := goodOptions()
	o.RootFile = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(o.RootFile, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "has no certificates in PEM") {
		t.Errorf("a file without certificates: %v", err)
	}
}

// TestOptionsShowNoSecrets prints options in the ways in which they may come into a log.
func TestOptionsShowNoSecrets(t *testing.T) {
	o := goodOptions()
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("options", "hook", o, "pointer", &o)
	for _, text := range []string{fmt.Sprint(o), fmt.Sprint(&o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), fmt.Sprintf("%v", struct{ O Options }{o}), log.String()} {
		if testrun.FindSecret(text) != "" || !strings.Contains(text, "https://app.example.com") || !strings.Contains(text, "Authorization") {
			t.Error(text)
		}
	}
}

// TestProxies sees that the environment names a proxy only where it is asked to.
func TestProxies(t *testing.T) {
	o := goodOptions()
	for _, wanted := range []bool{false, true} {
		o.EnvironmentProxy = wanted
		transport, err := o.transport()
		if err != nil || (transport.Proxy != nil) != wanted {
			t.Errorf("wanted %t: has a proxy %t, %v", wanted, transport.Proxy != nil, err)
		}
	}
}

// TestLoopbackOnly is for names such as localhost that resolve to another machine.
func TestLoopbackOnly(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "10.0.0.1:80": false, "[2001:db8::1]:80": false, "0.0.0.0:80": false, "": false,
	} {
		if err := loopbackOnly("tcp", address, nil); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
	o := goodOptions()
	o.URL = "http://localhost:1"
	transport, err := o.transport()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transport.DialContext(t.Context(), "tcp", "192.0.2.1:80"); err == nil || !strings.Contains(err.Error(), "192.0.2.1:80 is not this machine") {
		t.Errorf("a connection to another machine: %v", err)
	}
}

// TestHas: a hook is not the same if other certificates may be in the file that it names.
func TestHas(t *testing.T) {
	made := func(o Options) *Hook {
		h, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	o := goodOptions()
	h, other := made(o), o
	other.Queue++
	if !h.Has(&o) || h.Has(&other) || (*Hook)(nil).Has(&o) {
		t.Error("the options are compared wrongly")
	}
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	o.RootFile = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(o.RootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if made(o).Has(&o) {
		t.Error("the certificates are not read anew")
	}
}
