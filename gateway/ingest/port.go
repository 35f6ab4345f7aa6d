package ingest

import (
	"context"
	"log/slog"
	"sync/atomic"

	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// Port is what the loops of the publish port and the publisher behind the
// API have in common. Its fields are set before the first loop runs. What they point
// to and the counts may be used by any goroutine; a loop of the list may only be
// posted to.
type Port struct {
	Settings *settings.Live
	Logger   *slog.Logger
	Log      *limits.ConnectionLog
	Streams  *stream.Streams
	Engine   stream.Engine // gets the events: the streams, but in tests
	Credits  *limits.Credits
	Stopping <-chan struct{} // closed when nothing more is to be published
	API      *API
	Tries    *keys.Tries // wrong keys, also of the API
	Loops    []*Loop     // all of them
	// Users does what a publisher asks about a user, on a goroutine of its own, until ctx
	// ends. The answer is a JSON object that is not empty; an error is a *command.Error.
	Users func(ctx context.Context, r UserRequest) (answer []byte, err error)
	// UserTurn has room for one entry: while it is there, it is somebody's turn to call Users.
	UserTurn chan struct{}

	connections atomic.Int64
	ids         atomic.Uint64      // the last number given to a connection
	queued      atomic.Int64       // bytes that wait in transactions
	Input       limits.InputMemory // unfinished requests
}

// isStopping tells whether nothing more is to be published.
func (p *Port) isStopping() bool {
	select {
	case <-p.Stopping:
		return true
	default:
		return false
	}
}

// UseEngine has events go to another engine than before. It is called before the loops
// run.
func (p *Port) UseEngine(e stream.Engine) {
	p.Engine = e
	for _, in := range p.Loops {
		in.useEngine(e)
	}
	p.API.useEngine(e)
}
