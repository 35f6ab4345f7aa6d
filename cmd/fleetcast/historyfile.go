package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"fleetcast/cmd/internal/historyfile"
	"fleetcast/gateway"
)

const (
	// loadPatience is how long a start waits for the history. It is below the times after
	// which supervisors and probes give a start up, because they would end the next one at the
	// same place.
	loadPatience = 20 * time.Second
	// savePatience is how long an end takes at most to write it.
	savePatience = 30 * time.Second
)

// handover takes the history from the gateway before to this one, and from this one to the
// next. The zero value does nothing.
type handover struct {
	file    *historyfile.File // nil: there is none
	logger  *slog.Logger
	gateway *gateway.Gateway
}

// open takes the file, so that no other gateway has it.
func (h *handover) open(path string) (err error) {
	if path == "" {
		return nil
	}
	if h.file, err = historyfile.Open(path); err != nil {
		return fmt.Errorf("history-file: %w", err)
	}
	return nil
}

// errStoppedEarly says that the process is to end before it has served anybody.
var errStoppedEarly = errors.New("stopped early")

// close gives the file to others.
func (h *handover) close() {
	if h.file != nil {
		h.file.Close()
	}
}

// load gives the gateway what the file has, before it runs. It returns errStoppedEarly if ctx ends
// meanwhile; then the file is as it was.
func (h *handover) load(ctx context.Context) error {
	if h.file == nil {
		return nil
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	var loaded gateway.LoadedHistory
	err := h.file.Read(func(from io.Reader) (err error) {
		loaded, err = h.gateway.LoadHistory(limited, from)
		return err
	})
	switch {
	case ctx.Err() != nil:
		h.logger.Info("stopped before it served anybody: the history file stays", "file", h.file.Path())
		return errStoppedEarly
	case errors.Is(err, fs.ErrNotExist):
		h.logger.Info("there is no history file: channels begin anew", "file", h.file.Path())
	case err != nil:
		h.setAside(err)
	default:
		h.logger.Info("the history is loaded", "file", h.file.Path(), "channels", loaded.Streams, "events", loaded.Events,
			"channels_left_out", loaded.LeftOut, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// setAside keeps a file that cannot be used for whoever wants to know why.
func (h *handover) setAside(why error) {
	as, err := h.file.SetAside()
	attributes := []any{"file", h.file.Path(), "error", why}
	switch {
	case err != nil:
		attributes = append(attributes, "and", err)
	case as == "":
		attributes = append(attributes, "and", "it was removed")
	default:
		attributes = append(attributes, "set_aside", as)
	}
	h.logger.Warn("the history file cannot be used: channels begin anew", attributes...)
}

// begin removes the file, right before the gateway serves anybody. A file that stayed would be
// loaded after a crash, too: channels would be at positions again that publishers have been told
// are behind them, other events would get the same ones, and clients would miss events without a
// word. Without a file, channels have new epochs, and clients are told.
func (h *handover) begin() {
	if h.file == nil {
		return
	}
	if err := h.file.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.gateway.ForgetHistory()
		h.logger.Warn("the history file cannot be removed, so it is not used: channels begin anew", "file", h.file.Path(), "error", err)
	}
}

// patience is how long save may take.
func (h *handover) patience() time.Duration {
	if h.file == nil {
		return 0
	}
	return savePatience
}

// save writes the file, when the gateway has ended.
func (h *handover) save() {
	if h.file == nil {
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), savePatience)
	defer cancel()
	var saved gateway.SavedHistory
	done := make(chan error, 1)
	go func() {
		done <- h.file.Write(ctx, func(to io.Writer) (err error) {
			saved, err = h.gateway.SaveHistory(ctx, to)
			return err
		})
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		// What a disk has begun cannot be called off. The process ends without it.
		if err = ctx.Err(); len(done) > 0 {
			err = <-done
		}
	}
	if err != nil {
		h.logger.Error("the history is not saved: channels will begin anew", "file", h.file.Path(), "error", err)
		return
	}
	h.logger.Info("the history is saved", "file", h.file.Path(), "channels", saved.Streams, "events", saved.Events,
		"took", time.Since(began).Round(time.Millisecond))
}
