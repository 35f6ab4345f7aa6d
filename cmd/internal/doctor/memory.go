package doctor

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"fleetcast/cmd/internal/host"
)

// What a client costs in bytes of memory, measured as docs/deploying.md says.
const (
	// idleClient is an idle, subscribed client: its socket in the kernel and its
	// session in the process.
	idleClient = 4500
	// eventPage is what the kernel accounts for a small event that a client has
	// not acknowledged yet: a page.
	eventPage = 4096
	// emptyGateway is the process before the first client.
	emptyGateway = 20 << 20
)

// memory checks what the machine has left.
func (e *examination) memory() finding {
	f := e.memoryFinding("memory", "/proc/meminfo")
	f.Change = "more memory, or fewer clients on this machine"
	text, err := e.Read(f.Source)
	if err != nil {
		return f.shut(err)
	}
	values, err := host.ParseMeminfo(text, "MemTotal", "MemAvailable")
	if err != nil {
		return f.shut(err)
	}
	f.Found = fmt.Sprintf("%s available of %s", humanize.IBytes(values[1]), humanize.IBytes(values[0]))
	e.judgeMemory(&f, values[1])
	return f
}

// memoryGroup checks the limit of the process's control group and of those
// above it.
func (e *examination) memoryGroup() finding {
	f := e.memoryFinding("memory of the group", e.Process("cgroup"))
	f.Change = "MemoryMax= in the systemd unit, --memory in Docker, resources.limits.memory in Kubernetes"
	if _, err := e.Read(f.Source); err != nil {
		return f.shut(err)
	}
	limit, at, err := e.GroupMemory()
	if at != "" {
		f.Source = at
	}
	if err != nil {
		return f.shut(err)
	}
	if limit == host.Unlimited {
		f.Status, f.Found, f.Allows = statusOK, "no limit", "what the machine's memory allows"
		return f
	}
	f.Found = "a limit of " + humanize.IBytes(limit)
	e.judgeMemory(&f, limit)
	return f
}

func (e *examination) memoryFinding(check, source string) finding {
	return finding{
		Check:  check,
		Source: source,
		Want: fmt.Sprintf("%s or more (%s for idle clients)",
			humanize.IBytes(e.memoryFor(idleClient+eventPage)), humanize.IBytes(e.memoryFor(idleClient))),
		Why: fmt.Sprintf("an idle client costs some %s of memory, mostly its socket in the kernel, and %s more while an event is on its way to it; backlogs of clients that lag come on top",
			humanize.Bytes(idleClient), humanize.Bytes(eventPage)),
	}
}

// memoryFor is what the fleet needs at so many bytes for each client.
func (e *examination) memoryFor(each uint64) uint64 {
	return emptyGateway + e.connections()*each
}

// judgeMemory says how many clients find room: bad if not even idle ones do,
// warn if not while an event goes out to all.
func (e *examination) judgeMemory(f *finding, available uint64) {
	room := available - min(available, emptyGateway)
	served := e.clientsOf(room/(idleClient+eventPage), true)
	idle := e.clientsOf(room/idleClient, true)
	e.judge(f, served)
	f.Allows = fmt.Sprintf("%s, each with an event on its way; %s", countedOf(served, "client"), countedOf(idle, "idle one"))
	if f.Status == StatusBad && idle >= uint64(e.Clients) {
		f.Status = statusWarn
	}
}

// socketMemory checks how many pages of unsent and unread data the kernel holds
// for all TCP sockets together.
func (e *examination) socketMemory() finding {
	needed := uint64(e.Clients)
	return e.kernelSetting("net.ipv4.tcp_mem", 3, finding{
		Want: fmt.Sprintf("a second number (pressure) of %s or more, a third (limit) of twice that", countedOf(needed, "page")),
		Why:  "the kernel accounts for each client a page of 4 KiB at least while an event is on its way to it, and none when it is idle. Above the pressure it shrinks buffers, above the limit it drops packets and connections",
	}, func(f *finding, n []uint64) {
		f.Change = setSysctl("net.ipv4.tcp_mem", fmt.Sprintf("%d %d %d", n[0], max(n[0], n[1], needed), max(n[2], 2*needed)))
		f.Found = fmt.Sprintf("%d %d %d pages; the limit is %s", n[0], n[1], n[2], humanize.IBytes(min(n[2], 1<<50)*eventPage))
		e.judge(f, n[2])
		f.Allows = fmt.Sprintf("an event on its way to %s at once, %s without pressure",
			countedOf(n[2], "client"), counted(n[1]))
		if f.Status == statusOK && n[1] < needed {
			f.Status = statusWarn
		}
	})
}

// wantBuffer is the least maximum of a socket's buffer in bytes: an event of the
// largest default size, with what the kernel accounts beside it.
const wantBuffer = 256 << 10

// usualBuffer is the kernel's own default of the maximum in bytes, where there is
// memory enough.
const usualBuffer = 4 << 20

// sendBuffers checks what one socket may hold of unsent data.
func (e *examination) sendBuffers() finding {
	return e.buffers("net.ipv4.tcp_wmem",
		"the buffer grows with what is under way, up to the third number; what a client's socket does not take waits in the gateway, within --backlog-memory")
}

// receiveBuffers checks what one socket may hold of unread data.
func (e *examination) receiveBuffers() finding {
	return e.buffers("net.ipv4.tcp_rmem",
		"the buffer holds what a client or publisher has sent and its loop has not read; idle sockets hold nothing, so the maximum costs nothing by itself")
}

func (e *examination) buffers(name, why string) finding {
	return e.kernelSetting(name, 3, finding{
		Want: fmt.Sprintf("a third number (maximum) of %d or more", wantBuffer),
		Why:  why,
	}, func(f *finding, n []uint64) {
		f.Change = setSysctl(name, fmt.Sprintf("%d %d %d", n[0], n[1], usualBuffer))
		f.Found = fmt.Sprintf("%d %d %d bytes", n[0], n[1], n[2])
		f.Allows = fmt.Sprintf("%s for one socket", humanize.IBytes(n[2]))
		f.Status = warnUnless(n[2] >= wantBuffer)
	})
}
