package loadtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest"

	"github.com/gobwas/ws"
)

// talk is what a server says behind the handshake, once the client's first
// message is there.
func talk(t *testing.T, says []byte) (common loadtest.Common, heard <-chan []ws.Frame) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	frames := make(chan []ws.Frame, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		if !upgrade(conn, "/ws") {
			return
		}
		in := bufio.NewReader(conn)
		var got []ws.Frame
		for {
			f, err := readFrame(in)
			if err != nil {
				frames <- got
				return
			}
			if got = append(got, f); len(got) == 1 {
				conn.Write(says)
			}
		}
	}()
	return loadtest.Common{
		URL: "ws://" + l.Addr().String() + "/ws", PID: loadtest.NoProcess,
		Settle: time.Millisecond, Stall: 2 * time.Second,
	}, frames
}

// readFrame reads a frame of at most 64 KiB.
func readFrame(in io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(in); err != nil {
		return f, err
	}
	if f.Header.Length > 64<<10 {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(in, f.Payload)
	return f, err
}

// TestClientAnswers: the harness's clients answer pings and close frames, and
// say what was wrong with a frame before they close (RFC 6455, 5.1, 5.2, 5.4,
// 5.5.1, 5.5.2, 6.1, 7.1.1, 7.1.2, 7.1.7, 7.2.1, 7.4.1, 8.1 and 10.7).
func TestClientAnswers(t *testing.T) {
	t.Parallel()
	mask := [4]byte{1, 2, 3, 4}
	tests := map[string]struct {
		says string
		want string // opcodes and unmasked payloads
	}{
		"close":                {string(websocket.AppendClose(nil, 1013, "slow")), "8 \x03\xf5"},
		"close without a code": {string(websocket.AppendClose(nil, 1005, "")), "8 "},
		"ping, then close": {string(websocket.AppendFrame(nil, ws.OpPing, []byte("beat"))) +
			string(websocket.AppendClose(nil, 1001, "")), "a beat, 8 \x03\xe9"},
		"ping behind the close": {string(websocket.AppendClose(nil, 1001, "")) + "\x89\x00", "8 \x03\xe9"},
		"masked frame":          {string(websocket.AppendMaskedFrame(nil, ws.OpText, []byte("x"), mask)), "8 \x03\xea"},
		"reserved bit":          {"\xc1\x00", "8 \x03\xea"},
		"reserved opcode":       {"\x83\x00", "8 \x03\xea"},
		"fragmented ping":       {"\x09\x00", "8 \x03\xea"},
		"text not UTF-8":        {"\x81\x05\xff", "8 \x03\xef"},
		"close code 1006":       {"\x88\x02\x03\xee", "8 \x03\xea"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, heard := talk(t, []byte(test.says))
			r := scenario(t, loadtest.RunEcho, loadtest.Echo{Common: target, Clients: 1, Messages: 10, Window: 1})
			if r.Detail.Disconnected != 1 {
				t.Errorf("%+v", r.Detail)
			}
			var got []string
			for _, f := range (<-heard)[1:] {
				if !f.Header.Masked || !f.Header.Fin {
					t.Errorf("a client sent %+v", f.Header)
				}
				ws.Cipher(f.Payload, f.Header.Mask, 0)
				got = append(got, string("0123456789abcdef"[f.Header.OpCode])+" "+string(f.Payload))
			}
			if all := strings.Join(got, ", "); all != test.want {
				t.Errorf("the client answered %q, want %q", all, test.want)
			}
		})
	}
}

// TestMasksAreFresh: each of the harness's frames is masked, with a key of its own
// (RFC 6455, 5.1, 5.3, 6.1 and 10.3).
func TestMasksAreFresh(t *testing.T) {
	t.Parallel()
	const pings = 200
	var says []byte
	for range pings {
		says = websocket.AppendFrame(says, ws.OpPing, nil)
	}
	target, heard := talk(t, websocket.AppendClose(says, 1000, ""))
	scenario(t, loadtest.RunEcho, loadtest.Echo{Common: target, Clients: 1, Messages: 10, Window: 1})
	masks := map[[4]byte]bool{}
	for _, f := range <-heard {
		if !f.Header.Masked || masks[f.Header.Mask] {
			t.Fatalf("%+v is not masked, or with a key that another frame has", f.Header)
		}
		masks[f.Header.Mask] = true
	}
	if want := 1 + pings + 1; len(masks) != want {
		t.Errorf("%d frames, want %d", len(masks), want)
	}
}

// TestClientWaitsForTheAnswer: the harness's clients send a request that others
// take, and nothing behind it before it is answered (RFC 6455, 4.1).
func TestClientWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan []ws.Frame, 1)
	go func() {
		var frames []ws.Frame
		defer func() { heard <- frames }()
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		request, err := http.ReadRequest(in)
		if err != nil {
			t.Error(err)
			return
		}
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if b, err := in.Peek(1); len(b) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("before the answer came %q, %v", b, err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		_, _, _, err = ws.UpgradeHTTP(request, hijacked{httptest.NewRecorder(), conn, in})
		if err != nil {
			t.Error(err)
			return
		}
		f, err := readFrame(in)
		if err != nil {
			t.Error(err)
			return
		}
		frames = append(frames, f)
	}()
	scenario(t, loadtest.RunEcho, loadtest.Echo{Common: loadtest.Common{
		URL: "ws://" + l.Addr().String() + "/ws", PID: loadtest.NoProcess, Settle: time.Millisecond, Stall: 2 * time.Second,
	}, Clients: 1, Messages: 1, Window: 1})
	if frames := <-heard; len(frames) != 1 || frames[0].Header.OpCode != ws.OpText {
		t.Errorf("behind the answer came %v", frames)
	}
}

// hijacked gives a connection to those who upgrade by way of net/http.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
	in   *bufio.Reader
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(h.in, bufio.NewWriter(h.conn)), nil
}
