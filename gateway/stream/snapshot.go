package stream

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/history"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
)

// Moment is one moment by two clocks. Times in a snapshot are those of the wall clock, so
// that events grow older while no process has them.
type Moment struct {
	Loop time.Duration // by the loops' clock
	Wall time.Time
}

// wall is the time of a tick of a log, in milliseconds since 1970.
func (m Moment) wall(tick uint32) int64 {
	at := time.Duration(tick)*historyTick - beforeStart
	return m.Wall.Add(at - m.Loop).UnixMilli()
}

// loop is when an event was published, by the loops' clock. One that has not been published
// yet, because the wall clock was set back, was published now.
func (m Moment) loop(wall int64) time.Duration {
	return m.Loop - max(m.Wall.Sub(time.UnixMilli(wall)), 0)
}

// savedStep is how many bytes of events are collected with a stripe's lock held, but for the
// last event.
const savedStep = 256 << 10

// KeepEmpty has streams kept that never had an event, from when the gateway begins to stop.
// Its clients leave, and may come back to the next process with that position.
func (s *Streams) KeepEmpty() { s.keepsEmpty.Store(true) }

// Save writes the position of every stream, and what is kept of its events. Nothing
// may be published any more, or the positions are not the last ones.
func (s *Streams) Save(w *history.SnapshotWriter, now Moment) error {
	v := saver{s: s, to: w, now: now}
	var streams []*Stream
	for i := range s.stripes {
		stripe := &s.stripes[i]
		streams = stripe.all(streams[:0])
		for _, st := range streams {
			if err := v.save(stripe, st); err != nil {
				return err
			}
		}
	}
	return nil
}

// all are the stripe's streams. Those with events come in about the order of their last use,
// because whoever loads more than the memory has room for gives up events that came first.
func (stripe *stripe) all(streams []*Stream) []*Stream {
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	for _, st := range stripe.byName {
		if st.log.Len() == 0 {
			streams = append(streams, st)
		}
	}
	for st := stripe.logs.oldest; st != nil; st = st.logLater {
		streams = append(streams, st)
	}
	return streams
}

// saver writes one stream after the other.
type saver struct {
	s       *Streams
	to      *history.SnapshotWriter
	now     Moment
	name    []byte // scratch, like
	scratch []byte
}

// save writes one stream. The lock is not held while something is written.
func (v *saver) save(stripe *stripe, st *Stream) error {
	stripe.mu.Lock()
	v.name = append(v.name[:0], st.Name...)
	v.to.Stream(history.SavedStream{Name: v.name, Epoch: st.epoch, Maker: uint8(st.maker), Offset: st.Offset})
	next := v.events(st, 1)
	stripe.mu.Unlock()
	for {
		if err := v.to.Flush(); err != nil || next == 0 {
			return err
		}
		stripe.mu.Lock()
		next = v.events(st, next)
		stripe.mu.Unlock()
	}
}

// events gives the writer events from an offset on, and returns the offset from which to go on,
// or 0. The caller holds the stripe's lock.
func (v *saver) events(st *Stream, from uint64) (next uint64) {
	s := v.s
	first := s.firstKept(st, from, v.now.Loop)
	if first > st.Offset || st.log.Last() != st.Offset {
		return 0
	}
	v.scratch = st.log.Read(&s.history.memory, first, v.scratch, func(offset uint64, tick uint32, data []byte) bool {
		v.to.Event(history.SavedEvent{Offset: offset, At: v.now.wall(tick), Data: data})
		if v.to.Pending() >= savedStep && offset < st.Offset {
			next = offset + 1
		}
		return next == 0
	})
	return next
}

// Loaded is what has become of a snapshot.
type Loaded struct {
	Streams int   // that are there again
	LeftOut int   // streams for which there was no room
	Events  int64 // that are there again; the others are too old, or more than the rules keep
}

