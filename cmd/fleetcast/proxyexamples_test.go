package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
)

// proxyExample is one example of docs/proxies.md and what runs it. A test gives
// it the addresses of the proxy and of the gateway, and shorter times.
type proxyExample struct {
	program string
	args    []string // of the program; %[1]s is its configuration file, %[2]s a directory
	heading string   // of the text before the example
	config  string   // around the example: its place, and twice a directory for files
	module  string   // a file that must be there
	noLimit bool     // the example has no time limit
}

var proxyExamples = map[string]proxyExample{
	"nginx http": {program: "/usr/sbin/nginx", args: nginxArgs, heading: "nginx, `http`", config: `daemon off; pid %[2]s/pid; error_log stderr;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/f; uwsgi_temp_path %[2]s/u; scgi_temp_path %[2]s/s;
	%[1]s
}
`},
	"nginx stream": {program: "/usr/sbin/nginx", args: nginxArgs, heading: "nginx, `stream`", config: `load_module ` + streamModule + `;
daemon off; pid %[2]s/pid; error_log stderr;
events { worker_connections 256; }
stream {
	%[1]s
}
`, module: streamModule},
	"HAProxy http": {program: "/usr/sbin/haproxy", args: haproxyArgs, heading: "HAProxy, mode http", config: "%[1]s# %[2]s\n"},
	"HAProxy tcp":  {program: "/usr/sbin/haproxy", args: haproxyArgs, heading: "HAProxy, mode tcp", config: "%[1]s# %[2]s\n"},
	"Caddy": {program: "/usr/bin/caddy", args: []string{"run", "--adapter", "caddyfile", "--config", "%[1]s"}, heading: "Caddy",
		config: "{\n\tadmin off\n\tstorage file_system %[2]s\n}\n%[1]s", noLimit: true},
}

var (
	nginxArgs   = []string{"-c", "%[1]s", "-p", "%[2]s"}
	haproxyArgs = []string{"-db", "-f", "%[1]s"}
)

const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// proxyTime is put in the place of the examples' time limit: longer than the pings
// of the test's gateway, shorter than the test.
const proxyTime = "4s"

// TestProxyExamples runs every example as documented, before a real gateway with
// the documented options.
func TestProxyExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\\*\\*([^*\n]+)\\*\\*, with `([^`]+)`:\n\n```\\w+\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != len(proxyExamples) || len(blocks) != strings.Count(string(text), "```nginx")+strings.Count(string(text), "```haproxy")+strings.Count(string(text), "```caddy") {
		t.Errorf("%d examples are found, %d are tested", len(blocks), len(proxyExamples))
	}
	for name, example := range proxyExamples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testrun.OtherProcess(t)
			for _, file := range []string{example.program, example.module} {
				if _, err := os.Stat(file); file != "" && err != nil {
					t.Skipf("the example is not run: %v", err)
				}
			}
			for _, block := range blocks {
				if block[1] == example.heading {
					example.run(t, strings.Fields(strings.ReplaceAll(block[2], "10.0.0.0/24", "127.0.0.1")), block[3])
					return
				}
			}
			t.Errorf("there is no example with the heading %q", example.heading)
		})
	}
}

