package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"fleetcast/gateway"
)

// notifier tells systemd how the service is (sd_notify(3)). Without systemd, that is
// without NOTIFY_SOCKET, its methods do nothing. A message that cannot be sent is
// logged, and the service continues.
type notifier struct {
	logger *slog.Logger
	// watchdog is after how long a silence systemd restarts the service; 0:
	// never.
	watchdog time.Duration
}

// newNotifier reads from the environment what systemd asks for.
func newNotifier(logger *slog.Logger) *notifier {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		logger.Warn("systemd's watchdog is not served: WATCHDOG_USEC or WATCHDOG_PID is no positive number", "error", err)
	}
	return &notifier{logger: logger, watchdog: watchdog}
}

// ready says that every port is bound and served, with a line for systemctl
// status. It also ends a reload.
func (n *notifier) ready(status string) {
	n.send(daemon.SdNotifyReady + "\n" + statusLine(status))
}

// reloading says that the configuration is being read again. ready must follow,
// whatever the result. By the time, Type=notify-reload distinguishes this reload from
// earlier ones.
func (n *notifier) reloading() {
	n.send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// stopMargin is what systemd grants the process after its drain to end.
const stopMargin = 10 * time.Second

// stopping says that the service drains and how long that may take, so that a
// drain timeout above the unit's TimeoutStopSec is waited for.
func (n *notifier) stopping(drain time.Duration) {
	n.send(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d\n%s",
		daemon.SdNotifyStopping, (drain + stopMargin).Microseconds(), statusLine("clients are told when to come back")))
}

// watch answers the watchdog until ctx ends, twice in the time that systemd allows, and
// only while alive succeeds within half of that time. So a service that hangs stops
// answering, and systemd restarts it. It must continue during a drain, in which systemd
// still expects answers. Without a watchdog it returns at once.
func (n *notifier) watch(ctx context.Context, alive func(context.Context) error) {
	if n.watchdog == 0 {
		return
	}
	every := max(n.watchdog/2, time.Microsecond)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	silent := false
	for {
		attempt, cancel := context.WithTimeout(ctx, every)
		err := alive(attempt)
		cancel()
		switch {
		case ctx.Err() != nil || errors.Is(err, gateway.ErrStopped):
			return
		case err == nil:
			n.send(daemon.SdNotifyWatchdog)
			silent = false
		case !silent:
			n.logger.Error("the watchdog goes unanswered because a loop does not answer; systemd restarts the service if that lasts",
				"error", err, "watchdog", n.watchdog)
			silent = true
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// during answers the watchdog while work takes its time, when no loop is left to be asked.
func (n *notifier) during(work func()) {
	if n.watchdog == 0 {
		work()
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	ticker := time.NewTicker(max(n.watchdog/2, time.Microsecond))
	defer ticker.Stop()
	for {
		n.send(daemon.SdNotifyWatchdog)
		select {
		case <-ticker.C:
		case <-done:
			return
		}
	}
}

func (n *notifier) send(state string) {
	if err := notify(state); err != nil {
		n.logger.Warn("systemd cannot be told of the service's state: its socket, NOTIFY_SOCKET, does not take it", "error", err)
	}
}

// notifyPatience is how long systemd may take to make room for a notification.
// Neither the start nor the end of the service waits longer for it.
const notifyPatience = time.Second

// notify sends what sd_notify(3) sends. daemon.SdNotify would wait for ever for a
// socket that nobody reads.
func notify(state string) error {
	addr := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	if addr.Name == "" {
		return nil
	}
	conn, err := net.DialUnix(addr.Net, nil, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(notifyPatience)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}

// statusLine is an assignment, which ends with its line.
func statusLine(status string) string {
	return "STATUS=" + strings.Join(strings.Fields(status), " ")
}
