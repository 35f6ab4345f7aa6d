package compare

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Comparisons are tested with this test's own binary in the place of the
// servers and of the harness. A fake server tells whoever connects what the
// fake harness is to have found.

// found is what a fake server tells.
type found struct {
	CPU      float64 `json:"cpu"`      // of the server, per delivery and per connection
	Memory   float64 `json:"memory"`   // per connection
	Envelope int     `json:"envelope"` // of its frames
	Fault    string  `json:"fault"`    // what the verification is to find
	Hang     string  `json:"hang"`     // where to connect to and hang; empty: do not
	Leave    bool    `json:"leave"`    // end in the midst of the run
	Data     string  `json:"data"`     // not empty: the harness must be told of data where events are published
	PID      int     `json:"pid"`
	CPUs     []int   `json:"cpus"` // that it may run on
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch role := os.Args[1]; role {
		case "fake-server":
			fakeServer(os.Args[2], os.Args[3])
		case "fake-child":
			hang(os.Args[2])
		case "fanout", "connect", "echo":
			fakeHarness(role, os.Args[2:])
		}
	}
	os.Exit(m.Run())
}

// must ends a fake as a run that could not be made ends.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake:", err)
		os.Exit(2)
	}
}

func allowedProcessors() (list []int) {
	var set unix.CPUSet
	must(unix.SchedGetaffinity(0, &set))
	for i := range 1024 {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list
}

func fakeServer(port, text string) {
	var f found
	must(json.Unmarshal([]byte(text), &f))
	f.PID, f.CPUs = os.Getpid(), allowedProcessors()
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
	must(err)
	if f.Hang != "" {
		go hang(f.Hang)
	}
	for {
		conn, err := listener.Accept()
		must(err)
		// A first connection only asks whether it is there, and does not say anything.
		if n, _ := conn.Read(make([]byte, 1)); n == 1 {
			if f.Leave {
				fmt.Println("the fake leaves")
				os.Exit(0)
			}
			must(json.NewEncoder(conn).Encode(f))
		}
		conn.Close()
	}
}

// hang connects and stays until it is ended.
func hang(address string) {
	conn, err := net.Dial("tcp", address)
	must(err)
	io.Copy(io.Discard, conn)
	select {}
}

// fakeHarness takes a harness's command line and prints what the server tells.
func fakeHarness(scenario string, arguments []string) {
	flags := flag.NewFlagSet(scenario, flag.ExitOnError)
	target := flags.String("url", "", "")
	payload := flags.Int("payload", 0, "")
	clients := flags.Int("clients", 0, "")
	pid := flags.Int("pid", 0, "")
	deflate := flags.Float64("deflate", 0, "")
	data := flags.String("data", "random", "")
	publish := flags.String("publish", "", "")
	for _, name := range []string{"profile", "events", "messages", "window", "settle", "hold"} {
		flags.String(name, "", "")
	}
	flags.Bool("json", false, "")
	flags.Bool("binary", false, "")
	must(flags.Parse(arguments))
	u, err := url.Parse(*target)
	must(err)
	f := ask(u.Host)
	if f.Hang != "" {
		hang(f.Hang)
	}
	if own := allowedProcessors(); f.PID != *pid || len(own) != 1 || len(f.CPUs) != 1 || own[0] == f.CPUs[0] {
		must(fmt.Errorf("the server is process %d on %v, the harness was told %d and is on %v", f.PID, f.CPUs, *pid, own))
	}
	if scenario == "connect" != (*data == "random") && f.Data != "" {
		must(fmt.Errorf("%s was told of data %s", scenario, *data))
	}
	// What is compressed has no size left.
	result := map[string]any{"detail": map[string]any{
		"frame_payload_bytes": float64(*payload+f.Envelope) * (1 - *deflate),
		"compressed_clients":  int(float64(*clients) * *deflate),
		"warnings":            []string{},
	}}
	if scenario == "connect" {
		result["server"] = map[string]any{"cpu_us_per_connection": f.CPU * float64(*clients), "rss_kb_per_connection": f.Memory}
		if *publish != "" {
			must(fmt.Errorf("connect was told to publish"))
		}
	} else {
		result["server"] = map[string]any{"cpu_us_per_delivery": f.CPU}
		result["latency_ms"] = map[string]any{"p50": f.CPU * 2, "p99": f.CPU * 3}
	}
	must(json.NewEncoder(os.Stdout).Encode(result))
	if f.Fault != "" {
		fmt.Fprintf(os.Stderr, "fleetload: verification failed:\n%s\n", f.Fault)
		os.Exit(exitFault)
	}
	os.Exit(0)
}

func ask(host string) (f found) {
	conn, err := net.DialTimeout("tcp", host, 5*time.Second)
	must(err)
	_, err = conn.Write([]byte("?"))
	must(err)
	if err := json.NewDecoder(conn).Decode(&f); err != nil {
		fmt.Fprintln(os.Stderr, "fake: the server is gone")
		os.Exit(exitFault)
	}
	return f
}
