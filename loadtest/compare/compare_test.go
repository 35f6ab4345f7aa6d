package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// fake is a server that tells f. Its port is chosen by the comparison.
func fake(t *testing.T, name string, f found) *Server {
	t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return &Server{
		Name:    name,
		Run:     fmt.Sprintf("'%s' fake-server {port} '%s'", os.Args[0], text),
		Profile: "raw",
		URL:     "ws://127.0.0.1:{port}/",
	}
}

// config writes the servers to a file and loads it.
func config(t *testing.T, servers ...*Server) Config {
	t.Helper()
	if runtime.NumCPU() < 2 {
		t.Skip("a comparison needs two processors")
	}
	// Under the race detector a process would wait a second for others' reports before it ends.
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	processors := allowedProcessors()
	text, err := yaml.Marshal(Servers{Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "servers.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Servers: loaded, Harness: os.Args[0],
		Pairs: 2, Clients: 3, Events: 4, Payload: 128, Connections: 10,
		ServerCPU: processors[0], HarnessCPU: processors[1], Progress: io.Discard,
	}
}

// medians are a report's rows in short.
func medians(r *Report) (list []string) {
	shown := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprint(*v)
	}
	for _, row := range r.Rows {
		ratio := "-"
		if row.Ratio != nil {
			ratio = fmt.Sprintf("%v %v %v", row.Ratio.Median, row.Ratio.Min, row.Ratio.Max)
		}
		list = append(list, fmt.Sprintf("%s %s %s: %s %s %s", row.Setting, row.Figure, row.Peer, shown(row.Ours), shown(row.Theirs), ratio))
	}
	return list
}

func TestRun(t *testing.T) {
	// Frames that differ by their envelopes must end up alike: otherwise there is a note.
	subject := fake(t, "subject", found{CPU: 3, Memory: 1, Envelope: 50})
	subject.Publish = "127.0.0.1:{publish}"
	raw := fake(t, "raw", found{CPU: 2, Memory: 4, Envelope: 1})
	part := fake(t, "part", found{CPU: 0, Envelope: 70})
	part.Settings = []string{"window-1", "connect"}
	part.RunWith = map[string]string{"connect": fake(t, "", found{CPU: 6, Memory: 2}).Run}
	part.Build = fmt.Sprintf("ln -s '%s' {bin}/part", os.Args[0])
	part.Run = strings.Replace(part.Run, "'"+os.Args[0]+"'", "{bin}/part", 1)

	c := config(t, subject, raw, part)
	var progress bytes.Buffer
	c.Progress = &progress
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"window-1 cpu_us_per_delivery raw: 3 2 1.5 1.5 1.5",
		"window-1 cpu_us_per_delivery part: 3 0 -",
		"window-1 latency_ms_p50 raw: 6 4 1.5 1.5 1.5",
		"window-1 latency_ms_p50 part: 6 0 -",
		"window-1 latency_ms_p99 raw: 9 6 1.5 1.5 1.5",
		"window-1 latency_ms_p99 part: 9 0 -",
		"window-32 cpu_us_per_delivery raw: 3 2 1.5 1.5 1.5",
		"window-32 latency_ms_p50 raw: 6 4 1.5 1.5 1.5",
		"window-32 latency_ms_p99 raw: 9 6 1.5 1.5 1.5",
		"connect rss_kb_per_connection raw: 1 4 0.25 0.25 0.25",
		"connect rss_kb_per_connection part: 1 2 0.5 0.5 0.5",
		"connect cpu_us_per_connection raw: 30 20 1.5 1.5 1.5",
		"connect cpu_us_per_connection part: 30 60 0.5 0.5 0.5",
	}
	if got := medians(report); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(report.Notes) > 0 || report.Subject != "subject" || report.Machine.Go != runtime.Version() {
		t.Errorf("got %+v", report)
	}
	for _, line := range []string{
		"building part\n",
		"window-1, pair 1 of 2: subject 3.00 µs 6.00 ms 9.00 ms; raw 2.00 µs 4.00 ms 6.00 ms\n",
		"connect, pair 2 of 2: subject 1.00 kB 30.0 µs; part 2.00 kB 60.0 µs\n",
	} {
		if !strings.Contains(progress.String(), line) {
			t.Errorf("no line %q in\n%s", line, progress.String())
		}
	}
}

func TestRunOfAChoice(t *testing.T) {
	c := config(t, fake(t, "a", found{CPU: 1}), fake(t, "b", found{CPU: 2}), fake(t, "c", found{CPU: 4}))
	c.Pairs, c.Peers, c.Settings = 1, []string{"c"}, []string{"connect"}
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"connect rss_kb_per_connection c: 0 0 -", "connect cpu_us_per_connection c: 10 40 0.25 0.25 0.25"}
	if got := medians(report); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunOfAKind(t *testing.T) {
	a, b, c := fake(t, "a", found{CPU: 1}), fake(t, "b", found{CPU: 2}), fake(t, "c", found{CPU: 4})
	for _, server := range []*Server{a, b} { // c does not echo
		server.RunWith = map[string]string{"echo": server.Run}
		server.Run = "false {port}"
		server.Settings = []string{"echo"}
	}
	servers := config(t, a, b, c)
	servers.Pairs, servers.Settings = 1, []string{"echo"}
	report, err := Run(t.Context(), servers)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, size := range []string{"64k", "256k", "1m", "4m", "16m", "binary-64k", "binary-1m", "binary-16m"} {
		want = append(want, "echo-"+size+" echo_ms_p50 b: 2 4 0.5 0.5 0.5", "echo-"+size+" echo_ms_p99 b: 3 6 0.5 0.5 0.5",
			"echo-"+size+" cpu_us_per_echo b: 1 2 0.5 0.5 0.5")
	}
	if got := medians(report); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text := report.header(); !strings.Contains(text, "Echoes: one client") || strings.Contains(text, "connecting") {
		t.Errorf("the table begins with %q", text)
	}
}

