package gateway

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/backlog"
)

// TestHalfReplySurvivesOverrun fills a socket with replies until one is half out.
// The client that is then disconnected must get its end, or it could not read
// the close frame behind it.
func TestHalfReplySurvivesOverrun(t *testing.T) {
	s := newTestShard(t)
	c := newTestSession(t, s)
	reply := websocket.AppendFrame(nil, ws.OpText, bytes.Repeat([]byte("r"), 1<<20))
	for c.backlog == nil {
		c.write(backlog.OwnReply, reply)
	}
	sent := int(s.counters.BytesOut) % len(reply)
	c.overrun()
	if sent == 0 {
		t.Fatal("the kernel took a whole number of replies")
	}
	var scratch []byte
	left := bytes.Join(c.backlog.Vectors(nil, &scratch), nil)
	if want := append(reply[sent:], websocket.AppendClose(nil, 1013, "slow consumer")...); !bytes.Equal(left, want) {
		t.Errorf("%d bytes wait, want the last %d of the reply and a close", len(left), len(want))
	}
}
