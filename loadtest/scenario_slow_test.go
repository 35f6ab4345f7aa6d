package loadtest_test

import (
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/loadtest"
)

const slowClients, slowStalling = 6, 2

func TestSlow(t *testing.T) {
	t.Parallel()
	stall(t, startGateway(t, nil), loadtest.MinPayload, 300*time.Millisecond, 0)
}

// Those who stall are sent 2 MB meanwhile, more than the gateway and the kernel
// hold; the others may be half a second late. No other test runs beside this
// one: those who read must not seem to stall.
func TestSlowCutOff(t *testing.T) {
	common := startGateway(t, func(g *gateway.Config) { g.BacklogBytes = 800_000 })
	stall(t, behindProxy(t, common), 16_000, 1200*time.Millisecond, slowStalling)
}

// stall makes a run in which cutOff clients, all who stall or none, are cut off.
func stall(t *testing.T, common loadtest.Common, payload int, duration time.Duration, cutOff float64) {
	t.Helper()
	r := scenario(t, loadtest.RunSlow, loadtest.Slow{
		Common: common, Traffic: loadtest.Traffic{Rate: 100, Payload: payload},
		Clients: slowClients, Share: 0.3, Duration: duration,
	})
	faultless(t, r, []string{"connect", "baseline", "stalled", "resumed", "end"}, []string{"baseline", "stalled"})
	if got := figure(t, r, "cut_off"); got != cutOff {
		t.Errorf("%v cut off, want %v", got, cutOff)
	}
	if got := figure(t, r, "cut_untold"); got > cutOff {
		t.Errorf("%v were cut off without a close frame", got)
	}
	const healthy = slowClients - slowStalling
	lagged := int64(figure(t, r, "slow_delivered"))
	if got := r.Delivered - lagged; got != healthy*r.Events {
		t.Errorf("%d healthy clients got %d of %d events", healthy, got, r.Events)
	}
	if all := slowStalling * r.Events; lagged <= 0 || (lagged == all) != (cutOff == 0) {
		t.Errorf("those who stalled got %d of %d", lagged, all)
	}
}

// socketBuffer is what the kernel holds in each of the proxy's sockets, in bytes.
const socketBuffer = 64 << 10

// behindProxy puts a proxy in front of a server. Its sockets hold little, so
// that what clients do not read soon waits in the server: the kernel alone would
// keep megabytes, more with every test that runs beside this one.
func behindProxy(t *testing.T, common loadtest.Common) loadtest.Common {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u, err := url.Parse(common.URL)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	go accept(l, func(client net.Conn) {
		upstream, err := net.Dial("tcp4", server)
		if err != nil {
			return
		}
		defer upstream.Close()
		client.(*net.TCPConn).SetWriteBuffer(socketBuffer)
		upstream.(*net.TCPConn).SetReadBuffer(socketBuffer)
		go forward(upstream, client)
		forward(client, upstream)
	})
	u.Host = l.Addr().String()
	common.URL = u.String()
	return common
}

// forward copies until from ends, and then says so. Its buffer is its own: that
// of splice, which io.Copy would use, holds a megabyte.
func forward(to, from net.Conn) {
	buffer := make([]byte, socketBuffer)
	io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, buffer)
	to.(*net.TCPConn).CloseWrite()
}
