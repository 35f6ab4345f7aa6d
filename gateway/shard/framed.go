package shard

import (
	"slices"
	"sort"
	"time"

	"fleetcast/gateway/mem"
	"fleetcast/gateway/stream"
)

const (
	// runSize is from how many bytes on a run gets no more frames.
	runSize = 64 << 10
	// runLife is how long a run is kept: clients that lost their connections together come back
	// together.
	runLife = 10 * time.Second
	// runMemory is how many bytes the runs of a shard keep at most. The oldest ones go first.
	runMemory = 32 << 20
	// runOverhead is about what a run takes beside its bytes, and endSize what each frame does.
	runOverhead = 512
	endSize     = 4
	// compressedAtOnce is how many bytes of frames are compressed in one go, some 0.2 ms of work
	// at usual levels.
	compressedAtOnce = 16 << 10
	// framingWork is how many bytes of frames take as long to lay out as one to compress.
	framingWork = 8
)

// run is a part of a channel's history as frames in one format. It is laid out once for all
// clients of the shard that need it within runLife.
type run struct {
	stream.Frames
	channel *channel
	format  stream.Format
	made    time.Duration // the loop's time
	counted int           // bytes of memory, of those that the shard counts
}

// runs are those of one channel: of each format in the order of their offsets, none with an
// event that another one of the format has.
type runs map[stream.Format][]*run

// find is the run that has the event, or whose next event it is. at is its place, or that of the
// one that would come next.
func (rs runs) find(f stream.Format, offset uint64) (r *run, at int) {
	list := rs[f]
	at = sort.Search(len(list), func(i int) bool { return list[i].First > offset })
	if at > 0 && list[at-1].Next() >= offset {
		return list[at-1], at - 1
	}
	return nil, at
}

// frames are events that are kept of a channel, in a format, from one offset on up to another
// one, or up to before it. If the event of that offset is not kept, there are none, and first is
// the one from which on there are some. The bytes are valid until trimRuns is called.
func (s *Shard) frames(c *channel, f stream.Format, from, to uint64) (frames []byte, ends []uint32, first uint64) {
	// Others may have changed what is kept.
	if first = s.shared.Streams.Kept(&c.Interest, from, s.Loop.Now()).First; first > from {
		return nil, nil, first
	}
	r := s.runWith(c, f, from, to)
	if r == nil {
		return nil, nil, from
	}
	frames, ends = r.Part(from, min(to, r.Next()-1))
	return frames, ends, from
}

// runWith is a run that has the event from, laid out now if there is none. nil tells that the
// event is not kept any more.
func (s *Shard) runWith(c *channel, f stream.Format, from, to uint64) *run {
	r, at := c.runs.find(f, from)
	if r != nil && from < r.Next() {
		return r
	}
	goesOn := r != nil && len(r.Bytes) < runSize
	if r != nil {
		at++
	}
	if list := c.runs[f]; at < len(list) {
		to = min(to, list[at].First-1)
	}
	if !goesOn {
		r = &run{channel: c, format: f, made: s.Loop.Now()}
		r.First = from
	}
	if !s.layOutRun(r, to) {
		return nil
	}
	if !goesOn {
		if c.runs == nil {
			c.runs = make(runs)
		}
		c.runs[f] = slices.Insert(c.runs[f], at, r)
		s.runs.Push(r)
	}
	memory := runOverhead + cap(r.Bytes) + endSize*cap(r.Ends)
	s.runBytes += int64(memory - r.counted)
	r.counted = memory
	return r
}

// layOutRun appends frames of the next events to a run, up to an offset. It is false if there
// are none.
func (s *Shard) layOutRun(r *run, to uint64) bool {
	before := len(r.Ends)
	if plain := s.ledger.Formats.Plain(r.format); r.format != plain {
		of := s.runWith(r.channel, plain, r.Next(), to)
		if of == nil {
			return false
		}
		k := s.shared.Settings.Load().Compression
		s.framing += k.AppendCompressed(&r.Frames, &of.Frames, s.ledger.Formats, r.format, to, compressedAtOnce)
	} else {
		size := len(r.Bytes)
		s.shared.Streams.AppendKept(&r.Frames, &r.channel.Interest, plain, to, s.Loop.Now(), runSize)
		s.framing += (len(r.Bytes) - size) / framingWork
	}
	s.Counters.EventsFramed += uint64(len(r.Ends) - before)
	return len(r.Ends) > before
}

// trimRuns gives up the runs that are old, and the oldest ones if all hold too much. Nobody may
// hold their bytes.
func (s *Shard) trimRuns() {
	for s.runs.Len() > 0 {
		if r := *s.runs.At(0); s.Loop.Now()-r.made < runLife && s.runBytes <= runMemory {
			return
		}
		s.dropRun()
	}
}

// dropRun gives up the oldest run.
func (s *Shard) dropRun() {
	r := s.runs.Pop()
	s.runBytes -= int64(r.counted)
	list := r.channel.runs[r.format]
	i := slices.Index(list, r)
	if r.channel.runs[r.format] = slices.Delete(list, i, i+1); len(list) == 1 {
		delete(r.channel.runs, r.format)
	}
}

// forgetRuns gives up all runs.
func (s *Shard) forgetRuns() {
	for s.runs.Len() > 0 {
		s.dropRun()
	}
	s.runs = mem.Ring[*run]{}
}
