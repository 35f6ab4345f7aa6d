package loadtest

import (
	"net/netip"
	"slices"
	"time"

	"fleetcast/poller"

	"github.com/gobwas/ws"
)

// plan is all that a process needs to know to play its part in a run. It is
// made once, checked, and the same for every process but for Process.
type plan struct {
	Target     target
	Profile    string       // name, or path of a file
	Sources    []netip.Addr // where clients connect from, in turn; none: the kernel chooses
	Base       clockBase
	Processes  int
	Process    int // this one's number
	Loops      int // of each process
	Connecting int // clients of a loop on their way at a time
	Stall      time.Duration
	Deflate    float64 // share of the clients that offer compression
	Tokens     tokens
	NoYield    bool // no loop is nice to the one apart
	Flows      []flowPlan
	Groups     []groupPlan
	Echo       *echoPlan // instead of flows: clients talk to the server alone
}

// flowPlan is a stream of events, over some channels, by one publisher.
type flowPlan struct {
	Channels []string
	Payload  int  // bytes of an event's data
	Data     Data // what it holds
	Keys     int  // of each channel's events, in turn; 0: they have none
	Events   int  // at most
	Open     bool // the scenario ends it, before it has as many
}

// groupPlan is a part of the clients that a scenario tells from the others.
type groupPlan struct {
	Name    string
	Clients int
	First   int  // number of its first client over all groups
	Flow    int  // whose channels they subscribe to, client i to channel i modulo their number
	Awaited bool // an event is in flight until all of them have it
	Apart   bool // they have a loop of their own, in the first process; all others are nice to it
	Returns bool // clients come back when an attempt fails or the server ends a connection
	// Recovers has clients that come back name the position that they have. Rewinds has them
	// name the first that they had, each time.
	Recovers, Rewinds bool
	// Second is the place in plan.Tokens of the first client's second token, which clients
	// show from when they are dropped on, if Renews.
	Renews bool
	Second int
	// ReceiveBuffer is what the kernel may keep of what clients have not read, in
	// bytes; 0: what it likes.
	ReceiveBuffer int
	// Unmeasured clients are there to make work: their latencies are not the run's.
	Unmeasured bool
}

// echoPlan is what the clients of the scenario echo do.
type echoPlan struct {
	Messages int     // of each client
	Window   int     // of each client, in flight at most
	Rate     float64 // messages per second of all clients together; 0: by Window
	Payload  int     // bytes
	Binary   bool    // not text
}

// op is the opcode of the messages.
func (p *echoPlan) op() ws.OpCode {
	if p.Binary {
		return ws.OpBinary
	}
	return ws.OpText
}

// largeReadBuffer is the size in bytes of a loop's read buffer where messages
// are large.
const largeReadBuffer = 256 << 10

// readBuffer is the size of the loops' read buffers in bytes; 0: the usual one.
func (p *plan) readBuffer() int {
	if p.Echo != nil && p.Echo.Payload >= poller.DefaultReadBuffer {
		return largeReadBuffer
	}
	return 0
}

// hasApart tells whether there is a loop beside the shared ones.
func (p *plan) hasApart() bool {
	return slices.ContainsFunc(p.Groups, func(g groupPlan) bool { return g.Apart })
}

// workers is how many workers this process has.
func (p *plan) workers() int {
	if p.Process == 0 && p.hasApart() {
		return p.Loops + 1
	}
	return p.Loops
}

// allWorkers is how many workers all processes have.
func (p *plan) allWorkers() int {
	if p.hasApart() {
		return p.Processes*p.Loops + 1
	}
	return p.Processes * p.Loops
}

// share says which clients of a group a worker has: first, first+step, ... A
// worker's place on the board is its number over all processes: the shared ones
// first, process by process, and then the one apart.
func (p *plan) share(g *groupPlan, worker int) (first, step int) {
	apart := worker == p.Loops
	switch {
	case g.Apart && apart:
		return 0, 1
	case g.Apart || apart:
		return g.Clients, 1
	}
	return p.Process*p.Loops + worker, p.Processes * p.Loops
}

// place is the number of a worker of this process over all processes.
func (p *plan) place(worker int) int {
	if worker == p.Loops {
		return p.Processes * p.Loops
	}
	return p.Process*p.Loops + worker
}

func (p *plan) shape() boardShape {
	shape := boardShape{Workers: p.allWorkers()}
	for i := range p.Flows {
		shape.Events = append(shape.Events, p.Flows[i].Events)
	}
	return shape
}

// clients is how many clients all processes have.
func (p *plan) clients() (count int) {
	for i := range p.Groups {
		count += p.Groups[i].Clients
	}
	return count
}

// ownClients is how many clients this process has.
func (p *plan) ownClients() (count int) {
	for i := range p.Groups {
		for w := range p.workers() {
			first, step := p.share(&p.Groups[i], w)
			count += shareSize(p.Groups[i].Clients, first, step)
		}
	}
	return count
}

// shareSize counts first, first+step, ... below all.
func shareSize(all, first, step int) int {
	return max(all-first+step-1, 0) / step
}
