package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"fleetcast/gateway"
)

// notifySocket stands in for systemd: it returns what the next notification
// says.
func notifySocket(t *testing.T) (next func() string) {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	return func() string {
		t.Helper()
		buffer := make([]byte, 4096)
		conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("no notification: %v", err)
		}
		return string(buffer[:n])
	}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestNotifications(t *testing.T) {
	next := notifySocket(t)
	n := newNotifier(quietLogger())
	for _, test := range []struct {
		name string
		send func()
		want string
	}{
		{"ready", func() { n.ready("serves clients\nat localhost:8080") }, `^READY=1\nSTATUS=serves clients at localhost:8080$`},
		{"reloading", n.reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9]\d*\n$`},
		{"stopping", func() { n.stopping(2 * time.Minute) }, `^STOPPING=1\nEXTEND_TIMEOUT_USEC=130000000\nSTATUS=\S.*$`},
	} {
		test.send()
		if got := next(); !regexp.MustCompile(test.want).MatchString(got) {
			t.Errorf("%s: %q, want %s", test.name, got, test.want)
		}
	}
}

func TestNotifyWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	log := newOutput()
	n := newNotifier(slog.New(slog.NewTextHandler(log, nil)))
	n.ready("")
	n.reloading()
	n.stopping(time.Second)
	n.watch(t.Context(), func(context.Context) error { // returns at once
		t.Error("it was asked whether it is alive")
		return nil
	})
	if log.String() != "" {
		t.Errorf("it logged: %s", log)
	}
}

func TestNotifySaysWhatFails(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "missing"))
	t.Setenv("WATCHDOG_USEC", "soon")
	log := newOutput()
	n := newNotifier(slog.New(slog.NewTextHandler(log, nil)))
	log.await(t, "WATCHDOG_USEC")
	n.ready("")
	log.await(t, "NOTIFY_SOCKET")
}

// TestWatchdog asks for pings in turn with answers of the loops, so that nothing
// depends on how fast either is.
func TestWatchdog(t *testing.T) {
	next := notifySocket(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	log := newOutput()
	n := newNotifier(slog.New(slog.NewTextHandler(log, nil)))
	answers := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.watch(ctx, func(context.Context) error {
			select {
			case err := <-answers:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	stalled := errors.New("shard 1 does not answer")
	for _, answer := range []error{nil, stalled, stalled, nil} {
		answers <- answer
	}
	// The stalled answers have pinged nothing, so the second ping is the last
	// answer's; a marker shows that no third has come.
	for range 2 {
		if got := next(); got != "WATCHDOG=1" {
			t.Fatalf("%q, want WATCHDOG=1", got)
		}
	}
	cancel()
	<-ended
	n.ready("marker")
	if got := next(); got != "READY=1\nSTATUS=marker" {
		t.Errorf("%q after the pings", got)
	}
	if got := regexp.MustCompile(`shard 1 does not answer`).FindAllString(log.String(), -1); len(got) != 1 {
		t.Errorf("the stall is logged %d times, want once:\n%s", len(got), log)
	}
}

// TestWatchdogDuringWork has work that ends when the watchdog has been answered several times.
func TestWatchdogDuringWork(t *testing.T) {
	next := notifySocket(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ended := false
	newNotifier(quietLogger()).during(func() {
		for range 3 {
			if got := next(); got != "WATCHDOG=1" {
				t.Errorf("%q, want WATCHDOG=1", got)
			}
		}
		ended = true
	})
	if !ended {
		t.Error("the work is not waited for")
	}
	t.Setenv("WATCHDOG_USEC", "")
	ended = false
	newNotifier(quietLogger()).during(func() { ended = true })
	if !ended {
		t.Error("without a watchdog there is no work")
	}
}

// TestWatchdogBoundsTheQuestion has a loop that never answers.
func TestWatchdogBoundsTheQuestion(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", "")
	log := newOutput()
	n := newNotifier(slog.New(slog.NewTextHandler(io.Writer(log), nil)))
	go n.watch(t.Context(), func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	log.await(t, "goes unanswered.*deadline exceeded")
}

func TestWatchdogOfAnotherProcess(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", "1")
	if n := newNotifier(quietLogger()); n.watchdog != 0 {
		t.Errorf("it takes the watchdog of process 1 for its own: %v", n.watchdog)
	}
}

// A manager that does not read its socket holds neither the start nor the end of
// the service up.
func TestNotifyDoesNotWaitForSystemd(t *testing.T) {
	notifySocket(t)
	log := newOutput()
	n := newNotifier(slog.New(slog.NewTextHandler(log, nil)))
	full := make(chan struct{})
	go func() {
		defer close(full)
		for !regexp.MustCompile("i/o timeout").MatchString(log.String()) {
			n.ready("") // the queue of the socket takes a few
		}
	}()
	select {
	case <-full:
	case <-time.After(patience):
		t.Error("a notification waits for its reader")
	}
}

// A gateway that has stopped is no loop that does not answer.
func TestWatchdogEndsWithTheGateway(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", "")
	var log bytes.Buffer
	n := newNotifier(slog.New(slog.NewTextHandler(&log, nil)))
	n.watch(t.Context(), func(context.Context) error { return fmt.Errorf("ask a loop: %w", gateway.ErrStopped) }) // returns
	if log.Len() > 0 {
		t.Errorf("it logs %s", log.String())
	}
}
