package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/loadtest"
)

// startNginx runs nginx as a proxy for WebSockets to an address until the test ends.
func startNginx(t *testing.T, to string) (address string) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("there is no nginx here")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/log;
events { worker_connections 1024; }
http {
	access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen %[2]s; location / {
		proxy_pass http://%[3]s; proxy_http_version 1.1; proxy_set_header Host $http_host;
		proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } } }
`, dir, address, to)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-c", file, "-p", dir, "-e", filepath.Join(dir, "log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp4", address)
		if err == nil {
			conn.Close()
			return address
		}
		if time.Now().After(until) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
}

// Through a proxy the result says that the cost is the proxy's, and how to name the
// server; if that is named, it is the one that is measured.
func TestThroughAProxy(t *testing.T) {
	t.Parallel() // it waits most of the time
	testrun.OtherProcess(t)
	_, gateway := programs(t)
	server, url, publish := startServer(t, gateway)
	proxy := startNginx(t, strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws"))
	measure := func(more ...string) *loadtest.Result {
		t.Helper()
		args := append(strings.Fields("fanout --clients 10 --events 20 --settle 1ms -q --json --url ws://"+proxy+"/ws --publish "+publish), more...)
		var out, faults bytes.Buffer
		if exit := run(t.Context(), args, streams{&out, &faults}); exit != 0 {
			t.Fatalf("exit status %d: %s", exit, &faults)
		}
		var r loadtest.Result
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return &r
	}
	r := measure()
	warnings := strings.Join(r.Detail.Warnings, "\n")
	if p := r.Server.Processes; len(p) == 0 || !strings.Contains(p[0].Command, "nginx") || r.Server.Found != "which listens on "+proxy {
		t.Errorf("the server is %+v, %s", p, r.Server.Found)
	}
	if !strings.Contains(warnings, "if the first is a proxy, name the server behind it (--pid "+strconv.Itoa(server.Pid)+")") {
		t.Errorf("warnings %q", warnings)
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), "nginx") {
		t.Errorf("%v: the table does not name nginx:\n%s", err, &table)
	}
	nginx := r.Server.PID
	r = measure("--server-pid", fmt.Sprintf("%d,%d", server.Pid, nginx))
	var pids []int
	for _, p := range r.Server.Processes {
		pids = append(pids, p.PID)
	}
	if want := []int{min(server.Pid, nginx), max(server.Pid, nginx)}; !slices.Equal(pids, want) || r.Server.Found != "as it was named" {
		t.Errorf("measured are %d, want %d, %s", pids, want, r.Server.Found)
	}
	if strings.Contains(strings.Join(r.Detail.Warnings, "\n"), "proxy") {
		t.Errorf("warnings %q", r.Detail.Warnings)
	}
}
