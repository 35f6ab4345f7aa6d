package main

import (
	"crypto/tls"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// TestCurlToThePublishPort: whoever takes the publish port for HTTP is told where to publish by it.
func TestCurlToThePublishPort(t *testing.T) {
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	_, _, publish, _ := startGateway(t)
	for _, arguments := range [][]string{
		{"-d", `{"channel":"news","data":1}`, "-H", "Content-Type: application/json"},
		{"-H", "Expect: 100-continue", "-d", strings.Repeat("x", 100_000)},
		{},
	} {
		output, err := exec.CommandContext(t.Context(), path, append(arguments, "-s", "-S", "-i", "--max-time", "20", "http://"+publish+"/api/publish")...).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(output), "HTTP/1.1 400 ") || !strings.Contains(string(output), "POST /api/publish on the admin port") {
			t.Errorf("curl %v: %v\n%s", arguments, err, output)
		}
	}
}

// TestTLSToPlainPorts: a TLS client on any port is named in the log, and a flood of them in a few lines.
func TestTLSToPlainPorts(t *testing.T) {
	t.Parallel() // it waits most of the time
	c, url, publish, admin := startGateway(t)
	client := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	for _, address := range []string{client, publish, admin} {
		for range 50 {
			if conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}); err == nil {
				conn.Close()
				t.Fatalf("%s takes TLS", address)
			}
		}
	}
	c.err.await(t, "requests to the admin port were refused.*reason=tls.*https://")
	c.err.await(t, "handshakes of clients were refused.*reason=tls.*ws://")
	c.err.await(t, "requests to publish were refused.*this port takes no TLS")
	if n := strings.Count(c.err.String(), "TLS"); n > 12 {
		t.Errorf("150 greetings fill the log:\n%s", c.err)
	}
	reply, err := http.Get("http://" + admin + "/healthz")
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Errorf("the admin port answers %+v, %v", reply, err)
	}
}
