package loadtest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

// A run of several processes has one that leads, with the publishers and a swarm, and
// members, each with a swarm. Orders and answers go over the member's standard input
// and output. Completions go through a pipe of their own. All processes see the board.

// Descriptors that a member is started with.
const (
	boardDescriptor      = 3
	completionDescriptor = 4
)

// memberOrder is an order on its way to a member. The first one brings the plan.
type memberOrder struct {
	ID    int
	Plan  *plan
	Order order
}

// memberAnswer is what comes back; several orders may be under way.
type memberAnswer struct {
	ID     int
	Error  string
	Answer *answer
}

// ServeMember is the main function of a process that a run with several
// processes has started as one of its members (see Common.Member). It returns
// when the leading process is done or gone.
func ServeMember() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	orders := gob.NewDecoder(os.Stdin)
	var first memberOrder
	if err := orders.Decode(&first); err != nil {
		return fmt.Errorf("member: reading the plan: %w", err)
	}
	if first.Plan == nil {
		return errors.New("member: this command is for fleetload's own use")
	}
	// A busy loop does not share its scheduler slot.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), first.Plan.workers()+1))
	boardFile := os.NewFile(boardDescriptor, "board")
	b, err := openBoard(first.Plan.shape(), boardFile)
	if err != nil {
		return fmt.Errorf("member: %w", err)
	}
	boardFile.Close()
	sink := newCompletionSink(os.NewFile(completionDescriptor, "completions"))
	s, err := newSwarm(first.Plan, b, sink.put)
	answers := &answerWriter{encoder: gob.NewEncoder(os.Stdout)}
	answers.write(memberAnswer{ID: first.ID, Error: errorText(err)})
	if err != nil {
		return nil // it was told
	}
	s.start()
	defer s.stop()
	return s.serve(ctx, orders, answers)
}

// serve carries out orders until there are no more.
func (s *swarm) serve(ctx context.Context, orders *gob.Decoder, answers *answerWriter) error {
	for {
		var o memberOrder
		switch err := orders.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("member: reading an order: %w", err)
		}
		go func() {
			a, err := s.do(ctx, o.Order)
			answers.write(memberAnswer{o.ID, errorText(err), a})
		}()
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// answerWriter writes answers, one at a time.
type answerWriter struct {
	mu      sync.Mutex
	encoder *gob.Encoder
}

func (w *answerWriter) write(a memberAnswer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.encoder.Encode(a) // if the reader has gone, the orders end
}

// completionSize is a completion's size on its way, in bytes.
const completionSize = 32

// maxCompletions is how many completions may wait to be written. Whoever finds
// it full waits: then the leading process is what is slow.
const maxCompletions = 1 << 14

// completionSink writes completions to the leading process, as many at a time as
// there are.
type completionSink struct{ waiting chan completion }

func newCompletionSink(to *os.File) *completionSink {
	s := &completionSink{make(chan completion, maxCompletions)}
	go func() {
		out := bufio.NewWriter(to)
		for c := range s.waiting {
			var record [completionSize]byte
			binary.NativeEndian.PutUint64(record[0:], uint64(c.flow))
			binary.NativeEndian.PutUint64(record[8:], uint64(c.seq))
			binary.NativeEndian.PutUint64(record[16:], uint64(c.first))
			binary.NativeEndian.PutUint64(record[24:], uint64(c.last))
			_, _ = out.Write(record[:])
			if len(s.waiting) == 0 {
				_ = out.Flush() // see answerWriter
			}
		}
	}()
	return s
}

func (s *completionSink) put(some []completion) {
	for _, c := range some {
		s.waiting <- c
	}
}

// readCompletions passes on what a member writes, until it ends.
func readCompletions(from io.Reader, put func([]completion)) {
	in := bufio.NewReader(from)
	var some []completion
	for {
		var record [completionSize]byte
		if _, err := io.ReadFull(in, record[:]); err != nil {
			return
		}
		some = append(some, completion{
			flow:  int32(binary.NativeEndian.Uint64(record[0:])),
			seq:   int64(binary.NativeEndian.Uint64(record[8:])),
			first: int64(binary.NativeEndian.Uint64(record[16:])),
			last:  int64(binary.NativeEndian.Uint64(record[24:])),
		})
		if in.Buffered() < completionSize {
			put(some)
			some = some[:0]
		}
	}
}
