package poller_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

const (
	// spareDescriptors is how many descriptors the other process can still
	// open; its runtime may take a few of them.
	spareDescriptors = 16
	// sureDescriptors of them are left for clients in any case.
	sureDescriptors = 12
)

// TestDescriptorsExhausted has another process run out of descriptors under a
// crowd of clients, and watches what it does.
func TestDescriptorsExhausted(t *testing.T) {
	server := startChild(t, "exhaust", fmt.Sprint(spareDescriptors))
	addr := server.expect("listening")
	var peers []net.Conn
	for range spareDescriptors + 6 {
		peer := must[net.Conn](t)(net.Dial("tcp4", addr))
		defer peer.Close()
		peers = append(peers, peer)
	}
	hello := func(peer net.Conn) {
		t.Helper()
		if _, err := io.WriteString(peer, "hello"); err != nil {
			t.Fatal(err)
		}
		readFull(t, peer, 5)
	}
	if got := server.expect("failed"); got != unix.EMFILE.Error() {
		t.Errorf("AcceptFailed(%s)", got)
	}
	for _, peer := range peers[:sureDescriptors-4] {
		hello(peer) // the connected go on
	}
	server.tell("measure")
	var turns, milliseconds int
	if _, err := fmt.Sscan(server.expect("measured"), &turns, &milliseconds); err != nil {
		t.Fatal(err)
	}
	// In 0.7 s: 7 ticks, 1 or 2 attempts, and signals of the runtime.
	if turns > 50 || milliseconds > 200 {
		t.Errorf("a process without descriptors took %d turns and %d ms of CPU in 0.7 s", turns, milliseconds)
	}
	server.tell("failures") // one burst, one report
	if n := server.expect("failures"); n != "1" {
		t.Errorf("%s failures were reported, want 1", n)
	}
	for _, peer := range peers[:sureDescriptors] {
		peer.Close()
	}
	for _, peer := range peers[sureDescriptors:] {
		hello(peer) // their turn has come
	}
	var more []net.Conn
	for range spareDescriptors {
		peer := must[net.Conn](t)(net.Dial("tcp4", addr))
		defer peer.Close()
		more = append(more, peer)
	}
	hello(more[0])
	if got := server.expect("failed"); got != unix.EMFILE.Error() { // another burst
		t.Errorf("AcceptFailed(%s)", got)
	}
}

// childOwner is the owner of a loop in another process.
type childOwner struct {
	loop     *poller.Loop
	tasks    *poller.Mailbox[func()]
	accepted func(fd int)
	turns    int
	ticks    int
	onTick   func()
	failures int
}

func newChildOwner() *childOwner {
	o := &childOwner{tasks: poller.NewMailbox[func()]()}
	loop, err := poller.NewLoop(o, poller.LoopConfig{})
	if err != nil {
		panic(err)
	}
	o.loop = loop
	return o
}

func (o *childOwner) Accepted(_ *poller.Listener, fd int) { o.accepted(fd) }

func (o *childOwner) AcceptFailed(_ *poller.Listener, err error) {
	o.failures++
	var errno unix.Errno
	if wrapped, ok := err.(*os.SyscallError); ok {
		errno, _ = wrapped.Err.(unix.Errno)
	}
	fmt.Println("failed", errno)
}

func (o *childOwner) Pending() bool { return !o.tasks.Empty() }

func (o *childOwner) Tick() {
	o.ticks++
	if o.onTick != nil {
		o.onTick()
	}
}

func (o *childOwner) Turn() (busy bool) {
	o.turns++
	for {
		task, ok := o.tasks.Take()
		if !ok {
			return false
		}
		task()
	}
}

// obey runs the function of each line of standard input on the loop, and stops
// the loop at its end.
func (o *childOwner) obey(commands map[string]func()) {
	for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
		o.tasks.Post(commands[scanner.Text()])
		o.loop.Wake()
	}
	o.loop.Stop()
}

// exhaust is an echo server with few descriptors.
func exhaust() int {
	o := newChildOwner()
	o.accepted = func(fd int) {
		c := new(testConn)
		c.closed = make(chan error, 1)
		c.echo()
		if err := o.loop.Register(&c.Conn, fd, c); err != nil {
			panic(err)
		}
	}
	listeners, err := poller.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err == nil {
		err = o.loop.AddListener(listeners[0])
	}
	if err == nil {
		err = leaveDescriptors(childArgument())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "exhaust:", err)
		return 1
	}
	fmt.Println("listening", listeners[0].Addr())
	go o.obey(map[string]func(){
		"measure":  o.measure,
		"failures": func() { fmt.Println("failures", o.failures) },
	})
	o.loop.Run()
	return 0
}

// measure reports the turns and the CPU time, in milliseconds, of 7 ticks.
func (o *childOwner) measure() {
	turns, cpu, end := o.turns, processCPU(), o.ticks+7
	o.onTick = func() {
		if o.ticks == end {
			fmt.Println("measured", o.turns-turns, (processCPU() - cpu).Milliseconds())
			o.onTick = nil
		}
	}
}

func processCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// leaveDescriptors lowers the limit so that n more can be opened.
func leaveDescriptors(n int) error {
	next, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0) // the lowest free number
	if err != nil {
		return err
	}
	if err := unix.Close(next); err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = uint64(next + n)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
