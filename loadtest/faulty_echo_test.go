package loadtest_test

import (
	"bytes"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest"

	"github.com/gobwas/ws"
)

// echoer is one connection to a faulty echo server.
type echoer struct {
	conn    *net.TCPConn
	deflate *deflating // nil: it gets plain frames
	count   int        // of its messages, with the one at hand
	held    []byte     // for a fault to keep something
}

// echoFault returns the frames that answer a message. It runs under the
// server's lock.
type echoFault func(e *echoer, message []byte) [][]byte

func startFaultyEcho(t *testing.T, fault echoFault) loadtest.Common {
	t.Helper()
	return startCompressingEcho(t, nil, fault)
}

// startCompressingEcho is the same with a server that agrees to c, if it is not
// nil; the fault then compresses.
func startCompressingEcho(t *testing.T, c *compression, fault echoFault) loadtest.Common {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	go accept(l, func(conn net.Conn) {
		deflate, ok := upgradeWith(conn, "/ws", c)
		if !ok {
			return
		}
		e := &echoer{conn: conn.(*net.TCPConn), deflate: deflate}
		readMessages(conn, func(m websocket.Message) {
			mu.Lock()
			defer mu.Unlock()
			e.count++
			conn.Write(bytes.Join(fault(e, m.Payload), nil))
		})
	})
	return loadtest.Common{
		URL: "ws://" + l.Addr().String() + "/ws", PID: loadtest.NoProcess,
		Settle: time.Millisecond, Stall: 250 * time.Millisecond,
	}
}

func echoed(_ *echoer, message []byte) [][]byte { return [][]byte{text(message)} }

// tenth makes a fault of each client's messages 5, 15, ... of 50: 5 for each of
// 4 clients.
func tenth(f echoFault) echoFault {
	return func(e *echoer, message []byte) [][]byte {
		if e.count%10 == 5 {
			return f(e, message)
		}
		return echoed(e, message)
	}
}

func TestEchoFaults(t *testing.T) {
	t.Parallel()
	const all = 200
	cases := map[string]struct {
		fault echoFault
		want  counts
	}{
		"none": {echoed, counts{delivered: all}},
		"corrupts the padding": {tenth(func(_ *echoer, m []byte) [][]byte {
			bad := bytes.Clone(m)
			bad[len(bad)-8] ^= 1
			return [][]byte{text(bad)}
		}), counts{delivered: all - 20, corrupted: 20}},
		"corrupts the number": {tenth(func(_ *echoer, m []byte) [][]byte {
			return [][]byte{text(bytes.Replace(m, []byte(`{"s":`), []byte(`{"s":1`), 1))}
		}), counts{delivered: all - 20, corrupted: 20}},
		"cuts off": {tenth(func(_ *echoer, m []byte) [][]byte { return [][]byte{text(m[:len(m)-1])} }),
			counts{delivered: all - 20, corrupted: 20}},
		"empties": {tenth(func(*echoer, []byte) [][]byte { return [][]byte{text(nil)} }),
			counts{delivered: all - 20, corrupted: 20}},
		"answers binary": {tenth(func(_ *echoer, m []byte) [][]byte {
			return [][]byte{websocket.AppendFrame(nil, ws.OpBinary, m)}
		}), counts{delivered: all - 20, corrupted: 20}},
		"drops": {tenth(func(*echoer, []byte) [][]byte { return nil }),
			counts{delivered: all - 20, lost: 20}},
		"doubles": {tenth(func(_ *echoer, m []byte) [][]byte { return [][]byte{text(m), text(m)} }),
			counts{delivered: all, duplicated: 20}},
		"swaps": {func(e *echoer, m []byte) [][]byte {
			switch e.count % 10 {
			case 5:
				e.held = text(m)
				return nil
			case 6:
				return [][]byte{text(m), e.held}
			}
			return echoed(e, m)
		}, counts{delivered: all, reordered: 20}},
		"adds one": {func(e *echoer, m []byte) [][]byte {
			if e.count == 50 {
				return [][]byte{text(m), text([]byte("more"))}
			}
			return echoed(e, m)
		}, counts{delivered: all, unexpected: 4}},
		"pings": {func(_ *echoer, m []byte) [][]byte {
			return [][]byte{websocket.AppendFrame(nil, ws.OpPing, []byte("x")), text(m)}
		}, counts{delivered: all}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.clients = 4
			// Dropped messages keep their place in the window.
			r := scenario(t, loadtest.RunEcho, loadtest.Echo{
				Common: startFaultyEcho(t, ignorePongs(c.fault)), Clients: 4, Messages: 50, Window: 8,
			})
			check(t, r, c.want)
			if r.Events != all {
				t.Errorf("%d messages, want %d", r.Events, all)
			}
		})
	}
}

