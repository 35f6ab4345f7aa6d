package loadtest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"fleetcast/gateway"
	"fleetcast/loadtest"
)

// fleet is clients of which a share offers compression, and what the server
// makes of it.
type fleet struct {
	share       float64
	compression *compression
	want        int // clients, of 10, that are compressed
	declined    int64
}

var fleets = map[string]fleet{
	"plain":         {},
	"compressed":    {1, &withoutContext, 10, 0},
	"mixed":         {0.5, &withoutContext, 5, 0},
	"with context":  {1, &withContext, 10, 0},
	"small context": {0.3, &smallContext, 3, 0},
	"in fragments":  {1, &inFragments, 10, 0},
	"declined":      {0.5, nil, 0, 5},
}

// check checks what a run of 10 clients tells of compression.
func (f *fleet) check(t *testing.T, r *loadtest.Result) {
	t.Helper()
	d := &r.Detail
	if d.Compressing != f.want || d.Declined != f.declined {
		t.Errorf("%d clients are compressed and %d declined, want %+v", d.Compressing, d.Declined, *f)
	}
	if warned := strings.Contains(strings.Join(d.Warnings, "\n"), "declined compression"); warned != (f.declined > 0) {
		t.Errorf("the warnings are %q", d.Warnings)
	}
	if (d.CompressedPayloadBytes > 0) != (f.want > 0) || (d.PlainPayloadBytes > 0) != (f.want < 10) {
		t.Errorf("payloads of %v bytes compressed, %v plain, with %d compressed of 10", d.CompressedPayloadBytes, d.PlainPayloadBytes, f.want)
	}
}

// Records shrink on the wire, however the frames arrive: what is measured is what
// came.
func TestCompressedFrameBytes(t *testing.T) {
	for name, f := range fleets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &faultyServer{fault: faithful, compression: f.compression}, func(fanout *loadtest.Fanout) {
				neverStalled(fanout)
				fanout.Deflate, fanout.Data, fanout.Payload = f.share, loadtest.DataRecords, 1024
			})
			check(t, r, counts{clients: 10, delivered: 2030})
			f.check(t, r)
			d := &r.Detail
			if plain := d.PlainPayloadBytes; plain != 0 && (plain < 1024+50 || plain > 1024+100) {
				t.Errorf("plain frames have %v bytes", plain)
			}
			if size := d.CompressedPayloadBytes; size > 450 || size != 0 && size < 150 {
				t.Errorf("compressed frames have %v bytes", size)
			}
			share := float64(f.want) / 10
			mean := share*d.CompressedPayloadBytes + (1-share)*d.PlainPayloadBytes
			if diff := mean - d.FramePayloadBytes; diff > 1e-6 || diff < -1e-6 {
				t.Errorf("frames have %v bytes, want %v", d.FramePayloadBytes, mean)
			}
		})
	}
}

// A stream that is no compressed message ends the connection.
func TestMalformedCompression(t *testing.T) {
	t.Parallel()
	fault := func(s *subscriber, offset uint64, p []byte) [][]byte {
		if s.number == 3 && offset == 101 {
			s.conn.Write([]byte("\xc1\x04\xff\xff\xff\xff"))
		}
		return [][]byte{p}
	}
	r := run(t, &faultyServer{fault: fault, compression: &withoutContext}, func(f *loadtest.Fanout) { f.Deflate = 1 })
	check(t, r, counts{clients: 10, delivered: 2030 - 103, lost: 103, disconnected: 1})
	// Nor may one come that was not agreed on.
	fault = func(s *subscriber, offset uint64, p []byte) [][]byte {
		if s.number == 3 && offset == 101 {
			s.conn.Write(withoutContext.agree().frames(p))
			return nil
		}
		return [][]byte{p}
	}
	r = run(t, &faultyServer{fault: fault}, nil)
	check(t, r, counts{clients: 10, delivered: 2030 - 103, lost: 103, disconnected: 1})
}

// An answer that does not answer the offer is no handshake.
func TestWrongAnswerToOffer(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"permessage-deflate; client_max_window_bits", "permessage-deflate; window=3", "x-other"} {
		r := run(t, &faultyServer{fault: faithful, compression: &compression{answer: answer}}, func(f *loadtest.Fanout) {
			neverStalled(f)
			f.Deflate = 0.5
		})
		if r.Clients != 5 || r.Detail.Refused != 5 || !strings.Contains(strings.Join(r.Detail.Notes, "\n"), "handshake failed") {
			t.Errorf("%s: %d clients, %d refused, notes %q", answer, r.Clients, r.Detail.Refused, r.Detail.Notes)
		}
	}
}

// Several processes have the same share.
func TestCompressedProcesses(t *testing.T) {
	t.Parallel()
	common := startGateway(t, nil)
	common.Deflate, common.Processes, common.Loops = 0.25, 2, 2
	common.Member, _ = memberCommand(t)
	f := loadtest.Fanout{Common: common, Clients: 32, Traffic: loadtest.Traffic{Events: 100, Window: 8, Payload: 1024, Data: loadtest.DataRecords}}
	r := scenario(t, loadtest.RunFanout, f)
	faultless(t, r, []string{"connect", "events", "end"}, nil)
	if r.Detail.Compressing != 8 || r.Delivered != 3200 || r.Detail.CompressedPayloadBytes > 450 {
		t.Errorf("%+v", r.Detail)
	}
}

