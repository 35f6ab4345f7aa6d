package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// begunAt is when the snapshots of tests are begun.
const begunAt = 1_800_000_000_000

// savedStream is a stream of a test, with its events.
type savedStream struct {
	SavedStream
	events []SavedEvent
}

// someStreams makes up to n streams, with events of up to so many bytes.
func someStreams(random *rand.Rand, n, size int) (all []savedStream) {
	for i := range n {
		st := savedStream{SavedStream: SavedStream{Name: fmt.Appendf(nil, "channel.%d", i), Maker: uint8(i % 2), Offset: uint64(random.IntN(50))}}
		binary.LittleEndian.PutUint64(st.Epoch[:], random.Uint64())
		at := int64(begunAt - random.IntN(1_000_000))
		for offset := st.Offset / 2; offset < st.Offset && random.IntN(20) > 0; offset++ {
			if offset += uint64(random.IntN(10) / 9); offset == st.Offset {
				break
			}
			data := bytes.Repeat([]byte{byte(offset)}, random.IntN(size))
			at += int64(random.IntN(1000))
			st.events = append(st.events, SavedEvent{offset + 1, at, data})
		}
		all = append(all, st)
	}
	return all
}

// snapshotOf writes streams.
func snapshotOf(t testing.TB, all []savedStream) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewSnapshotWriter(&b, begunAt)
	for i, st := range all {
		w.Stream(st.SavedStream)
		for _, e := range st.events {
			w.Event(e)
		}
		if i%3 == 0 {
			if err := w.Flush(); err != nil || w.Pending() >= snapshotBlock {
				t.Fatalf("%d bytes are pending, %v", w.Pending(), err)
			}
		}
	}
	saved, err := w.Close()
	if err != nil || saved.Streams != uint64(len(all)) {
		t.Fatalf("saved %+v, %v", saved, err)
	}
	return b.Bytes()
}

// readSnapshot reads what it can. The error is nil if that is all.
func readSnapshot(from io.Reader) (all []savedStream, err error) {
	r, err := NewSnapshotReader(from)
	if err != nil {
		return nil, err
	}
	for {
		st, e, err := r.Next()
		switch {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return all, err
		case st != nil:
			all = append(all, savedStream{SavedStream: *st})
			all[len(all)-1].Name = bytes.Clone(st.Name)
		default:
			last := &all[len(all)-1]
			last.events = append(last.events, SavedEvent{e.Offset, e.At, append([]byte{}, e.Data...)})
		}
	}
}

func TestSnapshotIsReadAsItWasWritten(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 2))
		want := someStreams(random, random.IntN(300), 1+random.IntN(100_000/(1+random.IntN(1000))))
		got, err := readSnapshot(bytes.NewReader(snapshotOf(t, want)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d: %d streams of %d are read, or others, %v", seed, len(got), len(want), err)
		}
	}
}

