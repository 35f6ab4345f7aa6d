package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// historyCommand prints earlier events of a channel.
type historyCommand struct {
	Channel string `arg:"" help:"The channel."`
	clientFlags
	Since   position      `placeholder:"EPOCH:OFFSET" help:"Print the events behind this position, in place of the latest ones."`
	Before  *uint64       `placeholder:"OFFSET" help:"Print the events right before this offset, in place of the latest ones."`
	Limit   int           `default:"100" placeholder:"N" help:"How many events at most (${default})."`
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"Time to connect, and for each answer (${default})."`
}

// Help is shown below the command's help.
func (*historyCommand) Help() string {
	return "Events come in the order of their offsets, as subscribe prints them. The gateway keeps what its option --history says, and the rules for channels."
}

// Validate is called by the parser.
func (c *historyCommand) Validate() error {
	var bad outOfRange
	bad.timeout("--timeout", c.Timeout)
	bad.number("--limit", c.Limit, 1)
	if c.Before != nil && (*c.Before < 1 || *c.Before > jsonscan.MaxUint) {
		bad.add("--before is %d, must be an offset, from 1 to %d", *c.Before, uint64(jsonscan.MaxUint))
	}
	if c.Before != nil && c.Since.Epoch != nil {
		bad.add("--since and --before exclude each other")
	}
	if err := c.Check(); err != nil {
		bad.add("%w", err)
	}
	return errors.Join(bad...)
}

// Run prints the events.
func (c *historyCommand) Run(ctx context.Context, std streams) error {
	if err := command.CheckChannel([]byte(c.Channel)); err != nil {
		return usageError{fmt.Errorf("channel %q: %w", c.Channel, err)}
	}
	for _, warning := range c.Warnings(string(c.URL)) {
		fmt.Fprintf(std.err, "fleetcast history: %s\n", warning)
	}
	h := newHistoryReader(c, std)
	shown := &tokens{flags: &c.TokenFlags, std: std}
	for {
		began := time.Now()
		err := h.follow(ctx, shown)
		var lost outputError
		var refused refusedError
		switch {
		case err == nil:
			h.conclude()
			return nil
		case errors.As(err, &lost):
			return lost.error
		case ctx.Err() != nil:
			err = errors.New("interrupted")
		case errors.As(err, &refused):
			if err = shown.after(refused, err, time.Since(began)); err == nil {
				continue // with another token
			}
		}
		if h.printed > 0 {
			err = fmt.Errorf("%w; the events after offset %d are missing", err, h.behind)
		}
		return err
	}
}

// historyReader asks for one page after the other. It goes on with another connection where
// the last one has ended.
type historyReader struct {
	command *historyCommand
	std     streams
	prefix  []byte // of the events that are printed

	ascending bool   // the next page is the one behind the last event; else it is the latest one, or the one before an offset
	epoch     []byte // of the channel; empty: not known
	behind    uint64 // offset of the last event that was there
	skip, end uint64 // the events from the one behind skip to end are printed
	whole     bool   // if the event behind the last one does not come, it is lost

	printed int
	first   uint64 // offset of the first event that was printed
	latest  uint64 // offset of the channel's latest event
	more    bool   // there are more in the direction that was asked for

	conn    *clientConn
	id      uint64
	told    bool   // that the gateway refuses for now
	scratch []byte // of the event that is printed
}

// errHistoryDone ends a connection that has given all.
var errHistoryDone = errors.New("done")

func newHistoryReader(c *historyCommand, std streams) *historyReader {
	h := &historyReader{command: c, std: std, prefix: command.AppendEventPrefix(nil, c.Channel), end: jsonscan.MaxUint}
	if c.Since.Epoch != nil {
		h.ascending, h.whole, h.epoch, h.behind, h.skip = true, true, c.Since.Epoch, c.Since.Offset, c.Since.Offset
	}
	return h
}

// follow connects and prints until all is there. Without an error it is.
func (h *historyReader) follow(ctx context.Context, shown *tokens) (err error) {
	text, err := shown.current(ctx)
	if err != nil {
		return err
	}
	url, timeout := h.command.URL, h.command.Timeout
	if h.conn, err = dialGateway(ctx, url, timeout, text); err != nil {
		err = fmt.Errorf("connect to %s: %w", url, err)
		if ctx.Err() == nil {
			err = h.command.explain(ctx, timeout, err)
		}
		return err
	}
	defer h.conn.conn.Close()
	defer context.AfterFunc(ctx, func() { h.conn.conn.Close() })()
	h.conn.silence = timeout
	if err := h.ask(0); err != nil {
		return err
	}
	switch err = h.conn.read(h.take); {
	case errors.Is(err, errHistoryDone):
		h.conn.close(ws.StatusNormalClosure)
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s has not answered within %v", url, h.conn.silence)
	}
	return err
}

// ask asks for the next page, after a pause.
func (h *historyReader) ask(pause time.Duration) error {
	c := h.command
	var since *command.Since
	var before uint64
	limit := c.Limit - h.printed
	if h.ascending {
		since = &command.Since{Epoch: h.epoch, Offset: h.behind}
		limit += int(min(h.skip-min(h.skip, h.behind), 1)) // the one that tells whether there are earlier ones
	} else if c.Before != nil {
		before = *c.Before
	}
	h.id++
	h.conn.silence = c.Timeout + pause
	return h.conn.sayAfter(pause, command.AppendHistoryCommand(nil, command.NewID(h.id), c.Channel, since, before, uint32(min(limit, command.MaxHistory))))
}

// take handles one message of the client protocol.
func (h *historyReader) take(payload []byte) error {
	var m command.ServerMessage
	if err := m.Parse(payload); err != nil {
		return fmt.Errorf("message not understood: %w", err)
	}
	switch ours := m.ID.Set && m.ID.Value == h.id; {
	case m.Kind == command.KindError:
		return h.refused(&m, ours)
	case m.Kind == command.KindHistory && ours:
		return h.page(&m)
	}
	return nil
}

// refused handles a refusal. If the gateway says when to try again, that is done.
func (h *historyReader) refused(m *command.ServerMessage, ours bool) error {
	refusal := refusedError{string(m.Code), stdio.Printable(string(m.Message))}
	if !ours || m.RetryAfterMS == 0 {
		return refusal
	}
	pause := pauseOf(m.RetryAfterMS)
	if !h.told {
		h.told = true
		fmt.Fprintf(h.std.err, "fleetcast history: %v; trying again in %v, as the gateway asks\n", refusal, pause)
	}
	return h.ask(pause)
}

// page takes a page, and asks for the next one if there is one.
func (h *historyReader) page(m *command.ServerMessage) error {
	if err := h.enter(m); err != nil {
		return err
	}
	if !h.ascending {
		if n, last := eventsIn(m); m.More && n < h.command.Limit {
			// These are not all. From here on the pages are in the order of the output.
			h.ascending, h.end = true, last
			h.skip = last - min(last, uint64(h.command.Limit))
			h.behind = h.skip - min(h.skip, 1)
			return h.ask(0)
		}
		h.more = m.More
	}
	passed := h.behind
	if err := m.EachEvent(h.event); err != nil {
		return err
	}
	switch {
	case !h.ascending, h.behind >= h.end, !m.More, h.behind == passed:
		return errHistoryDone
	case h.printed == h.command.Limit:
		h.more = h.more || h.command.Since.Epoch != nil
		return errHistoryDone
	}
	return h.ask(0)
}

// enter compares what a page says of the channel with what was known.
func (h *historyReader) enter(m *command.ServerMessage) error {
	since := h.command.Since
	h.latest = m.Latest
	switch {
	case len(h.epoch) == 0:
		h.epoch = slices.Clone(m.Epoch)
	case string(h.epoch) != string(m.Epoch) && (h.printed > 0 || since.Epoch == nil):
		return errors.New("the channel has begun anew meanwhile")
	case string(h.epoch) != string(m.Epoch) && len(m.Epoch) > 0:
		fmt.Fprintf(h.std.err, "fleetcast history: the channel has begun anew since, with epoch %s: these are the first events of it that are kept\n",
			stdio.Printable(string(m.Epoch)))
		h.epoch, h.skip, h.behind, h.whole = slices.Clone(m.Epoch), 0, 0, false
	case since.Epoch != nil && since.Offset > m.Latest && len(m.Epoch) > 0:
		fmt.Fprintf(h.std.err, "fleetcast history: the gateway does not know offset %d: the latest event is %d\n", since.Offset, m.Latest)
	}
	return nil
}

// eventsIn is how many events a page has, and the offset of the last one.
func eventsIn(m *command.ServerMessage) (n int, last uint64) {
	_ = m.EachEvent(func(offset uint64, _ []byte) error { // what is wrong with them is found when they are printed
		n, last = n+1, offset
		return nil
	})
	return n, last
}

// event prints an event, if it is one that was asked for.
func (h *historyReader) event(offset uint64, data []byte) error {
	switch {
	case offset > h.end:
		h.behind = offset
		return nil
	case offset <= h.skip:
		h.more, h.whole, h.behind = true, true, offset
		return nil
	case h.whole && offset > h.behind+1:
		fmt.Fprintf(h.std.err, "fleetcast history: events %d to %d are not kept any more\n", h.behind+1, offset-1)
	}
	h.whole, h.behind = true, offset
	if h.printed++; h.printed == 1 {
		h.first = offset
	}
	if !h.command.Data {
		h.scratch = command.AppendEvent(h.scratch[:0], h.prefix, offset, data)
		data = h.scratch
	}
	return printLine(h.std.out, data)
}

// conclude says what there is besides.
func (h *historyReader) conclude() {
	say := func(format string, values ...any) {
		fmt.Fprintf(h.std.err, "fleetcast history: "+format+"\n", values...)
	}
	since := h.command.Since.Epoch != nil
	switch {
	case len(h.epoch) == 0 || since && h.latest == 0:
		say("the gateway knows no events of %s", h.command.Channel)
	case h.printed == 0 && !since:
		say("none of these events is kept; the latest one is %d", h.latest)
	case h.more && since && epochs.Match(h.epoch):
		say("there are more: --since %s", command.Since{Epoch: h.epoch, Offset: h.behind})
	case h.more && !since:
		say("there are earlier ones: --before %d", h.first)
	}
}
