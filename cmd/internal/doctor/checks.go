package doctor

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"fleetcast/cmd/internal/host"
)

// examination makes the findings.
type examination struct {
	host.Host
	Fleet
	publishersGiven bool
}

// all runs every check, in the order in which a new installation meets them. What
// is well or unknown is not to be changed: the value wanted may be below it.
func (e *examination) all() []finding {
	findings := []finding{
		e.descriptors(),
		e.maxDescriptors(),
		e.openFiles(),
		e.epollWatches(),
		e.memory(),
		e.memoryGroup(),
		e.socketMemory(),
		e.sendBuffers(),
		e.receiveBuffers(),
		e.acceptQueue(),
		e.handshakeQueue(),
		e.localPorts(),
		e.connectionTracking(),
		e.processors(),
		e.swap(),
		e.kernel(),
	}
	for i, f := range findings {
		if f.Status == statusOK || f.Status == statusUnknown {
			findings[i].Change = ""
		}
	}
	return findings
}

// shut returns a finding that nothing is known, because of err.
func (f finding) shut(err error) finding {
	f.Status = statusUnknown
	f.Found = err.Error()
	return f
}

// judge sets what a number of clients allows, and bad if that is too few.
func (e *examination) judge(f *finding, clients uint64) {
	clients = min(clients, MaxClients)
	f.Clients = &clients
	f.Status = statusOK
	if clients < uint64(e.Clients) {
		f.Status = StatusBad
	}
	f.Allows = countedOf(clients, "client")
	if clients == MaxClients {
		f.Allows = "more clients than a machine can hold"
	}
}

// counted writes a number for people.
func counted(n uint64) string {
	if n >= 1<<62 {
		return "unlimited"
	}
	return humanize.Comma(int64(n))
}

// countedOf writes a number of things for people. what is the word for one of them.
func countedOf(n uint64, what string) string {
	return counted(n) + " " + english.PluralWord(int(min(n, 2)), what, "")
}

// setSysctl is the command that changes a kernel setting.
func setSysctl(name, value string) string {
	return fmt.Sprintf("sysctl -w %s=%q, and a line in /etc/sysctl.d/90-fleetcast.conf to keep it", name, value)
}

// kernelSetting makes the finding of a setting that holds count numbers. judge sees
// them if they can be read.
func (e *examination) kernelSetting(name string, count int, f finding, judge func(f *finding, n []uint64)) finding {
	f.Check, f.Source = name, host.Sysctl(name)
	n, err := e.Numbers(f.Source, count)
	if err != nil {
		return f.shut(err)
	}
	judge(&f, n)
	return f
}

// reserved is how many descriptors serve keeps for other things than connections, if
// each processor of this machine has a shard.
func (e *examination) reserved() uint64 {
	processors, err := e.processorCount()
	if err != nil {
		processors = 1
	}
	return uint64(host.ReservedDescriptors(processors + 1))
}

// descriptors checks the limit that serve raises itself to.
func (e *examination) descriptors() finding {
	needed := e.connections() + e.reserved()
	f := finding{
		Check:  "descriptor limit",
		Source: e.Process("limits"),
		Want:   fmt.Sprintf("%s or more", counted(needed)),
		Why:    "each connection is a descriptor; serve raises its soft limit to the hard one, and keeps some for publishers, listeners and files",
		Change: fmt.Sprintf("LimitNOFILE=%d in the systemd unit, --ulimit nofile=%d in Docker, ulimit -Hn %d as root in a shell", needed, needed, needed),
	}
	text, err := e.Read(f.Source)
	if err != nil {
		return f.shut(err)
	}
	soft, hard, err := host.ParseLimits(text)
	if err != nil {
		return f.shut(err)
	}
	usable := hard
	if e.Pid == 0 {
		f.Found = fmt.Sprintf("hard limit %s, as this shell hands it on; a service has its own (--pid)", counted(hard))
	} else {
		f.Found = fmt.Sprintf("soft limit %s, hard limit %s", counted(soft), counted(hard))
	}
	e.judge(&f, e.clientsOf(usable-min(usable, e.reserved()), e.publishersGiven))
	return f
}

// maxDescriptors checks how far a descriptor limit can be raised.
func (e *examination) maxDescriptors() finding {
	needed := e.connections() + e.reserved()
	return e.kernelSetting("fs.nr_open", 1, finding{
		Want:   fmt.Sprintf("%s or more", counted(needed)),
		Why:    "no process's descriptor limit can be raised above it",
		Change: setSysctl("fs.nr_open", fmt.Sprint(needed)),
	}, func(f *finding, n []uint64) {
		f.Found = counted(n[0])
		e.judge(f, e.clientsOf(n[0]-min(n[0], e.reserved()), e.publishersGiven))
	})
}

// openFiles checks the limit of the whole machine.
func (e *examination) openFiles() finding {
	f := finding{
		Check:  "fs.file-max",
		Source: host.Sysctl("fs.file-nr"),
		Why:    "it bounds the open files and sockets of all processes together",
	}
	n, err := e.Numbers(f.Source, 3)
	if err != nil {
		f.Want = fmt.Sprintf("%s or more above what is open", counted(e.connections()))
		return f.shut(err)
	}
	open, most := n[0], n[2]
	needed := open + e.connections() + e.reserved()
	f.Found = fmt.Sprintf("%s, of which %s are open", counted(most), counted(open))
	f.Want = fmt.Sprintf("%s or more", counted(needed))
	f.Change = setSysctl("fs.file-max", fmt.Sprint(needed))
	free := most - min(most, open)
	e.judge(&f, e.clientsOf(free-min(free, e.reserved()), e.publishersGiven))
	return f
}

