package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// What can be wrong with a snapshot, besides its reader.
var (
	errNoSnapshot = errors.New("it is no history file")
	errHead       = errors.New("its head is damaged")
	errCut        = errors.New("it ends too early")
	errEnd        = errors.New("there is something behind its end, or less in it than its end says")
	errRecord     = errors.New("it has a record that cannot be")
)

// SnapshotReader reads a snapshot. It takes memory for a block and the longest event, as far
// as that is there: whatever a length says, no more is taken than has come and has the
// right checksum.
type SnapshotReader struct {
	from    io.Reader
	id      uint64
	begun   int64
	number  uint64 // of the next block
	buffer  []byte // for a block
	rest    []byte // of the block
	scratch []byte // for data that is in several blocks
	ended   bool   // the last block was there
	counted Saved
	stream  SavedStream
	event   SavedEvent
}

// NewSnapshotReader reads the head of a snapshot.
func NewSnapshotReader(from io.Reader) (*SnapshotReader, error) {
	head := make([]byte, snapshotHead)
	switch n, err := io.ReadFull(from, head); {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		if n < len(snapshotMagic) || string(head[:len(snapshotMagic)]) != snapshotMagic {
			return nil, errNoSnapshot
		}
		return nil, errCut
	case err != nil:
		return nil, err
	}
	if string(head[:len(snapshotMagic)]) != snapshotMagic {
		return nil, errNoSnapshot
	}
	// Another version may have another head.
	if version := binary.LittleEndian.Uint32(head[8:]); version != snapshotVersion {
		return nil, fmt.Errorf("its format is version %d, and this program reads version %d", version, snapshotVersion)
	}
	sum := snapshotHead - 4
	if crc32.Checksum(head[:sum], castagnoli) != binary.LittleEndian.Uint32(head[sum:]) {
		return nil, errHead
	}
	r := &SnapshotReader{from: from, id: binary.LittleEndian.Uint64(head[12:]), begun: int64(binary.LittleEndian.Uint64(head[20:]))}
	if r.begun < 0 || r.begun > maxSavedTime {
		return nil, errHead
	}
	r.buffer = make([]byte, snapshotBlock)
	return r, nil
}

// Next returns the next stream, or the next event of the last one. Both are valid until the
// next call. The error is io.EOF behind the last one, if the snapshot is whole.
func (r *SnapshotReader) Next() (*SavedStream, *SavedEvent, error) {
	if len(r.rest) == 0 {
		if err := r.nextBlock(); err != nil {
			return nil, nil, err
		}
		if r.ended {
			return nil, nil, r.checkEnd()
		}
	}
	kind, err := r.readByte()
	if err != nil {
		return nil, nil, err
	}
	switch kind {
	case recordStream:
		return &r.stream, nil, r.readStream()
	case recordEvent, recordJump:
		return nil, &r.event, r.readEvent(kind == recordJump)
	}
	return nil, nil, errRecord
}

func (r *SnapshotReader) readStream() (err error) {
	st := &r.stream
	if st.Maker, err = r.readByte(); err != nil {
		return err
	}
	length, err := r.uvarint(MaxSavedName)
	if err != nil {
		return err
	}
	name, err := r.take(int(length))
	if err != nil {
		return err
	}
	st.Name = append(st.Name[:0], name...)
	epoch, err := r.take(len(st.Epoch))
	if err != nil {
		return err
	}
	copy(st.Epoch[:], epoch)
	if st.Offset, err = r.uvarint(MaxSavedOffset); err != nil {
		return err
	}
	if len(st.Name) == 0 {
		return errRecord
	}
	r.counted.Streams++
	r.event = SavedEvent{At: r.begun}
	return nil
}

func (r *SnapshotReader) readEvent(jump bool) error {
	e := &r.event
	offset := e.Offset + 1
	if jump {
		var err error
		if offset, err = r.uvarint(MaxSavedOffset); err != nil {
			return err
		}
	}
	if r.counted.Streams == 0 || offset <= e.Offset || offset > r.stream.Offset || !jump && e.Offset == 0 {
		return errRecord
	}
	since, err := r.uvarint(2*maxSavedTime + 1)
	if err != nil {
		return err
	}
	at := e.At + (int64(since>>1) ^ -int64(since&1)) // as binary.AppendVarint has it
	if at < 0 || at > maxSavedTime {
		return errRecord
	}
	length, err := r.uvarint(MaxSavedData)
	if err != nil {
		return err
	}
	if e.Data, err = r.take(int(length)); err != nil {
		return err
	}
	e.Offset, e.At = offset, at
	r.counted.Events++
	return nil
}

func (r *SnapshotReader) readByte() (byte, error) {
	if err := r.need(); err != nil {
		return 0, err
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b, nil
}

// uvarint reads a number that must not be larger.
func (r *SnapshotReader) uvarint(most uint64) (n uint64, err error) {
	const longest = 9 // bytes
	for shift := 0; shift < 7*longest; shift += 7 {
		b, err := r.readByte()
		if err != nil {
			return 0, err
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 && n <= most {
			return n, nil
		}
		if b < 0x80 {
			break
		}
	}
	return 0, errRecord
}

// take returns the next n bytes, valid until the next call.
func (r *SnapshotReader) take(n int) ([]byte, error) {
	if n <= len(r.rest) {
		b := r.rest[:n]
		r.rest = r.rest[n:]
		return b, nil
	}
	r.scratch = r.scratch[:0]
	for {
		part := min(n-len(r.scratch), len(r.rest))
		r.scratch = append(r.scratch, r.rest[:part]...)
		r.rest = r.rest[part:]
		if len(r.scratch) == n {
			return r.scratch, nil
		}
		if err := r.need(); err != nil {
			return nil, err
		}
	}
}

// need has something in rest. There is more, because a record is not at its end.
func (r *SnapshotReader) need() error {
	if len(r.rest) > 0 {
		return nil
	}
	err := r.nextBlock()
	if err == nil && r.ended {
		err = errRecord
	}
	return err
}

// nextBlock reads the next block and checks it.
func (r *SnapshotReader) nextBlock() error {
	if r.ended {
		return errRecord
	}
	var head [snapshotBlockHead]byte
	if err := r.readFull(head[:]); err != nil {
		return err
	}
	length := binary.LittleEndian.Uint32(head[:])
	size := length &^ snapshotLast
	r.ended = length != size
	if size == 0 || size > snapshotBlock || r.ended && size != snapshotTrailer {
		return fmt.Errorf("block %d is damaged", r.number)
	}
	r.rest = r.buffer[:size]
	if err := r.readFull(r.rest); err != nil {
		return err
	}
	if blockSum(r.id, r.number, length, r.rest) != binary.LittleEndian.Uint32(head[4:]) {
		return fmt.Errorf("block %d is damaged", r.number)
	}
	r.number++
	if !r.ended {
		r.counted.Bytes += uint64(size)
	}
	return nil
}

func (r *SnapshotReader) readFull(b []byte) error {
	_, err := io.ReadFull(r.from, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCut
	}
	return err
}

// checkEnd returns io.EOF if everything was there.
func (r *SnapshotReader) checkEnd() error {
	said := Saved{
		Streams: binary.LittleEndian.Uint64(r.rest), Events: binary.LittleEndian.Uint64(r.rest[8:]), Bytes: binary.LittleEndian.Uint64(r.rest[16:]),
	}
	r.rest = nil
	n, err := io.ReadFull(r.from, make([]byte, 1))
	if err != nil && err != io.EOF {
		return err
	}
	if n > 0 || said != r.counted {
		return errEnd
	}
	return io.EOF
}
