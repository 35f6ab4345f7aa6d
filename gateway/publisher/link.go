package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudwego/netpoll"
)

// errPeerClosed is the cause of a disconnection that the gateway or the network
// began.
var errPeerClosed = errors.New("connection closed by the gateway")

// errWriteTimeout is the cause of a disconnection after Config.WriteTimeout.
var errWriteTimeout = errors.New("the gateway did not take a write in time")

// greeting shows the gateway at once that this is a publisher: it ends connections
// on which nothing comes for long. A space before a request means nothing.
const greeting = " "

// keptPartial is how many bytes a link keeps for the beginnings of replies; the
// memory of a longer one is given back.
const keptPartial = 4 << 10

// link is one connection to the gateway, from its opening to its end. It ends
// once, in fail; the next connection is another link.
type link struct {
	p    *Publisher
	conn netpoll.Connection

	wake   chan struct{} // holds a token when an idle writer has work
	broken chan struct{} // closed by fail
	opened time.Time

	// Guarded by Publisher.mu.
	pending   []byte // requests that the writer has not taken
	spare     []byte // the other buffer, while the writer does not use it
	idle      bool   // the writer waits for wake
	ended     bool   // fail has run
	inFlight  requestQueue
	reserved  room   // granted to waiters that have not used it yet
	lines     uint64 // requests put into pending
	sends     uint64 // those of them without an id
	sendsBase uint64 // ordinal of the last Send before this link
	answered  uint64 // requests with an id that were answered
	settled   uint64 // number of the last line that the gateway surely handled
	rateLeft  int    // by the last reply, or -1
	stranger  error  // the refusal of a request for want of a key, which ends the link

	// Owned by the reply callback, which netpoll never runs twice at a time.
	partial []byte // of a reply whose newline has not come
	decoder replyDecoder
	epochs  epochCache

	// writing is held across a write. After released nothing may touch the
	// connection's output buffer, which netpoll takes apart unguarded.
	writing  sync.Mutex
	released bool
	// overdue aborts the link when a write takes too long. netpoll's own
	// timeout is no use: it needs the peer's address, which a connection made
	// from a descriptor lacks.
	overdue *time.Timer
}

func newLink(p *Publisher, conn netpoll.Connection) *link {
	l := &link{
		p: p, conn: conn, opened: time.Now(), rateLeft: -1,
		wake: make(chan struct{}, 1), broken: make(chan struct{}),
		pending: []byte(greeting),
	}
	if p.cfg.Key != nil {
		l.lines, l.answered, l.settled = authLines, authLines, authLines
	}
	l.overdue = time.AfterFunc(p.cfg.WriteTimeout, func() { l.abort(errWriteTimeout) })
	l.overdue.Stop()
	return l
}

// start sets the callbacks. The link must have been
// made known to the Publisher before, for it may fail at once.
func (l *link) start() {
	_ = l.conn.AddCloseCallback(l.onClose)
	_ = l.conn.SetOnRequest(l.onReplies)
	if !l.conn.IsActive() {
		// It ended before it had callbacks.
		l.abort(errPeerClosed)
	}
}

// abort ends the link because of cause. Publisher.mu must not be held.
func (l *link) abort(cause error) {
	l.fail(cause)
	_ = l.conn.Close()
}

// onClose is netpoll's close callback. It runs after the last reply was handled
// and before the buffers are taken apart.
func (l *link) onClose(netpoll.Connection) error {
	l.fail(errPeerClosed)
	// The connection is closing, so a write under way returns at once.
	l.writing.Lock()
	l.released = true
	l.writing.Unlock()
	return nil
}

// fail ends the link: whatever is unanswered fails. Only the first call counts.
func (l *link) fail(cause error) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.broken)

	err := fmt.Errorf("%w: %w", ErrDisconnected, cause)
	if errors.Is(cause, ErrClosed) {
		err = cause
	}
	for l.inFlight.len() > 0 {
		r := *l.inFlight.front()
		l.inFlight.pop()
		r.call.fail(r.index, err)
	}
	if handled := l.sendsHandled(); handled < l.sends {
		p.sendsFailed(&SendError{l.sendsBase + handled + 1, l.sendsBase + l.sends, err}, true)
	}
	if l.stranger != nil && errors.Is(cause, errPeerClosed) {
		cause = l.stranger
	}
	p.unlink(l, cause)
}

// sendsHandled returns how many of the link's Sends the gateway surely handled:
// of the lines up to the last settled one, those without an id. Publisher.mu is
// held.
func (l *link) sendsHandled() uint64 { return l.settled - l.answered }

// put begins a request of c, or of a Send if c is nil; its body must be appended
// to pending next. Publisher.mu is held, and there is room.
func (l *link) put(c *call, index int) {
	l.lines++
	if c == nil {
		l.sends++
		l.p.sends++
		l.pending = appendHead(l.pending, 0)
		return
	}
	l.pending = appendHead(l.pending, l.lines)
	l.inFlight.push(request{l.lines, c, index})
}

