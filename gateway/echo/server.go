package echo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"fleetcast/poller"
)

const (
	// DefaultMaxMessage is the largest message in bytes unless Config says
	// otherwise.
	DefaultMaxMessage = 16 << 20
	// MaxUnsent is how many bytes may wait for a peer that does not read
	// before its own bytes are no longer read. The message that crosses it
	// still counts as one that may wait.
	MaxUnsent = 1 << 20
	// DefaultMessageTimeout is how long a message may take unless Config says
	// otherwise.
	DefaultMessageTimeout = 30 * time.Second
	// DefaultInputMemory is how many bytes the unfinished input of all clients may
	// hold unless Config says otherwise.
	DefaultInputMemory = 256 << 20
	// HandshakeTimeout is how long a client may take for its request head.
	HandshakeTimeout = 10 * time.Second
	// CloseTimeout is how long the peer has to hang up after our last words,
	// and how long it may go without reading any of them.
	CloseTimeout = 2 * time.Second
)

// readBuffer is the size of a loop's read buffer in bytes. It is larger than the
// poller's default, so that most messages of 64 KiB arrive in one read.
const readBuffer = 256 << 10

// Config sets a server up.
type Config struct {
	// Listen are the addresses to listen on, at least one. With port 0 the kernel
	// chooses. In the addresses after the first, port 0 stands for the port of the
	// first.
	Listen []netip.AddrPort
	// Loops is the number of loops; 0 stands for one per usable CPU.
	Loops int
	// MaxMessage is the largest message in bytes, its fragments taken
	// together; 0 stands for DefaultMaxMessage. A larger one is closed with
	// 1009.
	MaxMessage int
	// MessageTimeout is how long a message may take to arrive whole, from its first
	// byte, and up to a quarter longer; 0 stands for DefaultMessageTimeout. A later
	// one is closed with 1008.
	MessageTimeout time.Duration
	// InputMemory is how many bytes the unfinished messages and handshakes of all
	// clients may hold; 0 stands for DefaultInputMemory, or twice MaxMessage if that
	// is more. Beyond, those that have held the most for the longest are closed with 1013.
	InputMemory int64
	// Compression agrees to permessage-deflate (RFC 7692) with every parameter.
	// Clients may compress with context, which then costs up to 32 KiB for each;
	// the server compresses each message for itself, if that makes it smaller.
	Compression bool
	// Logger logs sockets that cannot be accepted. With nil nothing is logged.
	Logger *slog.Logger
}

// timeouts are HandshakeTimeout and CloseTimeout, or shorter ones for tests.
type timeouts struct {
	handshake, close time.Duration
}

// Server is an echo server. Its methods may be called from any goroutine.
type Server struct {
	shards []*shard
	addrs  []netip.AddrPort

	mu    sync.Mutex
	state lifecycle
	done  chan struct{} // closed when every loop has ended
}

// lifecycle is the state of a Server; it only moves down this list.
type lifecycle uint8

const (
	bound lifecycle = iota
	running
	finished
)

// New binds the addresses. Clients that connect before Run wait. A port in use
// gives an error that is [unix.EADDRINUSE]; on any error nothing stays open.
func New(config Config) (*Server, error) {
	return newServer(config, timeouts{HandshakeTimeout, CloseTimeout})
}

func newServer(config Config, after timeouts) (*Server, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("configure echo server: %w", err)
	}
	s := &Server{done: make(chan struct{})}
	input := &inputMemory{limit: config.InputMemory}
	for range config.Loops {
		sh, err := newShard(&config, after, input)
		if err != nil {
			s.closeLoops()
			return nil, fmt.Errorf("open echo loop: %w", err)
		}
		s.shards = append(s.shards, sh)
	}
	input.shards = s.shards
	for _, addr := range config.Listen {
		if err := s.listen(addr); err != nil {
			s.closeLoops()
			return nil, err
		}
	}
	return s, nil
}

// complete checks the configuration and puts the defaults in.
func (c *Config) complete() error {
	switch {
	case len(c.Listen) == 0:
		return errors.New("no address to listen on")
	case c.Loops < 0:
		return fmt.Errorf("%d loops: the number cannot be negative", c.Loops)
	case c.MaxMessage < 0:
		return fmt.Errorf("messages of %d bytes: the size cannot be negative", c.MaxMessage)
	case c.MessageTimeout < 0:
		return fmt.Errorf("%v for a message: the time cannot be negative", c.MessageTimeout)
	case c.InputMemory < 0:
		return fmt.Errorf("%d bytes for unfinished messages: the size cannot be negative", c.InputMemory)
	}
	c.Loops, c.MaxMessage = cmp.Or(c.Loops, runtime.GOMAXPROCS(0)), cmp.Or(c.MaxMessage, DefaultMaxMessage)
	c.MessageTimeout = cmp.Or(c.MessageTimeout, DefaultMessageTimeout)
	c.InputMemory = cmp.Or(c.InputMemory, max(DefaultInputMemory, 2*int64(c.MaxMessage)))
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// listen opens one listening socket per shard on addr.
func (s *Server) listen(addr netip.AddrPort) error {
	if addr.Port() == 0 && len(s.addrs) > 0 {
		addr = netip.AddrPortFrom(addr.Addr(), s.addrs[0].Port())
	}
	listeners, err := poller.Listen(addr, len(s.shards))
	if err != nil {
		return err
	}
	s.addrs = append(s.addrs, listeners[0].Addr())
	for i, sh := range s.shards {
		if err := sh.loop.AddListener(listeners[i]); err != nil {
			poller.CloseListeners(listeners[i:])
			return err
		}
	}
	return nil
}

// Addrs returns the addresses that are bound, in the order of Config.Listen.
func (s *Server) Addrs() []netip.AddrPort { return s.addrs }

// Run serves until Shutdown or Close. It runs at most once; after Shutdown or
// Close it returns at once.
func (s *Server) Run() {
	if !s.start() {
		return
	}
	var loops sync.WaitGroup
	for _, sh := range s.shards {
		loops.Go(sh.loop.Run)
	}
	loops.Wait()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = finished
	close(s.done)
}

func (s *Server) start() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == running {
		panic("echo: Run called twice")
	}
	if s.state == finished {
		return false
	}
	s.state = running
	return true
}

// Shutdown stops accepting, closes every connection with 1001 behind what
// waits for it, and returns when all are gone: nil, or, if ctx is done first,
// its error once the rest was cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.closeUnstarted() {
		return nil
	}
	for _, sh := range s.shards {
		sh.draining.Store(true)
		sh.loop.Wake()
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.Close()
		return fmt.Errorf("shut down echo server: %w", ctx.Err())
	}
}

// Close cuts every connection off, closes the listening sockets and returns
// when Run is about to.
func (s *Server) Close() {
	if s.closeUnstarted() {
		return
	}
	for _, sh := range s.shards {
		sh.loop.Stop()
	}
	<-s.done
}

// closeUnstarted closes a server that was never run and tells whether it was
// that.
func (s *Server) closeUnstarted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != bound {
		return false
	}
	s.state = finished
	s.closeLoops()
	close(s.done)
	return true
}

// closeLoops closes loops that were never run, with the listeners they have.
func (s *Server) closeLoops() {
	for _, sh := range s.shards {
		sh.loop.Close()
	}
}
