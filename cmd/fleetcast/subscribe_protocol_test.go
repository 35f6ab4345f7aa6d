package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestSubscribeAnswers: subscribe answers pings and close frames with masked
// frames, says what was wrong with a frame before it closes, and prints what a
// close frame says so that no terminal obeys it (RFC 6455, 5.1, 5.5.1, 5.5.2, 7.1.7
// and 7.2.1).
func TestSubscribeAnswers(t *testing.T) {
	tests := map[string]struct {
		says    string
		want    []string // opcode and payload
		printed string
	}{
		"ping, then close": {"\x89\x04beat\x88\x09\x03\xe9gone\x1b[1", []string{"a beat", "8 \x03\xe9"}, `1001 "gone\\x1b\[1"`},
		"no code":          {"\x88\x00", []string{"8 "}, `1005 ""`},
		"masked frame":     {"\x81\x81maskx", []string{"8 \x03\xea"}, "broke the protocol.*masked"},
		"text not UTF-8":   {"\x81\x05\xff", []string{"8 \x03\xef"}, "broke the protocol.*UTF-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			heard := make(chan []ws.Frame, 10)
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, _, _, err := ws.UpgradeHTTP(r, w)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				heard <- converse(conn, test.says)
			}))
			defer gateway.Close()
			c := start(t, nil, "subscribe", "--url=ws"+strings.TrimPrefix(gateway.URL, "http"), "news")
			frames := <-heard
			c.err.await(t, test.printed)
			c.stop()
			c.wait(t)
			if len(frames) != 1+len(test.want) {
				t.Fatalf("heard %d frames, want a subscription and %q", len(frames), test.want)
			}
			for i, f := range frames[1:] {
				if !f.Header.Masked || !f.Header.Fin || f.Header.Mask == frames[0].Header.Mask {
					t.Errorf("subscribe sent %+v", f.Header)
				}
				ws.Cipher(f.Payload, f.Header.Mask, 0)
				if got := string("0123456789abcdef"[f.Header.OpCode]) + " " + string(f.Payload); got != test.want[i] {
					t.Errorf("subscribe answered %q, want %q", got, test.want[i])
				}
			}
		})
	}
}

// converse waits for the first frame, says its words, and returns all frames up
// to the end.
func converse(conn net.Conn, says string) (frames []ws.Frame) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	for {
		f, err := ws.ReadFrame(in)
		if err != nil {
			return frames
		}
		if frames = append(frames, f); len(frames) == 1 {
			_, _ = conn.Write([]byte(says))
		}
	}
}
