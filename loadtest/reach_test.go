package loadtest_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// scenarios are long runs of every scenario that has clients. Each is over at once if
// it cannot be made.
func scenarios() map[string]cancellable {
	return map[string]cancellable{
		"connect": longConnect, "fanout": longFanout, "fanout, window": windowFanout, "echo": longEcho, "churn": longChurn,
		"storm": longStorm, "slow": longSlow, "fairness": longFairness,
	}
}

// A server that lets no client in ends a run soon, with what was expected, what came
// and where to look.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	answering := func(answer string) func(*testing.T) loadtest.Common {
		return func(t *testing.T) loadtest.Common {
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go accept(l, func(c net.Conn) {
				var head [4096]byte
				c.Read(head[:])
				c.Write([]byte(answer))
			})
			return loadtest.Common{URL: "ws://" + l.Addr().String() + "/ws", Publish: "127.0.0.1:9", PID: loadtest.NoProcess}
		}
	}
	servers := map[string]struct {
		start func(*testing.T) loadtest.Common
		want  []string
	}{
		"another path": {func(t *testing.T) loadtest.Common {
			c := startGateway(t, nil)
			c.URL = strings.TrimSuffix(c.URL, "/ws") + "/?token=1"
			return c
		}, []string{"404", "Servers of profile fleetcast are usually at ws://127.0.0.1:", "/ws."}},
		"the publish port": {func(t *testing.T) loadtest.Common {
			c := startGateway(t, nil)
			c.URL = "ws://" + c.Publish + "/ws"
			return c
		}, []string{"This is the publish port of fleetcast"}},
		"nobody listens": {func(t *testing.T) loadtest.Common {
			c := startMute(t)
			c.URL = "ws://127.0.0.1:9/ws"
			return c
		}, []string{"connection refused"}},
		"TLS alert": {answering("\x15\x03\x01\x00\x02\x02\x0a"), []string{"the server speaks TLS there"}},
		"no answer": {answering(""), []string{"without an answer to the handshake: perhaps it expects TLS"}},
		"no HTTP":   {answering("INFO {}\r\n-ERR 'parser'\r\n"), []string{`no answer in HTTP and closed the connection: "INFO {}`}},
		"another protocol": {func(t *testing.T) loadtest.Common {
			c := startMute(t)
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go accept(l, func(c net.Conn) { upgrade(c, "/ws") })
			c.URL = "ws://" + l.Addr().String() + "/ws"
			return c
		}, []string{"Perhaps the server does not speak profile fleetcast: --profile names"}},
		"subscribes none": {func(t *testing.T) loadtest.Common {
			return common(startFaulty(t, &faultyServer{fault: faithful, refuse: true}))
		}, []string{"permission_denied"}},
	}
	for name, s := range servers {
		for scenario, run := range scenarios() {
			if (name == "subscribes none" || name == "another protocol") && scenario == "echo" { // which subscribes to nothing
				continue
			}
			t.Run(name+"/"+scenario, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				_, err := run(ctx, s.start(t))
				for _, want := range append(s.want, "no client can connect to ws://", "expected a subscription; got ") {
					expectError(t, "run", err, want)
				}
			})
		}
	}
}

// A run whose events go to a port that does not take them ends soon and says so, while
// its clients are connected.
func TestPublisherGone(t *testing.T) {
	t.Parallel()
	for name, run := range scenarios() {
		if name == "connect" || name == "echo" { // without a publisher
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startGateway(t, nil)
			c.Publish = strings.TrimPrefix(strings.TrimSuffix(c.URL, "/ws"), "ws://")
			c.Stall = time.Second
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r, err := run(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			if ctx.Err() != nil || !strings.Contains(r.Detail.Ended, "the server answers in HTTP there, so it is not the publish port") {
				t.Errorf("%v, incomplete %q, ended %q", ctx.Err(), r.Incomplete, r.Detail.Ended)
			}
		})
	}
}
