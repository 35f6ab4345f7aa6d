package interop_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"fleetcast/gateway"
	"fleetcast/gateway/echo"
)

// hostile is what a client sends instead of a compressed message.
type hostile struct {
	name   string
	frames []byte
	code   int // with which the server closes
}

// hostiles are bombs and corrupt streams for a server with a limit on messages.
func hostiles(limit int) []hostile {
	bomb := deflated(make([]byte, 64*limit))
	blocks := bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), 200)
	endless := frame(ws.OpBinary, false, true, nil)
	for range limit*5/4/len(blocks) + 1 {
		endless = append(endless, frame(ws.OpContinuation, false, false, blocks)...)
	}
	records := deflated(bytes.Repeat([]byte("record "), 100))
	return []hostile{
		{"bomb", frame(ws.OpBinary, true, true, bomb), 1009},
		{"bomb in two fragments", append(frame(ws.OpText, false, true, bomb[:9]), frame(ws.OpContinuation, true, false, bomb[9:])...), 1009},
		{"message without end", endless, 1009},
		{"corrupt stream", frame(ws.OpText, true, true, append([]byte("\xff"), records...)), 1007},
		{"stream that is cut off", frame(ws.OpText, true, true, records[:len(records)-2]), 1007},
	}
}

// deflated is a message compressed as a client does (RFC 7692, 7.2.1).
func deflated(message []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	_, _ = w.Write(message)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// frame is a masked frame.
func frame(op ws.OpCode, fin, compressed bool, payload []byte) []byte {
	f := ws.MaskFrame(ws.NewFrame(op, fin, bytes.Clone(payload)))
	if compressed {
		f.Header.Rsv = ws.Rsv(true, false, false)
	}
	return ws.MustCompileFrame(f)
}

// attack has many of gorilla's clients send what is hostile at once, and returns
// by how much the heap grew at most.
func attack(t *testing.T, url string, limit int) (growth uint64) {
	t.Helper()
	const clients = 100
	dialer := gorilla.Dialer{EnableCompression: true, HandshakeTimeout: patience}
	dial := func() *gorilla.Conn {
		conn, response, err := dialer.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if extensionsOf(response) == "" {
			t.Fatal("compression was not agreed on")
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		return conn
	}
	kinds := hostiles(limit)
	conns := make([]*gorilla.Conn, clients)
	for i := range conns {
		conns[i] = dial()
	}
	witness := dial()
	peak := watchHeap()
	var attackers sync.WaitGroup
	for i, conn := range conns {
		kind := kinds[i%len(kinds)]
		attackers.Go(func() {
			// The server closes in the middle of what does not end.
			_, _ = conn.NetConn().Write(kind.frames)
		})
		attackers.Go(func() {
			err := error(nil)
			for err == nil {
				_, _, err = conn.ReadMessage() // a gateway's welcome comes first
			}
			var closed *gorilla.CloseError
			if !errors.As(err, &closed) || closed.Code != kind.code {
				t.Errorf("%s: %v, want a close with %d", kind.name, err, kind.code)
			}
			conn.Close()
		})
	}
	attackers.Wait()
	growth = peak()
	heard := make(chan struct{})
	witness.SetPongHandler(func(string) error { close(heard); return nil })
	if err := witness.WriteControl(gorilla.PingMessage, nil, time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, _, err := witness.ReadMessage(); err != nil {
				return
			}
		}
	}()
	select {
	case <-heard:
	case <-time.After(patience):
		t.Error("another client is not answered")
	}
	return growth
}

// watchHeap samples the size of the heap until the function is called that it
// returns, which tells by how many bytes it has grown at most.
func watchHeap() (peak func() uint64) {
	heap := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	base, most := heap(), uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			most = max(most, heap())
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return max(most, base) - base
	}
}

// TestDeflateBombs has a hundred clients attack at once. What is sent takes 64
// times the limit each, if it ends at all; the heap, with that of the clients, which
// are in this process, must grow by less than two thirds of the limit for each, and 8 MiB.
func TestDeflateBombs(t *testing.T) {
	check := func(t *testing.T, url string, limit int) {
		growth, most := attack(t, url, limit), uint64(64*limit+8<<20)
		t.Logf("the heap has grown by %d KiB of %d", growth>>10, most>>10)
		if growth > most {
			t.Errorf("the heap has grown by %d KiB", growth>>10)
		}
	}
	t.Run("echo", func(t *testing.T) {
		const limit = 1 << 20
		e, err := echo.New(echo.Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, MaxMessage: limit, Compression: true})
		if err != nil {
			t.Fatal(err)
		}
		go e.Run()
		t.Cleanup(e.Close)
		check(t, fmt.Sprintf("ws://%s/", e.Addrs()[0]), limit)
	})
	t.Run("gateway", func(t *testing.T) {
		g := startGateway(t)
		check(t, g.url("127.0.0.1", ""), gateway.DefaultMaxMessage)
	})
}
