package loadtest

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"fleetcast/loadtest/proc"
)

// meter takes the samples from which the server's and the harness's own cost
// follow. Without a process of the server it samples the rest only.
type meter struct {
	server   *proc.Group // nil: not on this machine, or not wanted
	how      string      // by what the server was found
	commands map[int]string
	last     moment // the last that could be read of the server
	gone     error  // it has ended: nothing more can be read
}

// moment is one sample.
type moment struct {
	at       time.Time
	server   proc.CPU
	resident int64         // of the server, in kB
	peak     int64         // the most that the server has ever had resident, in kB
	sockets  int64         // TCP buffers of the machine, in kB
	own      time.Duration // processor time of the harness, all processes together
}

// newMeter finds the server. The process 0 means whoever listens on addr.
func newMeter(pids []int, addr netip.AddrPort) (*meter, error) {
	m := &meter{}
	switch {
	case len(pids) == 1 && pids[0] == NoProcess:
		return m, nil
	case len(pids) > 1 || pids[0] != 0:
		server, err := proc.Open(pids...)
		m.server, m.how = server, "as it was named"
		return m, err
	}
	m.how = "which listens on " + addr.String()
	found, err := proc.Listener(addr)
	if err != nil || len(found) == 0 {
		// It is on another machine, in another namespace or another user's.
		return m, nil
	}
	if m.server, err = proc.Open(found...); err != nil {
		return &meter{}, nil // it has just ended; connecting will tell
	}
	return m, nil
}

func (m *meter) sample(own time.Duration) (moment, error) {
	now := moment{at: time.Now(), own: own}
	if sockets, err := proc.Sockets(); err == nil {
		now.sockets = sockets.BufferKB
	}
	if m.server == nil {
		return now, nil
	}
	err := m.gone
	if err == nil {
		err = m.read(&now)
	}
	if errors.Is(err, proc.ErrEnded) {
		// That is what a load test may find out; the run goes on without.
		m.gone = err
		now.server, now.resident, now.peak = m.last.server, m.last.resident, m.last.peak
		return now, nil
	}
	m.last = now
	return now, err
}

// read reads what the server has used.
func (m *meter) read(now *moment) (err error) {
	if now.server, err = m.server.CPU(); err != nil {
		return fmt.Errorf("reading the server's cost: %w", err)
	}
	memory, err := m.server.Memory()
	if err != nil {
		return fmt.Errorf("reading the server's memory: %w", err)
	}
	now.resident, now.peak = memory.ResidentKB, memory.PeakKB
	return nil
}

// processes are those of the server; none if it is not measured.
func (m *meter) processes() (all []Process) {
	if m.server == nil {
		return nil
	}
	for _, pid := range m.server.PIDs() {
		all = append(all, Process{pid, m.commands[pid]})
	}
	return all
}

// name remembers what the processes of the server are: in the end they may be gone.
func (m *meter) name() {
	m.commands = make(map[int]string)
	if m.server != nil {
		for _, pid := range m.server.PIDs() {
			m.commands[pid] = proc.Command(pid)
		}
	}
}

// stranger warns if events are published to a process other than the server that was
// found by its port: then this one is likely a proxy.
func (m *meter) stranger(publishAt string) (warning string) {
	if m.server == nil || !strings.HasPrefix(m.how, "which listens") || publishAt == "" {
		return ""
	}
	hostPort := publishAt
	if u, err := url.Parse(publishAt); err == nil && u.Host != "" {
		hostPort = u.Host
	}
	addr, err := resolve(hostPort)
	if err != nil {
		return ""
	}
	pids, err := proc.Listener(addr)
	if err != nil || len(pids) == 0 {
		return ""
	}
	if own := m.server.PIDs(); slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(own, pid) }) {
		return ""
	}
	return fmt.Sprintf("the cost is that of %s, %s; events are published to %s (process %d): if the first is a proxy, name the server behind it (--pid %d)",
		processText(m.processes()), m.how, proc.Command(pids[0]), pids[0], pids[0])
}

// maxProcesses is how many processes are named.
const maxProcesses = 3

// processText names processes for people.
func processText(all []Process) string {
	var names []string
	for i, p := range all {
		if i == maxProcesses {
			names = append(names, fmt.Sprintf("%d more", len(all)-i))
			break
		}
		names = append(names, fmt.Sprintf("%s (process %d)", p.Command, p.PID))
	}
	return strings.Join(names, ", ")
}

// busy is the server's and the harness's use of processors between two moments,
// as shares of one.
func (m *meter) busy(from, to *moment) (server, own float64) {
	wall := to.at.Sub(from.at).Seconds()
	if wall <= 0 {
		return 0, 0
	}
	if m.server != nil {
		server = to.server.Since(from.server).Seconds() / wall
	}
	return server, (to.own - from.own).Seconds() / wall
}

// perItem is used time per item in µs; 0 if there is none.
func perItem(used time.Duration, items int64) float64 {
	if items <= 0 {
		return 0
	}
	return float64(used.Nanoseconds()) / 1e3 / float64(items)
}
