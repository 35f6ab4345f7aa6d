package loadtest_test

import (
	"net/netip"
	"testing"
	"time"

	"fleetcast/gateway/echo"
	"fleetcast/loadtest"
)

// startEcho runs an echo server until the test ends.
func startEcho(t *testing.T) loadtest.Common {
	t.Helper()
	server, err := echo.New(echo.Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { server.Run(); close(stopped) }()
	t.Cleanup(func() { server.Close(); <-stopped })
	return loadtest.Common{URL: "ws://" + server.Addrs()[0].String() + "/", Settle: time.Millisecond}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*loadtest.Echo)
		want   int64
	}{
		"window 1":      {func(e *loadtest.Echo) { e.Messages = 50 }, 500},
		"window 7":      {func(e *loadtest.Echo) { e.Messages, e.Window = 50, 7 }, 500},
		"large window":  {func(e *loadtest.Echo) { e.Messages, e.Window = 50, 1000 }, 500},
		"several loops": {func(e *loadtest.Echo) { e.Messages, e.Loops = 50, 3 }, 500},
		"rate":          {func(e *loadtest.Echo) { e.Rate, e.Duration = 500, 400*time.Millisecond }, 200},
		"rate, loops":   {func(e *loadtest.Echo) { e.Rate, e.Duration, e.Loops = 500, 400*time.Millisecond, 3 }, 200},
		"one client":    {func(e *loadtest.Echo) { e.Clients, e.Messages = 1, 50 }, 50},
		"smallest":      {func(e *loadtest.Echo) { e.Payload, e.Messages = loadtest.MinPayload, 50 }, 500},
		"binary":        {func(e *loadtest.Echo) { e.Binary, e.Messages = true, 50 }, 500},
		"large binary":  {func(e *loadtest.Echo) { e.Binary, e.Payload, e.Clients, e.Messages = true, 1<<20, 2, 3 }, 6},
		"large":         {func(e *loadtest.Echo) { e.Payload, e.Clients, e.Messages = 1<<20, 2, 3 }, 6},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := loadtest.Echo{Common: startEcho(t), Clients: 10}
			c.change(&e)
			r := scenario(t, loadtest.RunEcho, e)
			faultless(t, r, []string{"connect", "events", "end"}, nil)
			if r.Delivered != c.want || r.Events != c.want || !ordered(r.Latency) || r.Seconds <= 0 {
				t.Errorf("%d events, %d delivered, want %d; latency %v, %v s", r.Events, r.Delivered, c.want, r.Latency, r.Seconds)
			}
		})
	}
}
