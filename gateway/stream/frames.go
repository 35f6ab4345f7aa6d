package stream

import (
	"time"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/mem"
)

// Frames are kept events of a stream as frames of one format, one behind the other. The zero
// value has none.
type Frames struct {
	First uint64   // offset of the first event
	Ends  []uint32 // where the frame of each event ends in Bytes
	Bytes []byte
}

// Next is the offset behind the last event.
func (f *Frames) Next() uint64 { return f.First + uint64(len(f.Ends)) }

// From are the frames from an offset on, which is not before First: their bytes, and how many
// they are.
func (f *Frames) From(offset uint64) (frames []byte, events int) {
	at := f.start(offset)
	return f.Bytes[at:], int(f.Next() - offset)
}

// start is where the frame of an event begins.
func (f *Frames) start(offset uint64) uint32 {
	if offset == f.First {
		return 0
	}
	return f.Ends[offset-f.First-1]
}

// add counts a frame that has been appended to Bytes.
func (f *Frames) add() { f.Ends = append(f.Ends, uint32(len(f.Bytes))) }

// AppendKept appends the frames of events that are kept of the stream of an interest, from an
// offset on up to another one, until there are limit bytes, but at least one. The format is one
// that is not compressed. If nothing is kept of the events from that offset on, f stays as it
// is, and the result is the offset of the first event that is kept, or that of the next event
// if there is none.
func (s *Streams) AppendKept(f *Frames, c *Interest, of Format, from, to uint64, now time.Duration, limit int) (first uint64) {
	d := s.Formats.Dialect(of)
	prefix := mem.TakeBuffer(len(c.Name))
	defer mem.GiveBuffer(prefix)
	prefix.B = d.AppendPrefix(prefix.B, c.Name)
	e := dialect.Event{Channel: c.Name}
	first, _ = s.ReadKept(c, from, now, nil, func(offset uint64, data []byte) bool {
		if offset > to || len(f.Ends) == 0 && offset != from || len(f.Bytes) >= limit {
			return false
		}
		e.Offset, e.Data = offset, data
		f.Bytes, _ = d.AppendEvent(f.Bytes, prefix.B, &e)
		f.add()
		return true
	})
	return first
}

// AppendCompressed appends the frames of plain from an offset on up to another one, compressed for
// a format, until limit bytes of them are, but at least one. A frame that does not become smaller stays as it
// is, and so does one that would take too long. It returns how many bytes of plain they were.
func (k *Compression) AppendCompressed(f, plain *Frames, fs *Formats, of Format, from, to uint64, limit int) (bytes int) {
	window, began := fs.all[of].window, int(plain.start(from))
	for ; from <= to && from < plain.Next() && int(plain.start(from)) < began+max(limit, 1); from++ {
		frame := plain.Bytes[plain.start(from):plain.Ends[from-plain.First]]
		var smaller *bytebufferpool.ByteBuffer
		if len(frame) <= k.InTurn || k.level < slowLevel {
			smaller = k.deflate(frame, window)
		}
		if smaller != nil {
			f.Bytes = websocket.AppendCompressedFrame(f.Bytes, ws.OpCode(frame[0]&0xf), smaller.B)
			mem.GiveBuffer(smaller)
		} else {
			f.Bytes = append(f.Bytes, frame...)
		}
		f.add()
	}
	return int(plain.start(from)) - began
}