// Echoes may come compressed too, and are measured as they came.
func TestCompressedEcho(t *testing.T) {
	t.Parallel()
	for name, f := range fleets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			common := startCompressingEcho(t, f.compression, func(e *echoer, m []byte) [][]byte {
				return [][]byte{e.deflate.frames(m)}
			})
			common.Deflate = f.share
			r := scenario(t, loadtest.RunEcho, loadtest.Echo{Common: common, Clients: 10, Messages: 20, Payload: 1024})
			check(t, r, counts{clients: 10, delivered: 200})
			f.check(t, r)
		})
	}
}

// Every scenario with clients goes through with compressed ones.
func TestCompressedScenarios(t *testing.T) {
	short := 300 * time.Millisecond
	events := func(rate float64) loadtest.Traffic {
		return loadtest.Traffic{Payload: 1024, Data: loadtest.DataRecords, Rate: rate}
	}
	cases := map[string]struct {
		clients int
		run     func(t *testing.T, c loadtest.Common) *loadtest.Result
	}{
		"connect": {10, func(t *testing.T, c loadtest.Common) *loadtest.Result {
			return scenario(t, loadtest.RunConnect, loadtest.Connect{Common: c, Clients: 10, Hold: time.Millisecond})
		}},
		"fanout": {10, func(t *testing.T, c loadtest.Common) *loadtest.Result {
			traffic := events(0)
			traffic.Events, traffic.Window, traffic.Channels = 200, 16, 2
			return scenario(t, loadtest.RunFanout, loadtest.Fanout{Common: c, Clients: 10, Traffic: traffic})
		}},
		"churn": {20, func(t *testing.T, c loadtest.Common) *loadtest.Result {
			return scenario(t, loadtest.RunChurn, loadtest.Churn{Common: c, Clients: 10, Churners: 10, Churn: 100, Duration: short, Traffic: events(100)})
		}},
		"storm": {20, func(t *testing.T, c loadtest.Common) *loadtest.Result {
			return scenario(t, loadtest.RunStorm, loadtest.Storm{Common: c, Clients: 10, Witnesses: 10, Calm: short, Traffic: events(50)})
		}},
		"slow": {10, func(t *testing.T, c loadtest.Common) *loadtest.Result {
			return scenario(t, loadtest.RunSlow, loadtest.Slow{Common: c, Clients: 10, Share: 0.2, Duration: short, Traffic: events(50)})
		}},
		"fairness": {30, func(t *testing.T, c loadtest.Common) *loadtest.Result {
			return scenario(t, loadtest.RunFairness, loadtest.Fairness{
				Common: c, Clients: 10, Watchers: 10, Visitors: 5, Window: 8, Payload: 1024, Data: loadtest.DataRecords, Duration: short,
			})
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			common := startGateway(t, nil)
			common.Deflate = 0.5
			r := c.run(t, common)
			if err := r.Fault(); err != nil {
				t.Errorf("%v\nnotes %q", err, r.Detail.Notes)
			}
			if d := &r.Detail; r.Clients != c.clients || d.Compressing != c.clients/2 || d.Declined != 0 {
				t.Errorf("%d clients, %+v", r.Clients, *d)
			}
			if d := &r.Detail; r.Delivered > 0 && (d.CompressedPayloadBytes < 150 || d.CompressedPayloadBytes > 450 || d.PlainPayloadBytes < 1024) {
				t.Errorf("payloads of %v bytes compressed, %v plain", d.CompressedPayloadBytes, d.PlainPayloadBytes)
			}
		})
	}
}

// A gateway that does not compress declines.
func TestGatewayWithoutCompression(t *testing.T) {
	t.Parallel()
	common := startGateway(t, func(c *gateway.Config) { c.Compress = nil })
	common.Deflate = 1
	r := scenario(t, loadtest.RunFanout, loadtest.Fanout{Common: common, Clients: 12, Traffic: loadtest.Traffic{Events: 50}})
	faultless(t, r, []string{"connect", "events", "end"}, nil)
	if r.Detail.Compressing != 0 || r.Detail.Declined != 12 {
		t.Errorf("%+v", r.Detail)
	}
}

// Servers by another hand compress with context and without.
func TestCompressedByOthers(t *testing.T) {
	for name, mode := range map[string]websocket.CompressionMode{
		"with context": websocket.CompressionContextTakeover, "without": websocket.CompressionNoContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := scenario(t, loadtest.RunFanout, loadtest.Fanout{
				Common: loadtest.Common{
					URL: startBroadcaster(t, mode), Profile: "raw", Deflate: 0.5,
					Settle: time.Millisecond, PID: loadtest.NoProcess,
				},
				Clients: 10, Traffic: loadtest.Traffic{Events: 100, Window: 4, Payload: 1024, Data: loadtest.DataRecords},
			})
			check(t, r, counts{clients: 10, delivered: 1000})
			if d := &r.Detail; d.Compressing != 5 || d.CompressedPayloadBytes > 450 || d.PlainPayloadBytes != 1025 {
				t.Errorf("%+v", *d)
			}
		})
	}
}

// startBroadcaster runs a server of the profile raw until the test ends.
func startBroadcaster(t *testing.T, mode websocket.CompressionMode) string {
	var mu sync.Mutex
	conns := make(map[*websocket.Conn]struct{})
	broadcast := func(ctx context.Context, message []byte) {
		mu.Lock()
		defer mu.Unlock()
		for c := range conns {
			c.Write(ctx, websocket.MessageText, message) // who is gone is seen by its reader
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		mu.Lock()
		conns[conn] = struct{}{}
		mu.Unlock()
		for {
			_, message, err := conn.Read(r.Context())
			if err != nil {
				break
			}
			if strings.HasPrefix(string(message), "P") {
				broadcast(r.Context(), message)
			}
		}
		mu.Lock()
		delete(conns, conn)
		mu.Unlock()
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}
