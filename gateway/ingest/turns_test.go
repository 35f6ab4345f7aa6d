package ingest

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/gateway/limits"
)

// TestPublisherTurnWork has a publisher send much work of each kind in one read: it
// is handled a part at a time, and all of it in the end.
func TestPublisherTurnWork(t *testing.T) {
	for _, test := range []struct {
		name    string
		first   string // decides the protocol
		request string
		count   int
		most    int // requests in a turn
	}{
		{"blank lines", "{}\n", "\n", 500_000, limits.TurnWork / limits.ByteWork * 11 / 10},
		{"blank lines of blanks", "{}\n", "  \r\n", 200_000, limits.TurnWork / limits.ByteWork / 3},
		{"not JSON", "", "{\n", 5_000, limits.TurnWork / refusedWork},
		{"no channel", "", "{}\n", 5_000, limits.TurnWork / refusedWork},
		{"events", "", `{"channel":"a","data":1}` + "\n", 5_000, limits.TurnWork / (requestWork + eventWork)},
		{"events to many channels", "", `{"channels":["a","b","c","d","e","f","g","h"],"data":1}` + "\n", 1_000, limits.TurnWork / (8 * eventWork)},
		{"empty arrays", "PING\r\n", "*0\r\n", 50_000, limits.TurnWork / stepWork},
		{"blank inline commands", "PING\r\n", "\r\n", 50_000, limits.TurnWork / stepWork},
		{"inline pings", "", "PING\r\n", 20_000, limits.TurnWork / requestWork},
		{"unknown commands", "", "x\r\n", 5_000, limits.TurnWork / refusedWork},
		{"unavailable commands", "", "CLUSTER INFO\r\n", 5_000, limits.TurnWork / refusedWork},
		{"commands without replies", "CLIENT REPLY OFF\r\n", "INFO\r\n", 5_000, limits.TurnWork / requestWork},
		{"commands with many names", "", "PUBSUB NUMSUB" + strings.Repeat(" x", 1000) + "\r\n", 100, limits.TurnWork / (900 * lookWork)},
		{"inline events", "", "PUBLISH a 1\r\n", 5_000, limits.TurnWork / (requestWork + eventWork)},
		{"commands in a transaction", "MULTI\r\n", "PUBLISH a 1\r\n", 5_000, limits.TurnWork / requestWork},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newTestPublishLoop(t)
			p, read := newTestPublisher(t, in)
			p.Received([]byte(test.first + strings.Repeat(test.request, test.count)))
			turns := 1
			for p.waits != waitsForInput {
				switch read(); p.waits {
				case waitsForReplies:
					p.Writable()
				case waitsForTurn:
					turns++
					in.resumePostponed()
				case waitsForCredit:
					t.Fatal("it waits for credit")
				}
			}
			if least := test.count / test.most; turns < least {
				t.Errorf("handled in %d turns, want %d at least", turns, least)
			}
			if in.counters.ReadCuts != uint64(turns-1) {
				t.Errorf("%d cuts were counted in %d turns", in.counters.ReadCuts, turns)
			}
			if p.held != nil || in.heldBytes != 0 || in.postponed.Len() != 0 {
				t.Errorf("%d bytes are still held", in.heldBytes)
			}
		})
	}
}

// Publishers whose input waits do not all go on in the same turn, and what is held
// of them is counted.
func TestPublishersPostponedInTurns(t *testing.T) {
	in := newTestPublishLoop(t)
	const publishers, lines = 400, 1_000
	input := strings.Repeat("{}\n", lines)
	all, reads := make([]*publisher, publishers), make([]func(), publishers)
	for i := range all {
		all[i], reads[i] = newTestPublisher(t, in)
		all[i].Received([]byte(input))
	}
	if n := in.postponed.Len(); n != publishers {
		t.Fatalf("%d publishers were postponed", n)
	}
	if held := in.port.Input.Held.Load(); held < publishers*int64(len(input))/2 || held != in.heldBytes {
		t.Errorf("%d bytes are counted", held)
	}
	// The first had a turn of its own, and each of the others less.
	if n := in.counters.Errors["bad_request"]; n > (limits.TurnWork+publishers*limits.TurnWork/4)/refusedWork {
		t.Errorf("%d lines were handled in one turn", n)
	}
	before := in.counters.Errors["bad_request"]
	in.resumePostponed()
	if n := in.counters.Errors["bad_request"] - before; n == 0 || n > publishers*leastWork/refusedWork/2 {
		t.Errorf("%d lines were handled at once", n)
	}
	for waiting := true; waiting; {
		in.resumePostponed()
		waiting = false
		for i, p := range all {
			if reads[i](); p.waits == waitsForReplies {
				p.Writable()
			}
			waiting = waiting || p.waits != waitsForInput
		}
	}
	if n := in.counters.Errors["bad_request"]; n != publishers*lines {
		t.Errorf("%d lines were handled", n)
	}
}

// newTestPublisher returns a publisher, and a function that reads what was sent to
// it.
func newTestPublisher(tb testing.TB, in *Loop) (p *publisher, read func()) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	_ = unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	tb.Cleanup(func() { unix.Close(pair[1]) })
	p = newPublisher(in)
	if err := in.Loop.Register(&p.conn, pair[0], p); err != nil {
		tb.Fatal(err)
	}
	in.port.connections.Add(1)
	in.counters.Publishers++
	in.places.enter(p, p.conn.RemoteAddr().Addr())
	buffer := make([]byte, 1<<20)
	return p, func() {
		for {
			if n, _ := unix.Read(pair[1], buffer); n <= 0 {
				return
			}
		}
	}
}

// TestReadsAreShared has publishers share what is read in a turn.
func TestReadsAreShared(t *testing.T) {
	in := newTestPublishLoop(t)
	for _, test := range []struct{ readers, limit int }{
		{0, ingestReadBuffer}, {1, ingestReadBuffer}, {2, ingestReadBuffer / 2}, {16, 16 << 10}, {17, sharedRead}, {5000, sharedRead},
	} {
		in.sharing = test.readers
		if got := in.readLimit(); got != test.limit {
			t.Errorf("of %d publishers each is read %d bytes, want %d", test.readers, got, test.limit)
		}
	}
	credits := in.port.Credits
	credits.Take(credits.Budget.Load())
	if got := in.readLimit(); got != starvedRead {
		t.Errorf("without credit %d bytes are read", got)
	}
}