// putBarrier puts a whole request that publishes nothing. Publisher.mu is held.
func (l *link) putBarrier(c *call) {
	l.lines++
	l.pending = appendBarrier(l.pending, l.lines)
	l.inFlight.push(request{l.lines, c, 0})
	l.rouse()
}

// rouse wakes the writer if it waits for work. Publisher.mu is held.
func (l *link) rouse() {
	if l.idle {
		l.idle = false
		l.wake <- struct{}{}
	}
}

// write writes what callers put, until the link ends. While one buffer is being
// written, callers fill the other, so that under load a write carries many
// requests.
func (l *link) write() {
	for {
		b := l.take()
		if b == nil {
			return
		}
		if err := l.writeBuffer(b); err != nil {
			l.abort(fmt.Errorf("writing to the gateway: %w", err))
			return
		}
		l.p.mu.Lock()
		l.spare = b[:0]
		l.p.mu.Unlock()
	}
}

// take waits for work and returns it, or nil when the link has ended.
func (l *link) take() []byte {
	for {
		l.p.mu.Lock()
		if l.ended {
			l.p.mu.Unlock()
			return nil
		}
		if len(l.pending) > 0 {
			b := l.pending
			l.pending, l.spare = l.spare, nil
			l.p.admit()
			l.p.mu.Unlock()
			return b
		}
		l.idle = true
		l.p.mu.Unlock()
		select {
		case <-l.wake:
		case <-l.broken:
		}
	}
}

// writeBuffer returns when the kernel has taken all of b. Above 4 KiB netpoll
// refers to b instead of copying it: after an error b may still be in use.
func (l *link) writeBuffer(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.released {
		return errPeerClosed
	}
	w := l.conn.Writer()
	if _, err := w.WriteBinary(b); err != nil {
		return err
	}
	l.overdue.Reset(l.p.cfg.WriteTimeout)
	defer l.overdue.Stop()
	return w.Flush()
}

// onReplies is netpoll's callback for received bytes. It takes them all, and
// never waits.
func (l *link) onReplies(_ context.Context, conn netpoll.Connection) error {
	r := conn.Reader()
	b, err := r.Next(r.Len())
	if err == nil {
		err = l.consume(b)
	}
	if err != nil {
		l.abort(err)
		return err
	}
	return r.Release()
}

// consume handles the replies in b, which may begin and end within one.
func (l *link) consume(b []byte) error {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		length := end
		if end < 0 {
			length = len(b)
		}
		if len(l.partial)+length > maxReplyLength {
			return fmt.Errorf("%w: line of more than %d bytes", ErrProtocol, maxReplyLength)
		}
		if end < 0 {
			l.partial = append(l.partial, b...)
			break
		}
		line := b[:end]
		if len(l.partial) > 0 {
			l.partial = append(l.partial, line...)
			line = l.partial
		}
		if err := l.handle(line); err != nil {
			return err
		}
		l.partial = l.partial[:0]
		b = b[end+1:]
	}
	if len(l.partial) == 0 && cap(l.partial) > keptPartial {
		l.partial = nil
	}
	return nil
}

// handle settles what one reply is about.
func (l *link) handle(line []byte) error {
	r, err := l.decoder.decode(line)
	if err != nil {
		return err
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.ended {
		return nil
	}
	var oldest uint64 // line of the oldest request that awaits a reply; 0 if none does
	if l.inFlight.len() > 0 {
		oldest = l.inFlight.front().line
	}
	switch {
	case r.ID == 0 && r.Line != oldest:
		return l.refuseSend(r)
	case r.ID != 0 && r.ID != oldest:
		return fmt.Errorf("%w: id %d is not that of the oldest request", ErrProtocol, r.ID)
	}
	// The refusal of a request names its line if the gateway could not read the
	// id, as in a line that is too long.
	head := *l.inFlight.front()
	if err := head.call.answer(head.index, r, &l.epochs); err != nil {
		return err
	}
	l.inFlight.pop()
	l.answered++
	l.settled = head.line
	if r.Error.Code == CodeAuthenticationRequired {
		l.stranger = r.refusal()
	}
	switch {
	case r.RateLeft != nil:
		l.rateLeft = max(*r.RateLeft, 0)
	case len(r.Results) > 0:
		l.rateLeft = -1
	}
	l.p.admit()
	return nil
}

// refuseSend handles the refusal of a Send, which names its line. Publisher.mu
// is held.
func (l *link) refuseSend(r *reply) error {
	last := l.lines
	if l.inFlight.len() > 0 {
		last = l.inFlight.front().line - 1
	}
	if r.Line <= l.settled && r.Error.Code == CodeAuthenticationRequired {
		return fmt.Errorf("%w: %w", errPeerClosed, r.refusal()) // the key was removed
	}
	if r.Line <= l.settled || r.Line > last {
		return fmt.Errorf("%w: error about line %d, which awaits none", ErrProtocol, r.Line)
	}
	l.settled = r.Line
	ordinal := l.sendsBase + l.sendsHandled()
	l.p.sendsFailed(&SendError{ordinal, ordinal, r.refusal()}, false)
	return nil
}
