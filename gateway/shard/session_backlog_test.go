package shard

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/dialect/fleetcastv1"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
	"fleetcast/gateway/stream/streamtest"
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
	sent := int(s.Counters.BytesOut) % len(reply)
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

// gapless is a dialect without a word for gaps.
type gapless struct{ fleetcastv1.Dialect }

func (gapless) AppendGap(dst []byte, _ string, _, _ uint64) []byte { return dst }

// TestGapWithoutAWord has nothing wait for a client but a gap that its dialect does not
// tell: the backlog ends all the same.
func TestGapWithoutAWord(t *testing.T) {
	s := newTestShard(t, func(c *settings.Config) {
		c.Dialects, c.SlowPolicy = []dialect.Dialect{gapless{}}, rules.SlowDropOldest
	})
	c := newTestSession(t, s)
	c.lag()
	c.queue([]*stream.Event{streamtest.New("news").Next("", "1")}, stream.FormatPlain, 0)
	c.backlog.DropStale(2, 1)
	if c.backlog.Bytes != 0 || c.backlog.Idle() {
		t.Fatalf("%d bytes wait, want a gap only", c.backlog.Bytes)
	}
	if c.Writable(); c.backlog != nil || s.Counters.Gaps != 1 {
		t.Errorf("the gap waits on, %d have been told", s.Counters.Gaps)
	}
}