// Load makes the streams of a snapshot, as unused ones, before any other stream is made. Each
// keeps what its rule says of its events. Streams beyond the limit are left out; if the memory
// for histories is used up, those that came first lose their events. After an error there is no
// stream.
func (s *Streams) Load(r *history.SnapshotReader, now Moment) (Loaded, error) {
	l := loader{s: s, now: now}
	for {
		st, e, err := r.Next()
		switch {
		case err == io.EOF:
			l.finish()
			return Loaded{Streams: int(s.count.Load()), LeftOut: l.leftOut, Events: s.keptEvents()}, nil
		case err == nil && st != nil:
			l.finish()
			err = l.begin(st)
		case err == nil:
			l.event(e)
		}
		if err != nil {
			l.finish()
			s.Clear()
			return Loaded{}, err
		}
	}
}

// Clear forgets all streams, before any is used.
func (s *Streams) Clear() {
	for i := range s.stripes {
		stripe := &s.stripes[i]
		stripe.mu.Lock()
		for _, st := range stripe.byName {
			s.forget(stripe, st)
		}
		stripe.mu.Unlock()
	}
}

// loader makes one stream after the other.
type loader struct {
	s       *Streams
	now     Moment
	leftOut int

	st      *Stream // nil: the stream is left out
	stripe  *stripe // of it
	offset  uint64  // that it gets at the end
	kept    rules.History
	scratch Submission
}

var (
	errTwice = errors.New("it has a channel twice")
	errEpoch = errors.New("it has an epoch that cannot be")
	errMaker = errors.New("it has a channel of an unknown kind")
)

// begin makes the next stream.
func (l *loader) begin(saved *history.SavedStream) error {
	if err := command.CheckChannel(saved.Name); err != nil {
		return fmt.Errorf("it has a channel with a bad name: %w", err)
	}
	if !Epoch(saved.Epoch).valid() {
		return errEpoch
	}
	if saved.Maker >= uint8(limits.Makers) {
		return errMaker
	}
	s := l.s
	stripe := s.stripe(saved.Name)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if stripe.byName[string(saved.Name)] != nil {
		return errTwice
	}
	st := &Stream{Name: string(saved.Name), epoch: saved.Epoch, maker: limits.Maker(saved.Maker)}
	limit := s.limit.Load()
	if s.count.Load() >= limit || st.maker == limits.ByClient && s.room.made[limits.ByClient].Load() >= clientsLimit(limit) {
		l.leftOut++
		return nil
	}
	s.count.Add(1)
	s.add(stripe, st)
	l.st, l.stripe, l.offset, l.kept = st, stripe, saved.Offset, s.historyOf(st)
	return nil
}

// event keeps an event of the stream, as if it were published at its time.
func (l *loader) event(e *history.SavedEvent) {
	st, at := l.st, l.now.loop(e.At)
	if st == nil || e.Offset+uint64(l.kept.Events) <= l.offset || at < l.now.Loop-l.kept.Age {
		return
	}
	l.stripe.mu.Lock()
	defer l.stripe.mu.Unlock()
	if e.Offset != st.Offset+1 {
		l.s.dropLog(l.stripe, st) // a log has no holes
	}
	st.Offset = e.Offset
	l.scratch.At, l.scratch.Data = at, e.Data
	l.s.keep(l.stripe, st, &l.scratch)
}

// finish gives the stream its position.
func (l *loader) finish() {
	st := l.st
	if st == nil {
		return
	}
	l.stripe.mu.Lock()
	defer l.stripe.mu.Unlock()
	if st.Offset != l.offset {
		l.s.dropLog(l.stripe, st)
	}
	st.Offset, l.st = l.offset, nil
}

// valid tells whether an epoch is one that newEpoch could have made.
func (e Epoch) valid() bool {
	for _, c := range string(e[:]) {
		if !strings.ContainsRune(epochLetters, c) {
			return false
		}
	}
	return true
}

// epochLetters are those of base64.RawURLEncoding.
const epochLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