// Servers whose clients compress get the same data, and their frames are compared.
func TestRunCompressed(t *testing.T) {
	compressed := func(name string, deflate float64) *Server {
		s := fake(t, name, found{CPU: 2, Envelope: 50, Data: "records"})
		s.Deflate = deflate
		return s
	}
	c := config(t, compressed("all", 1), compressed("none", 0), compressed("half", 0.5))
	c.Servers.Data, c.Clients = "records", 4
	c.Subject, c.Settings = "half", []string{"window-1", "connect"}
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var frames []string
	for _, line := range medians(report) {
		if strings.Contains(line, "frame_payload_bytes") {
			frames = append(frames, line)
		}
	}
	want := []string{"window-1 frame_payload_bytes all: 89 0 -", "window-1 frame_payload_bytes none: 89 178 0.5 0.5 0.5"}
	if !reflect.DeepEqual(frames, want) || !report.Compressed || report.Subject != "half" || len(report.Notes) > 0 {
		t.Errorf("got %q of %+v, want %q", frames, report, want)
	}
	if text := strings.Fields(report.Markdown()); !strings.Contains(strings.Join(text, " "), "4 subscribers, 128 bytes of data at all servers.") {
		t.Errorf("got %q", text)
	}
}

func TestRunErrors(t *testing.T) {
	good := func() *Server { return fake(t, "good", found{CPU: 1}) }
	bad := func(change func(s *Server)) *Server {
		s := fake(t, "bad", found{CPU: 1})
		change(s)
		return s
	}
	same := func(*Server) {}
	cases := []struct {
		name   string
		bad    *Server
		change func(*Config)
		want   string
	}{
		{"build fails", bad(func(s *Server) { s.Build = "echo no compiler; exit 3" }), nil,
			"building bad: exit status 3; it said:\nno compiler"},
		{"server does not start", bad(func(s *Server) { s.Run = "sh -c 'echo no port {bin}xyz >&2; exit 1'" }), nil,
			"window-1, good beside bad, pair 1: probing the size of its frames: starting bad: it ended at once; it said:\nno port /"},
		{"server says nothing", bad(func(s *Server) { s.Run = "false" }), nil, "it ended at once; it said nothing"},
		{"server leaves", fake(t, "bad", found{Leave: true}), nil, "bad ended during the run; it said:\nthe fake leaves"},
		{"verification fails", fake(t, "bad", found{Fault: "3 events lost"}), nil, "bad: verification failed:\n3 events lost"},
		{"harness fails", bad(func(s *Server) { s.URL = "ws://127.0.0.1:1/{port}" }), nil, "connection refused"},
		{"no such peer", bad(same), func(c *Config) { c.Peers = []string{"good"} }, `has no peer "good": choose from bad`},
		{"no such subject", bad(same), func(c *Config) { c.Subject = "x" }, `has no server "x": choose from good, bad`},
		{"no such setting", bad(same), func(c *Config) { c.Settings = []string{"x"} },
			`there is no setting "x": choose from window, window-1, window-32, connect, echo, echo-64k, echo-256k, echo-1m, echo-4m, echo-16m, echo-binary-64k, echo-binary-1m, echo-binary-16m`},
		{"one processor", bad(same), func(c *Config) { c.HarnessCPU = c.ServerCPU }, "need a processor each"},
		{"no such processor", bad(same), func(c *Config) { c.HarnessCPU = 1000 }, "there is no processor 1000"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := config(t, good(), c.bad)
			config.Pairs = 1
			if c.change != nil {
				c.change(&config)
			}
			report, err := Run(t.Context(), config)
			if report != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestFaultsAllowed(t *testing.T) {
	faulty := fake(t, "faulty", found{CPU: 2, Fault: "3 events lost"})
	faulty.Faults = faultsAllowed
	c := config(t, fake(t, "good", found{CPU: 1}), faulty)
	c.Settings = []string{"window-1"}
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if row := report.Rows[0]; row.Faults != 2 || row.Ratio.Median != 0.5 {
		t.Errorf("got %+v", row)
	}
	want := []string{"window-1, faulty: faults in 2 of 2 runs: verification failed: 3 events lost"}
	if !reflect.DeepEqual(report.Notes, want) {
		t.Errorf("got %q, want %q", report.Notes, want)
	}
}

// What was started ends with the context: the server, what it started and the harness.
func TestCancelEndsAll(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	hanging := fake(t, "hanging", found{Hang: address})
	hanging.Run = fmt.Sprintf(`sh -c '"%s" fake-child %s & %s'`, os.Args[0], address,
		strings.ReplaceAll("exec "+hanging.Run, "'", `'"'"'`))
	c := config(t, hanging, fake(t, "other", found{}))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := Run(ctx, c); ended <- err }()
	var processes []net.Conn
	for range 3 {
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		processes = append(processes, conn)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for i, conn := range processes {
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("process %d has not ended: %v", i, err)
		}
	}
}
