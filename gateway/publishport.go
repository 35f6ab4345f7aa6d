package gateway

import (
	"log/slog"
	"sync/atomic"

	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// publishPort is what the loops of the publish port and the publisher behind the
// API have in common. Its fields are set before the first loop runs. What they point
// to and the counts may be used by any goroutine; a loop of the list may only be
// posted to.
type publishPort struct {
	settings *settings.Live
	logger   *slog.Logger
	log      *limits.ConnectionLog
	streams  *stream.Streams
	engine   stream.Engine // gets the events: the streams, but in tests
	credits  *limits.Credits
	stopping <-chan struct{} // closed when nothing more is to be published
	api      *apiPublisher
	loops    []*ingest // all of them

	connections atomic.Int64
	ids         atomic.Uint64      // the last number given to a connection
	queued      atomic.Int64       // bytes that wait in transactions
	input       limits.InputMemory // unfinished requests
}

// isStopping tells whether nothing more is to be published.
func (p *publishPort) isStopping() bool {
	select {
	case <-p.stopping:
		return true
	default:
		return false
	}
}

// useEngine has events go to another engine than before. It is called before the loops
// run.
func (p *publishPort) useEngine(e stream.Engine) {
	p.engine = e
	for _, in := range p.loops {
		in.submit = stream.NewRequest(e, &in.wakes, &in.counters.Events)
	}
	p.api.submit = stream.NewRequest(e, &p.api.wakes, &p.api.counters.Events)
}
