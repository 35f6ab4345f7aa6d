package loadtest_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/gateway"
	"fleetcast/loadtest"
)

// What a run waits for may never come. It ends then, and says why.

// soon is a context for runs that must end by themselves.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestIntakeRefused(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"ndjson", "resp"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			c := startGateway(t, func(g *gateway.Config) { g.MaxEvent = 100 })
			c.Via = via
			r, err := loadtest.RunIntake(soon(t), loadtest.Intake{Common: c, Events: 10, Payload: 101})
			if err != nil {
				t.Fatal(err)
			}
			if r.Detail.Rejected == 0 || r.Fault() == nil || len(r.Detail.Notes) == 0 {
				t.Errorf("rejected %d, fault %v, notes %q", r.Detail.Rejected, r.Fault(), r.Detail.Notes)
			}
		})
	}
}

func TestIntakeOfADeadPort(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"silent": {func(c net.Conn) {
			for buffer := make([]byte, 1<<16); ; {
				if _, err := c.Read(buffer); err != nil {
					return
				}
			}
		}, "nothing was taken or confirmed for 250ms"},
		"closed at once": {func(net.Conn) {}, "publishing:"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go accept(l, c.serve)
			for range 5 {
				r, err := loadtest.RunIntake(soon(t), loadtest.Intake{Events: 10, Common: loadtest.Common{
					Publish: l.Addr().String(), PID: loadtest.NoProcess, Stall: 250 * time.Millisecond,
				}})
				if err == nil {
					err = r.Fault()
				}
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
			}
		})
	}
}

// holdPort keeps a port of 127.0.0.1 on which nobody listens from being given to
// another test, until this one ends.
func holdPort(t *testing.T, port int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
}

func TestHTTPServerGone(t *testing.T) {
	t.Parallel()
	fake, common := startCentrifugo(t, accepted)
	fake.api.Close()
	holdPort(t, fake.api.Listener.Addr().(*net.TCPAddr).Port)
	r, err := loadtest.RunFanout(soon(t), loadtest.Fanout{Common: common, Clients: 2, Traffic: loadtest.Traffic{Events: 5, Window: 5}})
	if err != nil {
		t.Fatal(err)
	}
	if d := &r.Detail; r.Lost != 0 || d.Rejected != 0 || d.NotTaken != 5 || d.Taken != 0 || r.Fault() == nil {
		t.Errorf("lost %d, %+v", r.Lost, *d)
	}
	noted(t, r, "not_taken: event 0: ")
}

func TestHTTPDoorEndsWithTheRun(t *testing.T) {
	_, common := startCentrifugo(t, func(int) (int, string) {
		time.Sleep(50 * time.Millisecond) // a slow server: requests queue up
		return http.StatusOK, ""
	})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	r, err := loadtest.RunFanout(ctx, loadtest.Fanout{
		Common: common, Clients: 2, Traffic: loadtest.Traffic{Rate: 1000}, Duration: time.Minute,
	})
	if err != nil || r.Incomplete == "" || r.Lost > 0 {
		t.Fatalf("got %v, %+v", err, r)
	}
	stacks := make([]byte, 1<<20)
	for start := time.Now(); strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "httpDoor).run"); runtime.Gosched() {
		if time.Since(start) > time.Minute {
			t.Fatal("requests are still made a minute after the run was cancelled")
		}
	}
}

func TestDeadMemberEndsTheRun(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, &faultyServer{fault: faithful})
	command, pids := memberCommand(t)
	f := loadtest.Fanout{Common: common(s), Clients: 6, Traffic: loadtest.Traffic{Events: 1000000}}
	f.Member, f.Processes = command, 3
	killed := false
	f.Observe = func(sample loadtest.Sample) {
		if !killed && sample.Phase == "events" {
			killed = true
			if err := syscall.Kill(readPIDs(t, pids)[1], syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := loadtest.RunFanout(soon(t), f)
	if err == nil || !strings.Contains(err.Error(), "a process of the harness has ended") {
		t.Errorf("got %v", err)
	}
}

func TestRefusedEventTakesNoOffset(t *testing.T) {
	t.Parallel()
	r := run(t, &faultyServer{refuses: 50, fault: func(s *subscriber, offset uint64, p []byte) [][]byte {
		was, is := fmt.Sprintf(`"offset":%d`, offset+offsetBefore), fmt.Sprintf(`"offset":%d`, offset+offsetBefore-offset/50)
		return [][]byte{bytes.Replace(p, []byte(was), []byte(is), 1)}
	}}, neverStalled)
	if got, want := countsOf(r), (counts{clients: 10, delivered: 1990}); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
