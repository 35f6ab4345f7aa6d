package stream

import (
	"time"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/mem"
)

// Frames are kept events of a stream as frames of one format, one behind the other, without a
// gap between them. Only First need be set to begin.
type Frames struct {
	First uint64   // offset of the first event
	Ends  []uint32 // where the frame of each event ends in Bytes
	Bytes []byte
}

// Next is the offset behind the last event.
func (f *Frames) Next() uint64 { return f.First + uint64(len(f.Ends)) }

// Part are the frames from one offset to another one, which are both there, and where each ends,
// counted from where the first frame of f begins.
func (f *Frames) Part(from, last uint64) (frames []byte, ends []uint32) {
	ends = f.Ends[from-f.First : last-f.First+1]
	return f.Bytes[f.start(from):ends[len(ends)-1]], ends
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

// AppendKept appends the frames of the next events, up to an offset, of those that are kept of
// the stream of an interest, until there are limit bytes, but at least one. The format is one
// that is not compressed. If the next event is not kept any more, f stays as it is.
func (s *Streams) AppendKept(f *Frames, c *Interest, of Format, to uint64, now time.Duration, limit int) {
	d := s.Formats.Dialect(of)
	prefix := mem.TakeBuffer(len(c.Name))
	defer mem.GiveBuffer(prefix)
	prefix.B = d.AppendPrefix(prefix.B, c.Name)
	e := dialect.Event{Channel: c.Name}
	s.ReadKept(c, f.Next(), now, nil, func(offset uint64, data []byte) bool {
		// What was kept a moment ago may have gone: frames have no gaps.
		if offset > to || offset != f.Next() || len(f.Bytes) >= limit {
			return false
		}
		e.Offset, e.Data = offset, data
		f.Bytes, _ = d.AppendEvent(f.Bytes, prefix.B, &e)
		f.add()
		return true
	})
}

// AppendCompressed appends the frames of the next events, up to an offset, compressed for a
// format, until limit bytes of them are, but at least one. plain has the next event. A frame that
// does not become smaller stays as it is, and so does one that would take too long. The result is
// how many bytes of plain they were.
func (k *Compression) AppendCompressed(f, plain *Frames, fs *Formats, of Format, to uint64, limit int) (bytes int) {
	from := f.Next()
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
