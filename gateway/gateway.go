package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"fleetcast/gateway/admin"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/ingest"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/shard"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// ErrStopped is returned by calls on a gateway that has stopped.
var ErrStopped = admin.ErrStopped

// Gateway is a whole gateway: its shards, its publish port and what they
// share. All methods may be called from any goroutine.
type Gateway struct {
	settings      settings.Live
	logger        *slog.Logger
	connectionLog limits.ConnectionLog
	streams       *stream.Streams
	credits       *limits.Credits
	interner      *identity.Interner
	compressed    stream.CompressionWork
	http          *plainhttp.Port // or nil
	clients       shard.Shared
	publish       ingest.Port
	watch         *watch

	clientAddrs, publishAddrs []netip.AddrPort

	serving atomic.Bool // Run has begun and not ended
	unready atomic.Bool // about to stop
	// drainPace is the time for which each client lengthens a drain, up to the
	// whole of DrainWindow.
	drainPace time.Duration
	// reconfiguring is held by Reconfigure; loops never take it.
	reconfiguring sync.Mutex
	stop          context.CancelFunc
	running       context.Context
	stopped       chan struct{}

	startedAt time.Time

	adminRefusals admin.Refusals
}

// New opens a gateway: it binds its addresses, so that clients and publishers
// may connect, and serves them once Run is called. The error names the address
// or the option at fault. The loops log, so logger should not wait for a reader.
func New(config settings.Config, logger *slog.Logger) (*Gateway, error) {
	if err := config.Check(); err != nil {
		return nil, fmt.Errorf("configure gateway: %w", err)
	}
	g := &Gateway{
		logger:        logger,
		connectionLog: limits.ConnectionLog{Logger: logger},
		stopped:       make(chan struct{}),
		startedAt:     time.Now(),
		drainPace:     drainPace,
	}
	g.settings.Store(settings.New(config, &g.compressed))
	g.running, g.stop = context.WithCancel(context.Background())
	g.credits = limits.NewCredits(config.Credits, config.PublisherCredits, g.feedStarved)
	g.interner = new(identity.Interner)
	g.streams = stream.NewStreams(config.MaxChannels, stream.NewFormats(config.Dialects...))
	if config.HTTP != nil {
		g.http = plainhttp.NewPort(config.HTTP, logger)
	}
	g.clients = shard.Shared{
		Settings: &g.settings, Logger: logger, Log: &g.connectionLog, Streams: g.streams, Engine: g.streams, Credits: g.credits, HTTP: g.http,
		Ready: g.Ready, Running: g.running, Addresses: limits.NewQuotas[netip.Addr](),
		Users: limits.NewQuotas[string](), Blocked: new(identity.Blocked), Now: clock(&config),
	}
	g.clients.Backlogs.Compressed = &g.compressed.Alive
	g.publish = ingest.Port{
		Settings: &g.settings, Logger: logger, Log: &g.connectionLog, Streams: g.streams, Engine: g.streams, Credits: g.credits, Stopping: g.running.Done(),
		Tries: keys.NewTries(), Users: g.doUser, UserTurn: make(chan struct{}, 1),
	}
	g.publish.API = ingest.NewAPI(&g.publish)
	g.setLimits(&config)
	if err := g.setAuthority(&config); err != nil {
		return nil, fmt.Errorf("configure gateway: %w", err)
	}
	if err := g.open(); err != nil {
		for _, loop := range g.loops() {
			loop.Close()
		}
		g.closeAuthority()
		return nil, err
	}
	g.watch = newWatch(g)
	return g, nil
}

// open makes the loops and gives them their listeners.
func (g *Gateway) open() error {
	var shardLoops, ingestLoops []*poller.Loop
	config := g.config()
	for i := range config.Shards {
		s, err := shard.New(&g.clients, i)
		if err != nil {
			return fmt.Errorf("open shard: %w", err)
		}
		g.clients.Shards = append(g.clients.Shards, s)
		shardLoops = append(shardLoops, s.Loop)
	}
	if config.Publishes() {
		for range config.IngestLoops {
			in, err := ingest.NewLoop(&g.publish)
			if err != nil {
				return fmt.Errorf("open ingest loop: %w", err)
			}
			g.publish.Loops = append(g.publish.Loops, in)
			ingestLoops = append(ingestLoops, in.Loop)
		}
	}
	var err error
	clients := poller.ListenConfig{UnsentLowWater: shard.KernelQueue, SendBuffer: config.SendBuffer, SendTimeout: config.SendTimeoutOrDefault()}
	if g.clientAddrs, err = listenAll(clients, config.Listen, config.ListenFiles, shardLoops); err != nil {
		return fmt.Errorf("open the client port: %w", err)
	}
	publishers := poller.ListenConfig{KeepAlive: true, SendTimeout: ingest.SendTimeout}
	if g.publishAddrs, err = listenAll(publishers, config.Publish, config.PublishFiles, ingestLoops); err != nil {
		return fmt.Errorf("open the publish port: %w", err)
	}
	return nil
}

