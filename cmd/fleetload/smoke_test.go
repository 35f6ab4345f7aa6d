package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// exact are the thresholds of a run in which nothing is lost, comes twice, out of
// order or mutilated, and no gap is told wrongly. None is of time.
const exact = "lost=0,duplicated=0,reordered=0,corrupted=0,unexpected=0,disconnected=0,rejected=0,missing_clients=0," +
	"gap_wrong=0,gap_split=0,newest_dropped=0,unanswered=0,delivered>0"

// whole are those of a run in which clients that come back recover all that they have missed.
const whole = "recoveries>0,recovery_lost=0,resets=0,reset_events=0,recovery_wrong=0,lost_wrong=0,recovery_max>0ms,"

// The scenarios that make it hard for a server, small, against the gateway's
// binary: order and completeness hold, however busy the machine is.
func TestSmoke(t *testing.T) {
	t.Parallel() // it waits most of the time
	_, binary := programs(t)
	const cutOff = "slow, cut off"
	lines := map[string]string{
		"slow":                  "slow --clients 50 --share 0.2 --rate 100 --duration 500ms --stalls 2 --expect cut_off=0," + exact,
		"slow, keys":            "slow --clients 50 --share 0.2 --rate 100 --duration 500ms --channels 3 --keys 5 --expect told=0," + exact,
		cutOff:                  "slow --clients 8 --share 0.25 --rate 10 --duration 9s --payload 61440 --receive-buffer 65536 --expect cut_off=2," + exact,
		"storm":                 "storm --clients 300 --witnesses 10 --rate 20 --calm 500ms --expect back=300," + exact,
		"storm, jitter":         "storm --clients 300 --witnesses 10 --rate 20 --calm 500ms --jitter 500ms --expect back=300," + exact,
		"storm, recover":        "storm --recover --clients 300 --witnesses 10 --rate 20 --calm 500ms --expect back=300,recoveries=300,recovered=30000," + whole + exact,
		"storm, missed":         "storm --missed 100 --clients 300 --witnesses 10 --rate 20 --calm 500ms --expect back=300," + exact,
		"fanout, recover":       "fanout --recover --clients 100 --rate 20 --duration 1100ms --away 100ms --missed 100 --expect catch_ups>=1,recovered>=100," + whole + exact,
		"fairness":              "fairness --clients 300 --duration 500ms --expect pings>0," + exact,
		"fairness, several":     "fairness --clients 300 --publishers 4 --duration 500ms --expect pings>0," + exact,
		"fairness, compression": "fairness --clients 100 --deflate 0.5 --data records --payload 1024 --duration 500ms --expect pings>0," + exact,
	}
	for name, line := range lines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var options []string
			if name == cutOff {
				if testing.Short() {
					t.Skip("the race detector makes readers slow: not run with -short")
				}
				options = []string{"--slow-after=6s"}
			}
			_, url, publish := startServer(t, binary, options...)
			args := append(strings.Fields(line), "--url", url, "--publish", publish, "--settle", "1ms", "--stall", "30s", "--no-yield", "-q")
			var out, faults bytes.Buffer
			if exit := run(t.Context(), args, streams{&out, &faults}); exit != 0 {
				t.Errorf("exit status %d: %s\n%s", exit, faults.String(), out.String())
			}
		})
	}
}

var (
	clientURL   = regexp.MustCompile(`ws://\S+`)
	publishPort = regexp.MustCompile(`publish to\s+(\S+)`)
)

// startServer runs the gateway until the test ends and returns its process and where
// it is reached.
func startServer(t *testing.T, binary string, options ...string) (process *os.Process, url, publish string) {
	t.Helper()
	cmd := exec.Command(binary, append(options, "--listen=127.0.0.1:0", "--publish=127.0.0.1:0", "--admin=off")...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(unix.SIGKILL); cmd.Wait() })
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if found := clientURL.FindString(lines.Text()); found != "" {
			url = found
		}
		if found := publishPort.FindStringSubmatch(lines.Text()); found != nil {
			go io.Copy(io.Discard, said)
			return cmd.Process, url, found[1]
		}
	}
	t.Fatalf("the gateway does not say where it is: %v", lines.Err())
	return nil, "", ""
}
