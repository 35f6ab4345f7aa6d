package stream

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/bytebufferpool"

	"fleetcast/gateway/dialect"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
)

// Event is one published message with its place in the stream. It is immutable from the
// moment it is posted, except that variants of its frame are built at first need. In
// each format it has the same bytes for every subscriber. Frames are pooled: each
// holder releases the event, and the last one gives the frame back.
type Event struct {
	dialect.Event // its Data lies in buffer

	Stream   *Stream
	Key      []byte // what it is about, or empty; lies in buffer
	Tag      uint16 // hashes of stream and key, see streamTag
	Frame    []byte // whole WebSocket frame in FormatPlain; lies in buffer
	buffer   *bytebufferpool.ByteBuffer
	formats  *Formats
	variants atomic.Pointer[Variant] // the list of them, from the one that was claimed last
	At       time.Duration           // when it was taken, with credit; the loops' clock
	cost     int64                   // credits to give back when every shard has served it
	from     *limits.Account

	unserved atomic.Int32 // shards that have yet to serve it
	holders  atomic.Int32 // those shards, and backlog entries
	backlogs atomic.Int32 // backlog entries
}

// A tag has the hash of the stream's name in its high bits, that of the key in its
// low ones.
const (
	StreamTagBits = 7
	KeyTagBits    = 7
	EventTagBits  = StreamTagBits + KeyTagBits
)

// tagSeed is that of all tags.
var tagSeed = maphash.MakeSeed()

// streamTag is the tag of a stream's events without a key.
func streamTag(name string) uint16 {
	return uint16(maphash.String(tagSeed, name)) & (1<<StreamTagBits - 1) << KeyTagBits
}

var eventPool = sync.Pool{New: func() any { return new(Event) }}

// newEvent makes the stream's latest event, with its frame, for the given number
// of shards. The caller holds the lock of the stream's stripe.
func newEvent(fs *Formats, st *Stream, of *Submission, shards int) *Event {
	e := eventPool.Get().(*Event)
	e.Event = dialect.Event{Channel: st.Name, Offset: st.Offset, Data: of.Data}
	e.Stream, e.from, e.cost, e.At = st, of.From, of.Cost, of.At
	e.Tag = st.Tag
	if len(of.Key) > 0 {
		e.Tag |= uint16(maphash.Bytes(tagSeed, of.Key)) & (1<<KeyTagBits - 1)
	}
	d := fs.Dialect(FormatPlain)
	e.buffer = mem.TakeBuffer(d.EventSize(st.prefix, &e.Event) + len(of.Key))
	b, dataAt := d.AppendEvent(e.buffer.B, st.prefix, &e.Event)
	size := len(b)
	b = append(b, of.Key...)
	if dataAt < 0 {
		dataAt = len(b)
		b = append(b, of.Data...)
	}
	e.formats, e.buffer.B = fs, b
	e.Frame, e.Key, e.Data = b[:size], b[size:size+len(of.Key)], b[dataAt:dataAt+len(of.Data)]
	e.unserved.Store(int32(shards))
	e.holders.Store(int32(shards))
	return e
}

// Served is called by each shard once it is done with the event. With the last
// one, its credits go back.
func (e *Event) Served() {
	if e.unserved.Add(-1) == 0 {
		e.from.Give(e.cost)
	}
	e.Release()
}

// Holders is how many hold the event. It is for checks.
func (e *Event) Holders() int { return int(e.holders.Load()) }

// Hold adds a holder; the caller is one already.
func (e *Event) Hold() { e.holders.Add(1) }

// Release gives the event back to the pool with its last holder. The caller
// must not touch it afterwards.
func (e *Event) Release() {
	switch left := e.holders.Add(-1); {
	case left > 0:
	case left < 0:
		panic("gateway: event released more often than held")
	default:
		e.releaseVariants()
		mem.GiveBuffer(e.buffer)
		e.Event = dialect.Event{}
		e.Stream, e.Frame, e.Key, e.buffer, e.from = nil, nil, nil, nil, nil
		eventPool.Put(e)
	}
}

// EnterBacklog counts the event as waiting in one more backlog. It returns how many
// bytes no backlog held before.
func (e *Event) EnterBacklog() int64 {
	if e.backlogs.Add(1) == 1 {
		return e.Weight()
	}
	return 0
}

// LeaveBacklog is the end of EnterBacklog. It returns how many bytes no backlog holds
// any more.
func (e *Event) LeaveBacklog() int64 {
	if e.backlogs.Add(-1) == 0 {
		return e.Weight()
	}
	return 0
}

// Weight is how many bytes of memory an event takes, without its frames in other
// formats.
func (e *Event) Weight() int64 { return int64(limits.EventOverhead + cap(e.buffer.B)) }