// run starts a gateway with the options and the proxy before it, and uses them as
// browsers do.
func (e proxyExample) run(t *testing.T, options []string, config string) {
	p := startProcess(t, append(options, "--listen=127.0.0.1:0", "--publish=127.0.0.1:0", "--admin=127.0.0.1:0",
		"--ping-interval=1s", "--pong-timeout=20s")...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway has written:\n%s%s", p.out, p.err)
		}
	})
	clients := p.out.await(t, `open in a browser +http://([^/\s]+)`)[1]
	publish := p.out.await(t, `publish to +(\S+)`)[1]
	admin := p.out.await(t, `look inside at +http://([^/]+)/`)[1]
	at := e.start(t, clients, config)
	host := "example.com:" + at[strings.LastIndexByte(at, ':')+1:]

	request, err := http.NewRequest(http.MethodGet, "http://"+at, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	request.Header.Set("Cookie", "session="+strings.Repeat("c", 6<<10))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(page), "<title>fleetcast console</title>") {
		t.Fatalf("the page is answered with %d %.300q, %v", response.StatusCode, page, err)
	}

	// Connections to the gateway come from 127.0.0.1, as it trusts.
	client := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	dialer := ws.Dialer{
		Host:   host,
		Header: ws.HandshakeHeaderHTTP(http.Header{"Origin": {"http://" + host}, "Cookie": {"session=" + strings.Repeat("c", 6<<10)}}),
		NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return client.DialContext(ctx, network, at)
		},
	}
	conn, in, _, err := dialer.Dial(context.Background(), "ws://"+at+gateway.Path)
	if err != nil {
		t.Fatalf("connect as a page of http://%s: %v", host, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	var reader io.Reader = conn
	if in != nil {
		reader = in
	}
	c := &proxiedClient{t, conn, reader, 0}
	welcome := c.text()
	c.says(`{"type":"subscribe","channel":"news"}`)
	c.text()
	status, detail := fetch(t, "http://"+admin+"/api/clients/"+welcome.Client)
	if status != http.StatusOK || !strings.Contains(detail, `"address": "127.0.0.2`) {
		t.Errorf("the client is shown as %d %s", status, detail)
	}
	// Quiet for longer than the proxy allows: the pings count.
	limit, _ := time.ParseDuration(proxyTime)
	for begun := time.Now(); time.Since(begun) < limit*5/4; {
		c.ping()
	}
	writeLine(t, publish, `{"channel":"news","data":"still here"}`)
	if event := c.text(); event.Type != "event" {
		t.Errorf("received %+v", event)
	}
}

// start runs the proxy on a free port and returns its address once it serves.
func (e proxyExample) start(t *testing.T, gatewayAt, config string) (at string) {
	t.Helper()
	at = testrun.FreeAddress(t)
	host, port, _ := net.SplitHostPort(at)
	for _, change := range [][2]string{{"10.0.0.5:8080", gatewayAt}, {"75s", proxyTime}} {
		if e.noLimit && change[1] == proxyTime {
			continue
		}
		if !strings.Contains(config, change[0]) {
			t.Fatalf("the example has no %s", change[0])
		}
		config = strings.ReplaceAll(config, change[0], change[1])
	}
	config = strings.NewReplacer("listen 80;", "listen "+at+";", "bind :80\n", "bind "+at+"\n", "\n:80 {", "\nhttp://:"+port+" {\n\tbind "+host).Replace(config)
	dir := t.TempDir()
	file := filepath.Join(dir, "proxy.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, e.config, config, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range e.args {
		args = append(args, strings.NewReplacer("%[1]s", file, "%[2]s", dir).Replace(arg))
	}
	proxy := &process{cmd: exec.Command(e.program, args...), out: newOutput(), err: newOutput()}
	proxy.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir) // Caddy writes its configuration there
	proxy.cmd.Stdout, proxy.cmd.Stderr = proxy.out, proxy.err
	if err := proxy.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.cmd.Process.Signal(os.Interrupt)
		ended := proxy.cmd.Wait()
		if t.Failed() {
			t.Logf("the proxy (%v) has written:\n%s%s", ended, proxy.out, proxy.err)
		}
	})
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
			return at
		}
		if time.Now().After(deadline) {
			t.Fatalf("the proxy does not serve: %v\n%s%s", err, proxy.out, proxy.err)
		}
	}
}

// proxiedClient is a WebSocket client that answers pings.
type proxiedClient struct {
	t     *testing.T
	conn  net.Conn
	in    io.Reader
	pings int
}

// frame reads a frame, and answers it if it is a ping.
func (c *proxiedClient) frame() ws.Frame {
	c.t.Helper()
	header, err := ws.ReadHeader(c.in)
	f := ws.Frame{Header: header, Payload: make([]byte, min(header.Length, 64<<10))}
	if err == nil {
		_, err = io.ReadFull(c.in, f.Payload)
	}
	if err != nil {
		c.t.Fatalf("after %d pings: %v", c.pings, err)
	}
	if f.Header.OpCode == ws.OpPing {
		c.pings++
		if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewPongFrame(f.Payload))); err != nil {
			c.t.Fatal(err)
		}
	}
	return f
}

func (c *proxiedClient) ping() {
	c.t.Helper()
	if f := c.frame(); f.Header.OpCode != ws.OpPing {
		c.t.Fatalf("received %v %q", f.Header, f.Payload)
	}
}

func (c *proxiedClient) says(text string) {
	c.t.Helper()
	if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
		c.t.Fatal(err)
	}
}

// text reads the next message.
func (c *proxiedClient) text() (m struct{ Type, Client string }) {
	c.t.Helper()
	for {
		f := c.frame()
		if f.Header.OpCode != ws.OpText {
			continue
		}
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			c.t.Fatal(err)
		}
		return m
	}
}
