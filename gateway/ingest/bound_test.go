package ingest

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRepliesAreBounded hands a publisher whose replies nobody reads one read's
// worth of requests that ask for fifty times as much: the rest of them waits.
func TestRepliesAreBounded(t *testing.T) {
	in := newTestPublishLoop(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	p := newPublisher(in)
	if err := in.Loop.Register(&p.conn, pair[0], p); err != nil {
		t.Fatal(err)
	}
	in.port.connections.Add(1)
	in.counters.Publishers++

	requests := []byte("{}\n" + strings.Repeat("x\n", ingestReadBuffer/2))
	takeTurns := func() {
		for p.waits == waitsForTurn {
			in.resumePostponed()
		}
	}
	p.Received(requests)
	takeTurns()
	if n := p.unsent.Len(); n <= repliesUnsent || n > 3*repliesUnsent {
		t.Errorf("%d bytes of replies wait", n)
	}
	if p.held == nil || p.idle() {
		t.Fatal("nothing of the requests waits")
	}

	// The loop does not run: what it would report is called here. The requests
	// go on as the replies leave, until all are answered.
	buffer := make([]byte, 1<<20)
	received := 0
	for p.held != nil || p.unsent.Len() > 0 {
		n, err := unix.Read(pair[1], buffer)
		if err != nil {
			t.Fatalf("reading behind %d bytes: %v", received, err)
		}
		received += strings.Count(string(buffer[:n]), "\n")
		p.Writable()
		takeTurns()
		if n := p.unsent.Len(); n > 3*repliesUnsent {
			t.Fatalf("%d bytes of replies wait", n)
		}
	}
	n, _ := unix.Read(pair[1], buffer)
	received += strings.Count(string(buffer[:max(n, 0)]), "\n")
	if want := ingestReadBuffer/2 + 1; received != want {
		t.Errorf("received %d replies, want %d", received, want)
	}
}
