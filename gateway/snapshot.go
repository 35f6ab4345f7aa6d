package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"fleetcast/gateway/history"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// What has become of the history when a gateway has saved or loaded it.
type (
	SavedHistory  = history.Saved
	LoadedHistory = stream.Loaded
)

var (
	errStillRuns   = errors.New("gateway: the history is saved before Run has returned")
	errRunsAlready = errors.New("gateway: the history is loaded after Run was called")
)

// SaveHistory writes the positions of all channels and what is kept of their events, once Run
// has returned: then there is no event that was answered and is not in it. It ends with an error
// when ctx ends, after the next write of at most 64 KiB.
func (g *Gateway) SaveHistory(ctx context.Context, to io.Writer) (SavedHistory, error) {
	select {
	case <-g.stopped:
	default:
		return SavedHistory{}, errStillRuns
	}
	g.publish.API.End() // without a drain, a request may still be under way
	now := stream.Moment{Loop: poller.Now(), Wall: time.Now()}
	w := history.NewSnapshotWriter(untilWriter{ctx, to}, now.Wall.UnixMilli())
	if err := g.streams.Save(w, now); err != nil {
		return SavedHistory{}, fmt.Errorf("save the history: %w", err)
	}
	saved, err := w.Close()
	if err != nil {
		return SavedHistory{}, fmt.Errorf("save the history: %w", err)
	}
	return saved, nil
}

// LoadHistory makes the channels that another gateway has saved, before Run. What is too old, or
// more than the rules and limits of this gateway allow, is left out. After an error there are no
// channels. It ends with an error when ctx ends, after the next read of at most 64 KiB.
func (g *Gateway) LoadHistory(ctx context.Context, from io.Reader) (LoadedHistory, error) {
	if g.serving.Load() {
		return LoadedHistory{}, errRunsAlready
	}
	r, err := history.NewSnapshotReader(untilReader{ctx, from})
	if err != nil {
		return LoadedHistory{}, fmt.Errorf("load a history: %w", err)
	}
	loaded, err := g.streams.Load(r, stream.Moment{Loop: poller.Now(), Wall: time.Now()})
	if err != nil {
		return LoadedHistory{}, fmt.Errorf("load a history: %w", err)
	}
	return loaded, nil
}

// ForgetHistory forgets what was loaded, before Run.
func (g *Gateway) ForgetHistory() { g.streams.Clear() }

// untilWriter writes until a context ends.
type untilWriter struct {
	context.Context
	to io.Writer
}

func (w untilWriter) Write(b []byte) (int, error) {
	if err := w.Err(); err != nil {
		return 0, err
	}
	return w.to.Write(b)
}

// untilReader reads until a context ends.
type untilReader struct {
	context.Context
	from io.Reader
}

func (r untilReader) Read(b []byte) (int, error) {
	if err := r.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(b)
}