// listenAll binds every address once for each loop, and has all loops accept
// from the inherited sockets. Addresses with port 0 get the same port, chosen
// with the first of them.
func listenAll(config poller.ListenConfig, addrs []netip.AddrPort, inherited []*os.File, loops []*poller.Loop) (bound []netip.AddrPort, err error) {
	add := func(listeners []*poller.Listener) error {
		for i, l := range listeners {
			if err := loops[i].AddListener(l); err != nil {
				poller.CloseListeners(listeners[i:])
				return err
			}
		}
		bound = append(bound, listeners[0].Addr())
		return nil
	}
	for _, file := range inherited {
		listeners, err := config.Inherit(file, len(loops))
		if err == nil {
			err = add(listeners)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, addr := range addrs {
		if addr.Port() == 0 && len(bound) > 0 {
			addr = netip.AddrPortFrom(addr.Addr(), bound[0].Port())
		}
		listeners, err := config.Listen(addr, len(loops))
		if err == nil {
			err = add(listeners)
		}
		if err != nil {
			return nil, err
		}
	}
	return bound, nil
}

// ClientAddrs are the addresses for clients, as bound.
func (g *Gateway) ClientAddrs() []netip.AddrPort { return g.clientAddrs }

// PublishAddrs are the addresses of the publish port, as bound; none if it is
// off.
func (g *Gateway) PublishAddrs() []netip.AddrPort { return g.publishAddrs }

// Ready tells whether the gateway serves and is not about to stop.
func (g *Gateway) Ready() bool { return g.serving.Load() && !g.unready.Load() }

// Unready makes Ready false while everything is served as before. A Drain is to
// follow.
func (g *Gateway) Unready() { g.unready.Store(true) }

// Run serves until Close or the end of a Drain. It is called once.
func (g *Gateway) Run() {
	g.serving.Store(true)
	var loops sync.WaitGroup
	for _, loop := range g.loops() {
		loops.Go(loop.Run)
	}
	stripe := 0 // of streams, that is swept next
	loops.Go(func() {
		g.every(max(g.config().ChannelRetention/stream.StripeCount, time.Millisecond), func() {
			g.streams.Sweep(stripe)
			stripe = (stripe + 1) % stream.StripeCount
		})
	})
	history := 0 // the stripe whose events are looked at next
	loops.Go(func() {
		g.every(historySweep/stream.StripeCount, func() {
			g.streams.SweepHistory(history, poller.Now())
			history = (history + 1) % stream.StripeCount
		})
	})
	loops.Go(func() {
		g.every(quotaSweep, func() {
			g.clients.Addresses.Sweep(poller.Now())
			g.clients.Users.Sweep(poller.Now())
			g.publish.Tries.Sweep(poller.Now())
			g.streams.SweepIdempotency(poller.Now())
		})
	})
	loops.Go(g.watch.run)
	if g.http != nil {
		served := make(chan struct{})
		go func() { g.http.Run(); close(served) }()
		// Nothing is handed over any more once the loops have ended.
		defer func() { g.http.Stop(); <-served }()
	}
	loops.Wait()
	for _, s := range g.clients.Shards {
		s.CloseWaiting()
	}
	g.closeAuthority()
	g.watch.finish()
	g.compressed.End()
	g.serving.Store(false)
	close(g.stopped)
}

// Close stops at once: clients and publishers are cut off. It does not wait; Run
// returns when they are.
func (g *Gateway) Close() {
	g.stop()
	for _, loop := range g.loops() {
		loop.Stop()
	}
}

func (g *Gateway) loops() (loops []*poller.Loop) {
	for _, in := range g.publish.Loops {
		loops = append(loops, in.Loop)
	}
	for _, s := range g.clients.Shards {
		loops = append(loops, s.Loop)
	}
	return loops
}

// feedStarved makes every loop check whether its paused publishers may continue.
func (g *Gateway) feedStarved() {
	for _, in := range g.publish.Loops {
		in.Starved.Feed()
	}
	for _, s := range g.clients.Shards {
		s.Starved.Feed()
	}
}

// historySweep is how often each channel's history is looked at for events that are too old.
const historySweep = 10 * time.Second

// quotaSweep is how often addresses and users are looked over whose peers have gone.
const quotaSweep = 5 * time.Second

// every calls do once in each interval, until the gateway stops.
func (g *Gateway) every(interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-g.running.Done():
			return
		}
	}
}

// AdminConnectionRefused counts a connection to the admin port that was refused
// before it had a request, for one of webport's reasons.
func (g *Gateway) AdminConnectionRefused(reason, from string) {
	g.adminRefusals.Refused(reason, "", slog.String("address", from))
}

// AdminHandler serves the admin port: / (the dashboard), /healthz (the process
// runs), /readyz (it takes clients), the API below /api/ (docs/api.md), /metrics
// (for Prometheus) and /debug/pprof. Where keys are configured, all but the pages and
// the two for health need one. It answers only requests for an allowed host that do not come from a web page of another origin,
// and bounds the size of bodies and the rate of requests of each kind.
func (g *Gateway) AdminHandler(process Admin) http.Handler {
	return admin.NewHandler(&admin.Target{
		Settings: &g.settings, Logger: g.logger, Streams: g.streams, Clients: &g.clients, Publish: &g.publish, Refusals: &g.adminRefusals,
		Ready: g.Ready, Stats: g.Stats, Ask: g.ask,
	}, process)
}