// A snapshot that lacks its end, has a wrong bit or something behind its end is never taken
// for a whole one.
func TestSnapshotThatIsDamaged(t *testing.T) {
	whole := snapshotOf(t, someStreams(rand.New(rand.NewPCG(1, 1)), 20, 20))
	for n := range whole {
		if _, err := readSnapshot(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("the first %d bytes are taken for a whole snapshot", n)
		}
		damaged := bytes.Clone(whole)
		damaged[n] ^= 1 << (n % 8)
		if _, err := readSnapshot(bytes.NewReader(damaged)); err == nil {
			t.Errorf("a wrong bit in byte %d is not noticed", n)
		}
	}
	for _, test := range []struct {
		name, want string
		file       []byte
	}{
		{"nothing", "no history file", nil},
		{"something else", "no history file", []byte(strings.Repeat("something else ", 10))},
		{"longer", "behind its end", append(bytes.Clone(whole), 0)},
		{"twice", "behind its end", append(bytes.Clone(whole), whole...)},
		{"cut", "ends too early", whole[:len(whole)-1]},
		{"without the last block", "ends too early", whole[:len(whole)-snapshotBlockHead-snapshotTrailer]},
		{"another version", "version 2, and this program reads version 1", append([]byte(snapshotMagic+"\x02\x00\x00\x00"), whole[12:]...)},
		{"head", "head is damaged", append([]byte(snapshotMagic+"\x01\x00\x00\x00\x00"), whole[13:]...)},
	} {
		if _, err := readSnapshot(bytes.NewReader(test.file)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

// A block of another snapshot has another checksum, and so has one at another place.
func TestSnapshotWithAForeignBlock(t *testing.T) {
	large := []savedStream{{SavedStream: SavedStream{Name: []byte("a"), Offset: 1}, events: []SavedEvent{{1, begunAt, make([]byte, 3*snapshotBlock)}}}}
	one, other := snapshotOf(t, large), snapshotOf(t, large)
	const block = snapshotBlockHead + snapshotBlock
	if !bytes.Equal(one[snapshotHead+block+snapshotBlockHead:snapshotHead+2*block], other[snapshotHead+block+snapshotBlockHead:snapshotHead+2*block]) {
		t.Fatal("the second blocks differ")
	}
	foreign := bytes.Clone(one)
	copy(foreign[snapshotHead+block:snapshotHead+2*block], other[snapshotHead+block:])
	moved := bytes.Clone(one)
	copy(moved[snapshotHead+2*block:snapshotHead+3*block], one[snapshotHead+block:])
	for name, file := range map[string][]byte{"foreign": foreign, "moved": moved} {
		if _, err := readSnapshot(bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("a block that is %s: error %v", name, err)
		}
	}
}

// sealed makes a snapshot whose blocks have these data and right checksums.
func sealed(records []byte) []byte {
	var b bytes.Buffer
	w := NewSnapshotWriter(&b, begunAt)
	w.pending = records
	w.saved.Streams = uint64(len(records)) // which is wrong
	w.Close()
	return b.Bytes()
}

// Records with right checksums that no writer makes.
func TestSnapshotWithRecordsThatCannotBe(t *testing.T) {
	stream := func(name string, offset uint64) string {
		b := binary.AppendUvarint([]byte{recordStream, 0}, uint64(len(name)))
		return string(binary.AppendUvarint(append(b, name+"12345678"...), offset))
	}
	event := func(kind byte, offset uint64, since int64, data string) string {
		b := []byte{kind}
		if kind == recordJump {
			b = binary.AppendUvarint(b, offset)
		}
		b = binary.AppendUvarint(binary.AppendVarint(b, since), uint64(len(data)))
		return string(b) + data
	}
	for name, records := range map[string]string{
		"no kind":                     "\x00",
		"event of no stream":          event(recordJump, 1, 0, "1"),
		"no name":                     stream("", 1),
		"long name":                   stream(strings.Repeat("a", 256), 1),
		"large offset":                stream("a", MaxSavedOffset+1),
		"first event without a place": stream("a", 1) + event(recordEvent, 0, 0, "1"),
		"event of another stream":     stream("a", 3) + event(recordJump, 1, 0, "1") + stream("b", 3) + event(recordEvent, 0, 0, "1"),
		"event behind the last one":   stream("a", 1) + event(recordJump, 1, 0, "1") + event(recordEvent, 0, 0, "1"),
		"event again":                 stream("a", 3) + event(recordJump, 2, 0, "1") + event(recordJump, 2, 0, "1"),
		"offset 0":                    stream("a", 3) + event(recordJump, 0, 0, "1"),
		"before 1970":                 stream("a", 1) + event(recordJump, 1, -begunAt-1, "1"),
		"far away":                    stream("a", 1) + event(recordJump, 1, maxSavedTime, "1"),
		"farther away":                stream("a", 1) + event(recordJump, 1, 1<<62, "1"),
		"long number":                 stream("a", 1) + "\x03" + strings.Repeat("\xff", 11),
		"long data":                   stream("a", 1) + "\x03\x01\x00" + string(binary.AppendUvarint(nil, MaxSavedData+1)),
		"data that is not there":      stream("a", 1) + "\x03\x01\x00" + string(binary.AppendUvarint(nil, MaxSavedData)),
		"part of a record":            stream("a", 1)[:5],
	} {
		if _, err := readSnapshot(bytes.NewReader(sealed([]byte(records)))); !errors.Is(err, errRecord) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := readSnapshot(bytes.NewReader(sealed([]byte(stream("a", 1))))); !errors.Is(err, errEnd) {
		t.Errorf("with wrong sums: error %v", err)
	}
}

// failingWriter takes so many bytes.
type failingWriter struct{ left int }

var errFull = errors.New("the disk is full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestSnapshotWriterFails(t *testing.T) {
	for _, room := range []int{0, snapshotHead, snapshotHead + 100, snapshotHead + snapshotBlockHead + snapshotBlock} {
		w := NewSnapshotWriter(&failingWriter{room}, begunAt)
		w.Stream(SavedStream{Name: []byte("a"), Offset: 1})
		w.Event(SavedEvent{1, begunAt, make([]byte, 2*snapshotBlock)})
		if _, err := w.Close(); !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes: error %v", room, err)
		}
	}
	for name, give := range map[string]func(w *SnapshotWriter){
		"long name":    func(w *SnapshotWriter) { w.Stream(SavedStream{Name: make([]byte, 256)}) },
		"no name":      func(w *SnapshotWriter) { w.Stream(SavedStream{}) },
		"large offset": func(w *SnapshotWriter) { w.Stream(SavedStream{Name: []byte("a"), Offset: MaxSavedOffset + 1}) },
		"large data":   func(w *SnapshotWriter) { w.Event(SavedEvent{1, 1, make([]byte, MaxSavedData+1)}) },
	} {
		w := NewSnapshotWriter(io.Discard, begunAt)
		give(w)
		if _, err := w.Close(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzSnapshot reads what is no snapshot, and records with right checksums that are none.
func FuzzSnapshot(f *testing.F) {
	whole := snapshotOf(f, someStreams(rand.New(rand.NewPCG(3, 3)), 5, 20))
	f.Add(whole, false)
	f.Add(whole[:len(whole)/2], false)
	f.Add(whole[snapshotHead+snapshotBlockHead:], true)
	f.Fuzz(func(t *testing.T, b []byte, records bool) {
		if records {
			b = sealed(b)
		} else if len(b) >= snapshotHead { // else all would end there
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[snapshotHead-4:], crc32.Checksum(b[:snapshotHead-4], castagnoli))
		}
		r, err := NewSnapshotReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		var st SavedStream
		var offset uint64
		for n := 0; ; n++ {
			s, e, err := r.Next()
			if held := cap(r.scratch) + cap(r.stream.Name); held > 2*len(b)+1024 || n > len(b) {
				t.Fatalf("%d bytes are held and %d records read of %d bytes", held, n, len(b))
			}
			if err != nil {
				return
			}
			if s != nil {
				if st, offset = *s, 0; len(st.Name) == 0 || len(st.Name) > MaxSavedName || st.Offset > MaxSavedOffset {
					t.Fatalf("a stream %+v", st)
				}
				continue
			}
			if e.Offset <= offset || e.Offset > st.Offset || e.At < 0 || e.At > maxSavedTime || len(e.Data) > len(b) {
				t.Fatalf("event %d at %d behind %d in %d", e.Offset, e.At, offset, st.Offset)
			}
			offset = e.Offset
		}
	})
}

// BenchmarkSnapshot writes and reads a stream with 100 events of 100 bytes.
func BenchmarkSnapshot(b *testing.B) {
	stream, data := SavedStream{Name: []byte("channel"), Offset: 100}, make([]byte, 100)
	var file bytes.Buffer
	write := func(n int) {
		w := NewSnapshotWriter(&file, begunAt)
		for range n {
			w.Stream(stream)
			for i := range uint64(100) {
				w.Event(SavedEvent{i + 1, begunAt, data})
			}
			w.Flush()
		}
		w.Close()
	}
	b.Run("write", func(b *testing.B) {
		file.Reset()
		file.Grow(b.N * 12_000)
		b.ReportAllocs()
		b.ResetTimer()
		write(b.N)
	})
	b.Run("read", func(b *testing.B) {
		file.Reset()
		write(b.N)
		b.ReportAllocs()
		b.ResetTimer()
		r, err := NewSnapshotReader(&file)
		for err == nil {
			_, _, err = r.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	})
}