// ignorePongs keeps the answers to pings, of one byte, from a fault.
func ignorePongs(f echoFault) echoFault {
	return func(e *echoer, message []byte) [][]byte {
		if len(message) == 1 {
			e.count--
			return nil
		}
		return f(e, message)
	}
}

func TestEchoServerThatStops(t *testing.T) {
	t.Parallel()
	r := scenario(t, loadtest.RunEcho, loadtest.Echo{
		Common: startFaultyEcho(t, func(e *echoer, m []byte) [][]byte {
			if e.count > 20 {
				return nil
			}
			return echoed(e, m)
		}), Clients: 4, Messages: 50,
	})
	check(t, r, counts{clients: 4, delivered: 80, lost: 4})
	if r.Events != 84 {
		t.Errorf("%d messages were sent", r.Events)
	}
}

func TestEchoServerThatHangsUp(t *testing.T) {
	t.Parallel()
	hangUps := map[string]func(*net.TCPConn){
		"close 1013": func(c *net.TCPConn) { c.Write(websocket.AppendClose(nil, ws.StatusCode(1013), "slow")); c.CloseWrite() },
		"FIN":        func(c *net.TCPConn) { c.CloseWrite() },
		"reset":      func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	}
	for name, hangUp := range hangUps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var victim *echoer
			r := scenario(t, loadtest.RunEcho, loadtest.Echo{
				Common: startFaultyEcho(t, func(e *echoer, m []byte) [][]byte {
					if e.count == 21 && victim == nil {
						victim = e
						hangUp(e.conn)
					}
					if e == victim {
						return nil
					}
					return echoed(e, m)
				}), Clients: 4, Messages: 50,
			})
			check(t, r, counts{clients: 4, delivered: 20 + 3*50, lost: 1, disconnected: 1})
		})
	}
}

// A server that stops for half a second makes every message due in that time
// late; messages keep the times at which they are due.
func TestEchoCoordinatedOmission(t *testing.T) {
	t.Parallel()
	const rate = 200
	var mu sync.Mutex
	dues := make(map[int]int64) // by number
	r := scenario(t, loadtest.RunEcho, loadtest.Echo{
		Common: startFaultyEcho(t, func(e *echoer, m []byte) [][]byte {
			var data struct {
				Number int   `json:"s"`
				Due    int64 `json:"t,string"`
			}
			if err := json.Unmarshal(m, &data); err != nil {
				t.Error(err)
			}
			mu.Lock()
			dues[data.Number] = data.Due
			mu.Unlock()
			if data.Number == 100 {
				time.Sleep(500 * time.Millisecond)
			}
			return echoed(e, m)
		}), Clients: 10, Rate: rate, Duration: 1500 * time.Millisecond, Payload: 100,
	})
	check(t, r, counts{clients: 10, delivered: 300})
	// As for events: a third of all wait, 500 ms at most, and evenly spread.
	if r.Latency.P99 < 400 || r.Latency.P90 < 250 {
		t.Errorf("latencies %v", r.Latency)
	}
	mu.Lock()
	defer mu.Unlock()
	for number := range 300 {
		if want := dues[0] + int64(number)*int64(time.Second/rate); dues[number] != want {
			t.Fatalf("message %d is due at %d, want %d", number, dues[number], want)
		}
	}
}