// epollWatches checks how many sockets the user's loops may watch.
func (e *examination) epollWatches() finding {
	return e.kernelSetting("fs.epoll.max_user_watches", 1, finding{
		Want:   fmt.Sprintf("%s or more", counted(e.connections())),
		Why:    "every connected socket is watched by its loop's epoll instance; all processes of one user share this number",
		Change: setSysctl("fs.epoll.max_user_watches", fmt.Sprint(2*e.connections())),
	}, func(f *finding, n []uint64) {
		f.Found = countedOf(n[0], "socket") + " for each user"
		e.judge(f, e.clientsOf(n[0], e.publishersGiven))
	})
}

// wantQueue is the accept queue that serve asks for.
const wantQueue = 4096

// acceptQueue checks the cap on connections that wait to be accepted.
func (e *examination) acceptQueue() finding {
	return e.kernelSetting("net.core.somaxconn", 1, finding{
		Want:   fmt.Sprintf("%s or more", counted(wantQueue)),
		Why:    "when a fleet returns at once, a shard accepts 64 connections between other work; beyond its queue SYNs are dropped, and clients try again after a second or more",
		Change: setSysctl("net.core.somaxconn", fmt.Sprint(wantQueue)),
	}, func(f *finding, n []uint64) {
		f.Found = counted(n[0])
		f.Allows = fmt.Sprintf("%s to wait to be accepted, for each shard", countedOf(min(n[0], wantQueue), "connection"))
		f.Status = warnUnless(n[0] >= wantQueue)
	})
}

func warnUnless(ok bool) status {
	if ok {
		return statusOK
	}
	return statusWarn
}

// handshakeQueue checks the bound on half-open connections, which counts only
// without SYN cookies.
func (e *examination) handshakeQueue() finding {
	return e.kernelSetting("net.ipv4.tcp_max_syn_backlog", 1, finding{
		Want:   fmt.Sprintf("%s or more, or net.ipv4.tcp_syncookies=1", counted(wantQueue)),
		Why:    "without SYN cookies the kernel drops new handshakes when so many are under way; with them only the accept queue counts",
		Change: setSysctl("net.ipv4.tcp_max_syn_backlog", fmt.Sprint(wantQueue)),
	}, func(f *finding, n []uint64) {
		cookies := "unknown"
		if c, err := e.Numbers(host.Sysctl("net.ipv4.tcp_syncookies"), 1); err == nil && c[0] > 0 {
			cookies = "on"
		} else if err == nil {
			cookies = "off"
		}
		f.Found = fmt.Sprintf("%s, SYN cookies %s", counted(n[0]), cookies)
		f.Allows = fmt.Sprintf("%s under way in the kernel", countedOf(n[0], "handshake"))
		if cookies == "on" {
			f.Allows = "as many handshakes under way as the accept queue"
		}
		f.Status = warnUnless(cookies == "on" || n[0] >= wantQueue)
	})
}

// wantPorts is what local ports can be had beside the well-known ones and those
// of common services.
const wantPorts = 55000

// localPorts checks the ports of outgoing connections.
func (e *examination) localPorts() finding {
	wanted := min(uint64(e.Clients), wantPorts)
	return e.kernelSetting("net.ipv4.ip_local_port_range", 2, finding{
		Want:   fmt.Sprintf("%s or more, if a proxy or load test runs here", countedOf(wanted, "port")),
		Why:    "clients of other machines use ports of their own. A proxy or a load test on this machine needs one for each connection between two addresses; for more, give it several source addresses or the gateway several ports",
		Change: setSysctl("net.ipv4.ip_local_port_range", "10240 65535"),
	}, func(f *finding, n []uint64) {
		ports := uint64(0)
		if n[1] >= n[0] && n[1] <= 65535 {
			ports = n[1] - n[0] + 1
		}
		f.Found = fmt.Sprintf("%d to %d", n[0], n[1])
		f.Allows = fmt.Sprintf("%s from one address of this machine to one address and port", countedOf(ports, "connection"))
		f.Status = warnUnless(ports >= wanted)
	})
}

// connectionTracking checks the firewall's table, if there is one.
func (e *examination) connectionTracking() finding {
	f := finding{
		Check:  "net.netfilter.nf_conntrack_max",
		Source: host.Sysctl("net.netfilter.nf_conntrack_max"),
		Want:   fmt.Sprintf("%s or more above what is tracked", counted(e.connections())),
		Why:    "a firewall that tracks connections drops new ones when its table is full; the kernel log then says nf_conntrack: table full",
		Change: setSysctl("net.netfilter.nf_conntrack_max", fmt.Sprint(2*e.connections())) + "; or do not track the client port (notrack)",
	}
	n, err := e.Numbers(f.Source, 1)
	if err == host.ErrAbsent {
		f.Status, f.Found, f.Allows = statusOK, "connections are not tracked here", "any number of clients"
		return f
	}
	if err != nil {
		return f.shut(err)
	}
	tracked, err := e.Numbers(host.Sysctl("net.netfilter.nf_conntrack_count"), 1)
	if err != nil {
		return f.shut(err)
	}
	f.Found = fmt.Sprintf("%s, of which %s are tracked", counted(n[0]), counted(tracked[0]))
	e.judge(&f, e.clientsOf(n[0]-min(n[0], tracked[0]), true))
	if f.Status == StatusBad && tracked[0] == 0 {
		f.Status = statusWarn
		f.Found += "; perhaps no rule of the firewall tracks"
	}
	return f
}
