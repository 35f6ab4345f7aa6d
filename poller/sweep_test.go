package poller

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sweptCounter is a handler that counts its sweeps.
type sweptCounter struct {
	conn  Conn
	swept int
}

func (*sweptCounter) Received([]byte) {}
func (*sweptCounter) PeerClosed()     {}
func (*sweptCounter) Writable()       {}
func (s *sweptCounter) Swept()        { s.swept++ }
func (*sweptCounter) Closed(error)    {}

func newSwept() *sweptCounter {
	s := new(sweptCounter)
	s.conn = Conn{handler: s, state: stateOpen}
	return s
}

func TestSweepIsEvenAndComplete(t *testing.T) {
	for _, count := range []int{1, 7, 10, 999, 10_000} {
		for _, interval := range []time.Duration{TickInterval, time.Second, 25 * time.Second, 250*time.Millisecond + 1} {
			t.Run(fmt.Sprint(count, " in ", interval), func(t *testing.T) {
				s := sweep{interval: interval}
				var conns []*Conn
				var counters []*sweptCounter
				for range count {
					counter := newSwept()
					counters = append(counters, counter)
					conns = append(conns, &counter.conn)
				}
				total := func() (n int) {
					for _, c := range counters {
						n += c.swept
					}
					return n
				}
				share := float64(count) * float64(TickInterval) / float64(interval)
				const intervals = 4
				now, before := time.Duration(0), 0
				for now+TickInterval <= intervals*interval {
					now += TickInterval
					s.advance(conns, now)
					if n := total() - before; float64(n) > share+1 || float64(n) < min(share, float64(count))-1 {
						t.Fatalf("%d visits in a tick, want %.1f", n, share)
					}
					before = total()
				}
				want := int(min(now/interval, now/TickInterval))
				for i, c := range counters {
					if c.swept < want-1 || c.swept > want+1 {
						t.Fatalf("connection %d was swept %d times in %v, want %d", i, c.swept, now, want)
					}
				}
			})
		}
	}
}

// Those who stay are seen in every interval while others come and go.
func TestSweepWhileConnectionsComeAndGo(t *testing.T) {
	const stay, interval = 100, time.Second
	random := rand.New(rand.NewPCG(3, 4))
	s := sweep{interval: interval}
	conns := make([]*Conn, 1_000)
	var staying []*sweptCounter
	for i := range stay {
		counter := newSwept()
		staying = append(staying, counter)
		conns[i*10] = &counter.conn
	}
	now := time.Duration(0)
	for round := range 20 {
		for range int(interval / TickInterval) {
			for range 200 {
				if i := random.IntN(len(conns)); i%10 != 0 {
					if conns[i] == nil {
						conns[i] = &newSwept().conn
					} else {
						conns[i] = nil
					}
				}
			}
			now += TickInterval
			s.advance(conns, now)
		}
		for i, c := range staying {
			if c.swept < round || c.swept > round+2 {
				t.Fatalf("connection %d was swept %d times in %d intervals", i, c.swept, round+1)
			}
		}
	}
}

func TestSweepSkipsTheUnready(t *testing.T) {
	s := sweep{interval: TickInterval}
	for _, state := range []connState{stateNew, stateConnecting, stateClosing, stateClosed} {
		counter := newSwept()
		counter.conn.state = state
		s.advance([]*Conn{&counter.conn, nil}, s.last+TickInterval)
		if counter.swept != 0 {
			t.Errorf("a connection in state %d was swept", state)
		}
	}
}

func TestSweepAfterAStallSeesNobodyTwice(t *testing.T) {
	s := sweep{interval: time.Second}
	counter := newSwept()
	s.advance([]*Conn{&counter.conn}, time.Minute)
	if counter.swept != 1 {
		t.Errorf("swept %d times", counter.swept)
	}
}

// A loop without connections has no ticks. That time must not be made up for
// when connections come: all of them would be swept at once.
func TestSweepAfterAnIdleTime(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{SweepInterval: 10 * time.Second})
	register := func() *sweptCounter {
		counter := new(sweptCounter)
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fds[1]) })
		if err := l.Register(&counter.conn, fds[0], counter); err != nil {
			t.Fatal(err)
		}
		return counter
	}
	for _, idle := range []time.Duration{time.Minute, time.Hour} {
		l.now += idle
		var counters []*sweptCounter
		for range 100 {
			counters = append(counters, register())
		}
		swept := 0
		for range 10 {
			l.tick()
			l.now += TickInterval
		}
		for _, c := range counters {
			swept += c.swept
		}
		if swept > 10 {
			t.Errorf("%d of 100 new connections were swept in a tenth of the interval", swept)
		}
		for _, c := range counters {
			c.conn.Close(nil)
		}
		l.closeEnded()
	}
}
