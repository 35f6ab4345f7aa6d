package loadtest

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// crew is the swarms of all processes of a run.
type crew struct {
	local   *swarm
	members []*member
}

// member is a process that has a swarm, seen from the leading one.
type member struct {
	command *exec.Cmd
	ended   chan struct{} // closed when it gives no more answers

	mu      sync.Mutex
	encoder *gob.Encoder
	last    int // the latest order's
	waiting map[int]chan memberAnswer
}

var errMemberEnded = errors.New("a process of the harness has ended")

// startMember starts a process that takes part in the run. fail is called if it ends
// before it is stopped.
func startMember(ctx context.Context, command []string, p plan, boardFile *os.File, put func([]completion),
	fail context.CancelCauseFunc) (*member, error) {
	completions, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	defer theirs.Close()
	m := &member{ended: make(chan struct{}), waiting: make(map[int]chan memberAnswer)}
	m.command = exec.CommandContext(ctx, command[0], command[1:]...)
	m.command.Stderr = os.Stderr
	m.command.ExtraFiles = []*os.File{boardDescriptor - 3: boardFile, completionDescriptor - 3: theirs}
	orders, inErr := m.command.StdinPipe()
	answers, outErr := m.command.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		completions.Close()
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	if err := m.command.Start(); err != nil {
		completions.Close()
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	m.encoder = gob.NewEncoder(orders)
	go func() {
		defer completions.Close()
		readCompletions(completions, put)
	}()
	go func() {
		m.readAnswers(gob.NewDecoder(answers))
		fail(errMemberEnded)
		close(m.ended)
	}()
	_, err = m.ask(ctx, memberOrder{Plan: &p})
	return m, err
}

func (m *member) readAnswers(answers *gob.Decoder) {
	for {
		var a memberAnswer
		if answers.Decode(&a) != nil {
			return
		}
		m.mu.Lock()
		waiting := m.waiting[a.ID]
		delete(m.waiting, a.ID)
		m.mu.Unlock()
		waiting <- a
	}
}

// ask gives an order and waits for its answer.
func (m *member) ask(ctx context.Context, o memberOrder) (*answer, error) {
	reply := make(chan memberAnswer, 1)
	m.mu.Lock()
	m.last++
	o.ID = m.last
	m.waiting[o.ID] = reply
	err := m.encoder.Encode(o)
	m.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMemberEnded, err)
	}
	select {
	case a := <-reply:
		if a.Error != "" {
			return nil, errors.New(a.Error)
		}
		return a.Answer, nil
	case <-m.ended:
		return nil, errMemberEnded
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// stop ends the process; its clients' connections end with it.
func (m *member) stop() {
	_ = m.command.Process.Kill()
	<-m.ended
	_ = m.command.Wait()
}

// do lets all swarms carry out an order, and adds up their answers.
func (c *crew) do(ctx context.Context, o order) (*answer, error) {
	type outcome struct {
		answer *answer
		err    error
	}
	outcomes := make(chan outcome, 1+len(c.members))
	ask := func(do func() (*answer, error)) {
		go func() { a, err := do(); outcomes <- outcome{a, err} }()
	}
	ask(func() (*answer, error) { return c.local.do(ctx, o) })
	for _, m := range c.members {
		ask(func() (*answer, error) { return m.ask(ctx, memberOrder{Order: o}) })
	}
	total := &answer{}
	var failed error
	for range cap(outcomes) {
		got := <-outcomes
		if got.err != nil {
			failed = errors.Join(failed, got.err)
			continue
		}
		total.add(got.answer)
	}
	return total, failed
}

// stop ends all swarms.
func (c *crew) stop() {
	for _, m := range c.members {
		m.stop()
	}
	c.local.stop()
}
