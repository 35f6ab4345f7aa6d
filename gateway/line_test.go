package gateway_test

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// line is a TCP proxy in front of a gateway that is like a slow line: what goes to
// the client leaves at a rate, and everything arrives after half of the round trip.
// It holds as much as is on its way, and reads no further ahead: the gateway is
// pushed back as by the line itself.
type line struct {
	rate      float64       // bytes a second to the client
	roundTrip time.Duration // without the time that waiting and rate take
}

// lineGrain is the least time for which a line sends at once.
const lineGrain = 5 * time.Millisecond

// to opens the line to a gateway's port and returns where its other end listens.
func (l line) to(tb testing.TB, addr string) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var open sync.WaitGroup
	var ends []net.Conn
	var mu sync.Mutex
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := narrowDialer(l.buffer()).Dial("tcp", addr)
			if err != nil {
				client.Close()
				continue
			}
			mu.Lock()
			ends = append(ends, client, server)
			mu.Unlock()
			open.Go(func() { l.carry(client, server, l.rate) })
			open.Go(func() { l.carry(server, client, 0) })
		}
	})
	tb.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, c := range ends {
			c.Close()
		}
		mu.Unlock()
		open.Wait()
	})
	return listener.Addr().String()
}

// buffer is what the line's own kernel buffers are to hold: next to nothing beside
// what it sends at once.
func (l line) buffer() int { return min(max(int(l.rate/4), 4<<10), 16<<10) }

// narrowDialer makes connections with a small receive buffer, in bytes.
func narrowDialer(receiveBuffer int) *net.Dialer {
	return &net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
		})
		return err
	}}
}

// parcel is some bytes on their way.
type parcel struct {
	bytes   []byte
	arrives time.Time
}

// carry sends what from says to to, at most so many bytes a second; 0 is any rate.
// It ends with either side.
func (l line) carry(to, from net.Conn, rate float64) {
	under := make(chan parcel, 16+l.roundTrip/2/time.Millisecond)
	var arriving sync.WaitGroup
	arriving.Go(func() {
		for p := range under {
			time.Sleep(time.Until(p.arrives))
			if _, err := to.Write(p.bytes); err != nil {
				break
			}
		}
		to.Close()
		from.Close()
		for range under { // so that the sender ends
		}
	})
	size := 64 << 10
	if rate > 0 {
		size = max(int(rate*lineGrain.Seconds()), 1)
	}
	free := time.Now() // when the line can take the next parcel
	for {
		p := make([]byte, size)
		n, err := io.ReadAtLeast(from, p, 1)
		if n > 0 {
			if now := time.Now(); free.Before(now) {
				free = now
			}
			if rate > 0 {
				free = free.Add(time.Duration(float64(n) / rate * float64(time.Second)))
			}
			under <- parcel{p[:n], free.Add(l.roundTrip / 2)}
			time.Sleep(time.Until(free) - lineGrain)
		}
		if err != nil {
			break
		}
	}
	close(under)
	arriving.Wait()
}

// connectOver makes a WebSocket client at the end of a line.
func (s *server) connectOver(l line) *peer {
	s.Helper()
	return s.upgrade(dial(s.TB, l.to(s.TB, s.clientAddr()), 0))
}
