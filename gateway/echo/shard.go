package echo

import (
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/codec/websocket"
	"fleetcast/poller"
)

// batchSize is the most that a shard gathers for one write, in bytes. Frames
// that do not fit in it go out beside it, uncopied.
const batchSize = 16 << 10

// shard is one loop with its sessions. All but draining belongs to the loop's
// goroutine.
type shard struct {
	loop        *poller.Loop
	upgrader    websocket.Upgrader
	plain       websocket.ReaderConfig // of clients without compression
	compression compression
	logger      *slog.Logger

	yielding []*session // whose input goes on in the next turn

	messageTimeout time.Duration
	input          *inputMemory // of all shards
	heldBytes      int64        // this shard's part of it

	// batch holds the replies to what is being handled. It never grows and is
	// empty whenever no session is being served.
	batch []byte

	handshakes *poller.Deadlines[*session]
	flushes    *poller.Deadlines[flush]
	lingers    *poller.Deadlines[*session]

	draining atomic.Bool // asked for, by any goroutine
	drained  bool        // begun
}

// flush is a session whose last bytes wait, and how many of them waited at the last
// look.
type flush struct {
	session *session
	left    int
}

func newShard(config *Config, after timeouts, input *inputMemory) (*shard, error) {
	sh := &shard{
		messageTimeout: config.MessageTimeout,
		input:          input,

		upgrader:    newUpgrader(config),
		plain:       websocket.ReaderConfig{MaxMessage: config.MaxMessage},
		compression: newCompression(config),
		logger:      config.Logger,
		batch:       make([]byte, 0, batchSize),
		handshakes:  poller.NewDeadlines[*session](after.handshake),
		flushes:     poller.NewDeadlines[flush](after.close),
		lingers:     poller.NewDeadlines[*session](after.close),
	}
	loop, err := poller.NewLoop(sh, poller.LoopConfig{ReadBuffer: readBuffer, SweepInterval: config.MessageTimeout / messageChecks})
	if err != nil {
		return nil, err
	}
	sh.loop = loop
	return sh, nil
}

// Accepted implements poller.Owner.
func (sh *shard) Accepted(_ *poller.Listener, fd int) {
	s := &session{shard: sh, config: &sh.plain}
	if err := sh.loop.Register(&s.conn, fd, s); err != nil {
		unix.Close(fd)
		sh.logger.Warn("echo: cannot take a connection", "error", err)
		return
	}
	s.since = sh.loop.Now()
	sh.handshakes.Add(s, s.since)
}

func (sh *shard) AcceptFailed(l *poller.Listener, err error) {
	sh.logger.Warn("echo: cannot accept for now", "address", l.Addr(), "error", err)
}

func (sh *shard) Turn() (busy bool) {
	if sh.Pending() {
		sh.drain()
	}
	yielding := sh.yielding
	sh.yielding = nil
	for _, s := range yielding {
		if s.phase == yielded {
			s.goOn()
		}
	}
	return sh.relieve() || len(sh.yielding) > 0
}

func (sh *shard) Pending() bool { return sh.draining.Load() && !sh.drained }

// drain says goodbye to everyone. The loop ends with its last connection.
func (sh *shard) drain() {
	sh.drained = true
	sh.loop.CloseListeners()
	sh.loop.EachConn(func(h poller.Handler) { h.(*session).goAway() })
	sh.stopIfDrained()
}

func (sh *shard) stopIfDrained() {
	if sh.drained && sh.loop.Conns() == 0 {
		sh.loop.Stop()
	}
}

// Tick implements poller.Owner. Entries whose session has moved on are stale.
func (sh *shard) Tick() {
	now := sh.loop.Now()
	for s := range sh.handshakes.Expired(now) {
		if s.phase == handshaking {
			s.refuse(websocket.ErrTooSlow)
		}
	}
	for f := range sh.flushes.Expired(now) {
		if f.session.phase == flushing {
			f.session.checkProgress(f.left)
		}
	}
	for s := range sh.lingers.Expired(now) {
		if s.phase == lingering {
			s.end(errPeerStays)
		}
	}
}
