package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fleetcast/codec/testrun"
)

// TestSecretsOfAProcess: a process that knows keys and a secret, and has been shown keys and
// tokens, has none of them in its arguments, metrics, profiles and log, and not in the stacks
// that it writes when it crashes.
func TestSecretsOfAProcess(t *testing.T) {
	testrun.OtherProcess(t)
	setSecrets(t)
	publisher, publishEntry := newKey(t, "--publish=**")
	operator, adminEntry := newKey(t, "--admin=write")
	file := filepath.Join(t.TempDir(), "fleetcast.yaml")
	if err := os.WriteFile(file, []byte(publishEntry+adminEntry), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "--config="+file, "--listen=127.0.0.1:0", "--publish=127.0.0.1:0", "--admin=127.0.0.1:0",
		"--token-secret=env:"+secretVariable, "--log-level=debug", "--log-connections=1000")
	client := p.out.await(t, `clients connect to +ws://([^/]+)`)[1]
	publish := p.out.await(t, `publish to +(\S+)`)[1]
	admin := "http://" + p.out.await(t, `look inside at +http://([^/]+)/`)[1]

	token := tokenOf("alice")
	for _, shown := range []string{token, token + "x", "Bearer " + token, publisher} {
		conn, err := net.Dial("tcp", client)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		shower := &livePeer{t: t, conn: conn}
		shower.sends(handshakeHead + "Authorization: Bearer " + shown + "\r\n\r\n")
	}
	writeLine(t, publish, `{"id":1,"auth":"`+publisher+"\"}\n"+`{"id":2,"channel":"`+publisher+` ","data":1}`)
	writeLine(t, publish, `{"id":1,"auth":"`+operator+`"}`)
	for _, path := range []string{"/metrics", "/api/stats", "/api/clients/" + token, "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2",
		"/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=1"} {
		body := fetchWith(t, admin+path, operator)
		for _, secret := range []string{publisher, operator, testSecret, token} {
			if strings.Contains(body, secret) && !strings.Contains(path, secret) {
				t.Errorf("%s shows a secret", path)
			}
		}
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	if err != nil || testrun.FindSecret(string(arguments)) != "" {
		t.Errorf("the arguments are %q, %v", arguments, err)
	}
	p.signal(t, syscall.SIGQUIT)
	p.err.await(t, `goroutine \d+`)
	if code := p.exitCode(t); code != 2 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(p.err.String(), "requests to publish were refused") && !strings.Contains(p.err.String(), "publisher") {
		t.Errorf("the log has not been captured:\n%s", p.err)
	}
}

// fetchWith asks with an operator's key and returns the answer's body.
func fetchWith(t *testing.T, url, key string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
