package history

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
)

// A snapshot takes the positions of streams, and what is kept of their events, from one
// process to the next. Numbers of a fixed size are little-endian. It begins with a head:
//
//	8 bytes  snapshotMagic
//	4        snapshotVersion
//	8        a random number, the snapshot's own
//	8        when it was begun, in milliseconds since 1970
//	4        CRC-32C of all before
//
// Blocks follow:
//
//	4 bytes  length of the data, 1 to snapshotBlock
//	4        CRC-32C of the snapshot's number, the number of the block (8 bytes), the length, and the data
//	         data
//
// The checksum begins with both numbers, so that a block of another snapshot, which a file
// system may bring back after a crash, does not fit. The length of the last block has the bit
// snapshotLast. Its data is how many streams, events and bytes of other data there are, 8
// bytes each. Nothing is behind it.
//
// The data of all other blocks together is a row of records. Each begins with its kind:
//
//	recordStream  maker (1 byte), length of the name, name, epoch (8 bytes), offset of the latest event
//	recordEvent   an event that is behind the last one: time, length of the data, data
//	recordJump    the same with its offset in front: the first event, or one behind others that are missing
//
// Lengths and offsets are unsigned varints. A time is the signed varint of the milliseconds
// since the event before, or, for the first one, since the snapshot was begun.
const (
	snapshotMagic   = "fleetHST"
	snapshotVersion = 1

	snapshotHead      = 8 + 4 + 8 + 8 + 4
	snapshotBlockHead = 4 + 4
	snapshotBlock     = 64 << 10
	snapshotLast      = 1 << 31
	snapshotTrailer   = 3 * 8
)

const (
	recordStream = 1
	recordEvent  = 2
	recordJump   = 3
)

// Bounds of what a snapshot has.
const (
	MaxSavedName   = 255
	MaxSavedOffset = 1 << 53  // what JavaScript counts to
	MaxSavedData   = 64 << 20 // of an event, in bytes
	maxSavedTime   = 1 << 48  // in milliseconds since 1970
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SavedStream is a stream in a snapshot.
type SavedStream struct {
	Name   []byte
	Epoch  [8]byte
	Maker  uint8  // as the caller counts them
	Offset uint64 // of the latest event; 0 if there was none
}

// SavedEvent is an event in a snapshot, of the stream before it.
type SavedEvent struct {
	Offset uint64
	At     int64 // when it was published, in milliseconds since 1970
	Data   []byte
}

// Saved is how much a snapshot has.
type Saved struct {
	Streams, Events, Bytes uint64
}

// SnapshotWriter writes a snapshot. What it is given it keeps until Flush, so that it can be
// given something while a lock is held.
type SnapshotWriter struct {
	to      io.Writer
	id      uint64
	number  uint64 // of the next block
	pending []byte // records that are in no block yet
	saved   Saved
	begun   int64
	latest  int64  // time of the stream's last event
	offset  uint64 // of the stream's last event
	err     error
}

// NewSnapshotWriter begins a snapshot at a time in milliseconds since 1970.
func NewSnapshotWriter(to io.Writer, begun int64) *SnapshotWriter {
	begun = savedTime(begun)
	w := &SnapshotWriter{to: to, id: rand.Uint64(), begun: begun}
	head := append(make([]byte, 0, snapshotHead), snapshotMagic...)
	head = binary.LittleEndian.AppendUint32(head, snapshotVersion)
	head = binary.LittleEndian.AppendUint64(head, w.id)
	head = binary.LittleEndian.AppendUint64(head, uint64(begun))
	w.write(binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli)))
	return w
}

// Stream adds a stream.
func (w *SnapshotWriter) Stream(st SavedStream) {
	if len(st.Name) == 0 || len(st.Name) > MaxSavedName || st.Offset > MaxSavedOffset {
		w.fail(fmt.Errorf("a stream with a name of %d bytes and the offset %d fits into no snapshot", len(st.Name), st.Offset))
		return
	}
	b := append(w.pending, recordStream, st.Maker)
	b = binary.AppendUvarint(b, uint64(len(st.Name)))
	b = append(append(b, st.Name...), st.Epoch[:]...)
	w.pending = binary.AppendUvarint(b, st.Offset)
	w.offset, w.latest = 0, w.begun
	w.saved.Streams++
}

// Event adds an event of the last stream. Offsets grow.
func (w *SnapshotWriter) Event(e SavedEvent) {
	if len(e.Data) > MaxSavedData {
		w.fail(fmt.Errorf("an event of %d bytes fits into no snapshot", len(e.Data)))
		return
	}
	b, at := w.pending, savedTime(e.At)
	if w.offset > 0 && e.Offset == w.offset+1 {
		b = append(b, recordEvent)
	} else {
		b = binary.AppendUvarint(append(b, recordJump), e.Offset)
	}
	b = binary.AppendVarint(b, at-w.latest)
	b = binary.AppendUvarint(b, uint64(len(e.Data)))
	w.pending = append(b, e.Data...)
	w.offset, w.latest = e.Offset, at
	w.saved.Events++
}

// savedTime is a time as a snapshot can have it.
func savedTime(at int64) int64 { return min(max(at, 0), maxSavedTime) }

// Pending is how many bytes Flush has to write.
func (w *SnapshotWriter) Pending() int { return len(w.pending) }

// Flush writes what is pending, but for the beginning of a block.
func (w *SnapshotWriter) Flush() error {
	rest := w.pending
	for ; len(rest) >= snapshotBlock; rest = rest[snapshotBlock:] {
		w.writeBlock(rest[:snapshotBlock], 0)
	}
	w.pending = w.pending[:copy(w.pending, rest)]
	return w.err
}

// Close writes the rest and the end.
func (w *SnapshotWriter) Close() (Saved, error) {
	if w.Flush() == nil && len(w.pending) > 0 {
		w.writeBlock(w.pending, 0)
	}
	b := binary.LittleEndian.AppendUint64(nil, w.saved.Streams)
	b = binary.LittleEndian.AppendUint64(b, w.saved.Events)
	w.writeBlock(binary.LittleEndian.AppendUint64(b, w.saved.Bytes), snapshotLast)
	return w.saved, w.err
}

func (w *SnapshotWriter) writeBlock(data []byte, mark uint32) {
	if mark == 0 {
		w.saved.Bytes += uint64(len(data))
	}
	length := uint32(len(data)) | mark
	head := binary.LittleEndian.AppendUint32(make([]byte, 0, snapshotBlockHead), length)
	w.write(binary.LittleEndian.AppendUint32(head, blockSum(w.id, w.number, length, data)))
	w.write(data)
	w.number++
}

// write writes unless something has failed before.
func (w *SnapshotWriter) write(b []byte) {
	if w.err == nil {
		_, w.err = w.to.Write(b)
	}
}

func (w *SnapshotWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// blockSum is the checksum of a block.
func blockSum(id, number uint64, length uint32, data []byte) uint32 {
	var b [8 + 8 + 4]byte
	binary.LittleEndian.PutUint64(b[:], id)
	binary.LittleEndian.PutUint64(b[8:], number)
	binary.LittleEndian.PutUint32(b[16:], length)
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, data)
}
