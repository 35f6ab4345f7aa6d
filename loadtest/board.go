package loadtest

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// board is what all processes of a run see of one another at any moment: memory
// that each of them has mapped. The publisher writes the schedules, every
// worker its own counters, and all may read.
type board struct {
	mapped    []byte
	counters  []workerCounters // by worker, over all processes
	schedules []schedule       // by flow
}

// maxFlows is how many streams of events a run has at most.
const maxFlows = 2

// workerCounters is what a worker tells the publishers.
type workerCounters struct {
	live      atomic.Int64           // clients that are subscribed
	connected atomic.Int64           // attempts to connect that got as far as that
	failed    atomic.Int64           // attempts that did not, but for those turned away for a time
	delivered [maxFlows]atomic.Int64 // by flow, as of the last tick
	_         [24]byte               // a cache line each
}

// schedule says which events of a flow were published and when each was due.
type schedule struct {
	published *atomic.Int64  // events 0 to published-1 are, or are about to be, on their way
	dues      []atomic.Int64 // by sequence number, time of the clock
	seen      bits           // events that a client has got
	untaken   bits           // events that the server refused or did not take
}

// bits is a set of sequence numbers.
type bits []atomic.Int64

const bitsPerWord = 64

func bitWords(events int) int { return (events + bitsPerWord - 1) / bitsPerWord }

func (b bits) set(seq int64) {
	if !b.has(seq) {
		b[seq/bitsPerWord].Or(1 << (seq % bitsPerWord))
	}
}

func (b bits) has(seq int64) bool { return b[seq/bitsPerWord].Load()&(1<<(seq%bitsPerWord)) != 0 }

// boardShape is what the size of a board follows from.
type boardShape struct {
	Workers int
	Events  []int // at most, by flow
}

const (
	counterSize = int(unsafe.Sizeof(workerCounters{}))
	wordSize    = int(unsafe.Sizeof(atomic.Int64{}))
)

func (s boardShape) size() int {
	size := s.Workers * counterSize
	for _, events := range s.Events {
		size += (1 + events + 2*bitWords(events)) * wordSize
	}
	return size
}

// newBoard makes a board and the file by which other processes open it.
func newBoard(shape boardShape) (*board, *os.File, error) {
	fd, err := unix.MemfdCreate("fleetload", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("sharing memory: %w", os.NewSyscallError("memfd_create", err))
	}
	file := os.NewFile(uintptr(fd), "board")
	if err := file.Truncate(int64(shape.size())); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("sharing memory: %w", err)
	}
	b, err := openBoard(shape, file)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return b, file, nil
}

// openBoard maps the board that file is of; the file may be closed then.
func openBoard(shape boardShape, file *os.File) (*board, error) {
	mapped, err := unix.Mmap(int(file.Fd()), 0, shape.size(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("sharing memory: %w", os.NewSyscallError("mmap", err))
	}
	b := &board{mapped: mapped}
	start := unsafe.Pointer(unsafe.SliceData(mapped))
	b.counters = unsafe.Slice((*workerCounters)(start), shape.Workers)
	at := shape.Workers * counterSize
	for _, events := range shape.Events {
		sets := bitWords(events)
		words := unsafe.Slice((*atomic.Int64)(unsafe.Add(start, at)), 1+events+2*sets)
		b.schedules = append(b.schedules, schedule{&words[0], words[1 : 1+events], bits(words[1+events : 1+events+sets]), bits(words[1+events+sets:])})
		at += len(words) * wordSize
	}
	return b, nil
}

// close unmaps the board, of which nobody may know any more.
func (b *board) close() { _ = unix.Munmap(b.mapped) }

// live is how many clients are subscribed, in all processes.
func (b *board) live() (count int64) {
	for i := range b.counters {
		count += b.counters[i].live.Load()
	}
	return count
}

// attempts adds up what the clients have tried, in all processes.
func (b *board) attempts() (a attempts) {
	for i := range b.counters {
		a.connected += b.counters[i].connected.Load()
		a.failed += b.counters[i].failed.Load()
	}
	return a
}

// delivered is how many events of a flow have arrived, as of the workers' last
// ticks.
func (b *board) delivered(flow int) (count int64) {
	for i := range b.counters {
		count += b.counters[i].delivered[flow].Load()
	}
	return count
}

// publish notes the next event's due time; it precedes the event's bytes.
func (s *schedule) publish(due int64) (seq int64) {
	seq = s.published.Load()
	s.dues[seq].Store(due)
	s.published.Store(seq + 1)
	return seq
}

// due returns when event seq was due; ok is false if it was never published.
func (s *schedule) due(seq int64) (due int64, ok bool) {
	if seq < 0 || seq >= s.published.Load() {
		return 0, false
	}
	return s.dues[seq].Load(), true
}

// layout says which channel of its flow an event belongs to: event seq is the
// one with index seq/channels in channel seq%channels.
type layout struct{ channels int64 }

func (l layout) seq(channel int32, index int64) int64 { return index*l.channels + int64(channel) }

func (l layout) place(seq int64) (channel int32, index int64) {
	return int32(seq % l.channels), seq / l.channels
}

// count is how many of the first published events belong to channel.
func (l layout) count(channel int32, published int64) int64 {
	return (published - int64(channel) + l.channels - 1) / l.channels
}
