package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child is another process that runs a function of this test binary. Parent
// and child talk in lines that begin with '>'.
type child struct {
	testing.TB
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(tb testing.TB, role string) *child {
	tb.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestStressChild$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	c := &child{tb, in, bufio.NewReader(out)}
	tb.Cleanup(func() {
		in.Close() // which ends it
		_, _ = io.Copy(io.Discard, c.out)
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the other process: %v", err)
		}
	})
	return c
}

// tell sends the child a line.
func (c *child) tell(format string, args ...any) {
	c.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		c.Fatalf("telling the other process: %v", err)
	}
}

// hear returns the next line that is meant for the parent.
func (c *child) hear() string {
	c.Helper()
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			c.Fatalf("listening to the other process: %v", err)
		}
		if said, ok := strings.CutPrefix(line, ">"); ok {
			return strings.TrimSpace(said)
		}
	}
}

// Roles of a child that is a swarm.
const (
	swarmPlain     = "plain"
	swarmDeflating = "deflating"
	// Clients that compress what they send, with context.
	swarmBrief     = "brief"     // a few commands
	swarmTalkative = "talkative" // commands of more bytes than the largest window
)

// swarmChild is a swarm that grows as it is told: first an address and a
// channel, then numbers of clients. It answers when all are subscribed, and
// ends with its standard input.
func swarmChild(role string) {
	var addr, channel string
	in := bufio.NewReader(os.Stdin)
	if _, err := fmt.Fscanln(in, &addr, &channel); err != nil {
		panic(err)
	}
	s, err := newSwarm(netip.MustParseAddrPort(addr), channel)
	if err != nil {
		panic(err)
	}
	switch role {
	case swarmDeflating:
		s.offerDeflate(channel)
	case swarmBrief:
		s.talk(channel, 4, 0)
	case swarmTalkative:
		s.talk(channel, 20, 2<<10)
	}
	go s.loop.Run()
	var n int
	for {
		if _, err := fmt.Fscanln(in, &n); err != nil {
			return
		}
		s.grow(n, func(want int64) {
			for deadline := time.Now().Add(time.Minute); s.subscribed.Load() < want; {
				if time.Now().After(deadline) || s.gone.Load() > 0 {
					panic(fmt.Sprintf("%d clients are subscribed, %d are gone", s.subscribed.Load(), s.gone.Load()))
				}
				time.Sleep(time.Millisecond)
			}
		})
		fmt.Println(">subscribed")
	}
}

// scarceDescriptors is how many more the child without descriptors may open
// once it serves.
const scarceDescriptors = 24

// scarceChild is a gateway that runs out of descriptors. It says its addresses
// and ends with its standard input.
func scarceChild(t *testing.T) {
	s := start(t, oneShard)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	limit.Cur = uint64(descriptors(t)) + scarceDescriptors
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	fmt.Printf(">%s %s\n", s.ClientAddrs()[0], s.PublishAddrs()[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// TestDescriptorsExhausted has a gateway run out of descriptors: those
// connected are served on, and others have their turn when descriptors come
// free.
func TestDescriptorsExhausted(t *testing.T) {
	gatewayProcess := startChild(t, "scarce")
	clientAddr, publishAddr, _ := strings.Cut(gatewayProcess.hear(), " ")
	publisher := dial(t, publishAddr, 0)
	publisher.publishes("news", "0")

	// All connect to the kernel; the gateway takes as many as it can.
	peers := make([]*peer, 2*scarceDescriptors)
	for i := range peers {
		peers[i] = dial(t, clientAddr, 0)
		peers[i].sends(string(greeting("news", "")))
	}
	join := func(p *peer) {
		t.Helper()
		p.upgraded()
		p.text() // welcome
		p.text() // subscribed
	}
	// A few descriptors fewer than the limit leaves: the runtime needs some.
	served := scarceDescriptors - 8
	for _, p := range peers[:served] {
		join(p)
	}
	for i := range 3 {
		offset := publisher.publishes("news", fmt.Sprint(i)).Offset
		for _, p := range peers[:served] {
			p.wants(event("news", offset, fmt.Sprint(i)))
		}
	}
	last := peers[len(peers)-1]
	last.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := last.in.Peek(1); err == nil {
		t.Fatal("the last client was served: the descriptors were not scarce")
	}
	last.SetReadDeadline(time.Now().Add(patience))
	for _, p := range peers[:len(peers)-2] {
		p.Close()
	}
	join(last)
	offset := publisher.publishes("news", `"late"`).Offset
	last.wants(event("news", offset, `"late"`))
}
