package ingest

import (
	"container/list"
	"log/slog"
	"time"

	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

const (
	// RequestRoom is what a request to publish may have beyond its data, in
	// bytes: the channels' names and the rest of the text.
	RequestRoom = 64 << 10
	// repliesUnsent is how much in replies may wait for a publisher before
	// nothing more of it is handled or read, in bytes.
	repliesUnsent = 64 << 10
	// publisherPatience is how long a publisher may take to read our last
	// words and to close its side.
	publisherPatience = 10 * time.Second
)

// verdict is what became of one step through a publisher's input.
type verdict uint8

const (
	stepDone  verdict = iota // a request was handled; on to the next
	stepShort                // the input ends inside a request
	stepWait                 // no credit: the same step again later
	stepFull                 // too many replies wait: the next step when they have left
	stepCut                  // enough was handled in this turn: the next step in a later one
	stepAsk                  // the request waits for shards: the next step when it is answered
	stepClose                // the connection is to end behind the replies
)

// publisher is one connection to the publish port. Its ingest loop owns it.
type publisher struct {
	conn     poller.Conn
	ingest   *Loop
	account  *limits.Account
	protocol publish.Protocol
	lines    publish.Lines              // of NDJSON
	resp     respState                  // of RESP
	held     *bytebufferpool.ByteBuffer // input not yet handled, or nil; see input
	handled  int                        // bytes at the start of held that are handled
	unsent   poller.Unsent              // replies
	pending  pendingReplies             // that do not leave before an engine completes what they are about
	readAt   time.Duration              // when bytes last came; the loop's time
	waits    publisherWait              // why it is not read
	ended    bool                       // its FIN was seen, what it sent is not all handled
	remote   string                     // its address
	opened   time.Duration              // when it was accepted; the loop's time
	closing  bool                       // closes when its replies have left
	heard    bool                       // something has come
	access   access                     // what it may do

	place  *list.Element // in placed; nil once it ends
	placed *list.List
	origin *origin // by which places are counted

	placeOfOrigin *list.Element // in origin.used, if it is in places.used
	publishedAt   time.Duration // the loop's time
	since         time.Duration // when it connected, or its unfinished request began
	heldBytes     int           // as counted for all publishers
}

func newPublisher(in *Loop) *publisher {
	return &publisher{
		ingest:  in,
		account: in.port.Credits.NewAccount(&in.Starved, limits.ByPublisher),
		resp:    respState{version: publish.RESP2, id: in.port.ids.Add(1)},
	}
}

// lineLimit is the length of the longest request in NDJSON, in bytes.
func (p *publisher) lineLimit() int {
	if !p.admitted() {
		return strangerLine
	}
	return p.ingest.port.Settings.Config().MaxEvent + RequestRoom
}

// Received implements poller.Handler.
func (p *publisher) Received(b []byte) {
	p.readAt = p.ingest.Loop.Now()
	p.ingest.reads++
	p.ingest.counters.BytesIn += uint64(len(b))
	if p.closing {
		return
	}
	p.heard = true
	if p.waits != waitsForInput {
		p.hold(b)
		p.noteInput()
		return
	}
	if p.held == nil {
		p.since = p.readAt
	} else {
		p.hold(b)
		if len(p.input()) < p.resp.need {
			p.noteInput()
			return
		}
		b = p.input()
	}
	p.handle(b)
}

// PeerClosed implements poller.Handler. Everything that came before the FIN is
// handled and answered, a last line without its end included.
func (p *publisher) PeerClosed() {
	p.ended = true
	switch {
	case p.closing && p.answered():
		p.conn.Close(nil)
	case p.closing:
	case p.waits == waitsForInput:
		p.endInput()
	default: // resume will see to it
	}
}

func (p *publisher) Writable() {
	if err := p.unsent.Flush(&p.conn); err != nil {
		p.conn.Close(err)
		return
	}
	p.repliesLeft()
}

// repliesLeft goes on when what waited for replies to leave may.
func (p *publisher) repliesLeft() {
	switch {
	case p.unsent.Len() > 0:
	case p.closing && p.answered():
		p.said()
	case p.waits == waitsForReplies && p.pending.bytes <= repliesUnsent:
		p.Resume()
	}
}

func (p *publisher) Closed(err error) {
	p.keep(nil)
	if !p.resp.tx.running() { // else the rest of it is published, see resume
		p.endTransaction()
	}
	p.pending.abandon()
	p.unsent.Release()
	p.closing = true
	p.ingest.places.leave(p)
	p.ingest.counters.Publishers--
	p.ingest.port.connections.Add(-1)
	p.logGone(err)
}

// idle tells whether everything that came is handled and answered.
func (p *publisher) idle() bool { return p.waits == waitsForInput && p.answered() }

// answered tells whether all replies have left.
func (p *publisher) answered() bool { return p.unsent.Len() == 0 && p.pending.Len() == 0 }

// handle works through b, which is all input that is not handled yet, sends the
// answers in one write, and keeps what is left.
func (p *publisher) handle(b []byte) {
	p.lines.Limit = p.lineLimit() // which may have changed
	p.ingest.beginWork()
	events := p.ingest.counters.Events
	rest, outcome := p.steps(b)
	if p.ingest.counters.Events != events {
		p.ingest.places.published(p, p.ingest.Loop.Now())
	}
	if len(rest) < len(b) {
		p.since = p.ingest.Loop.Now() // what is unfinished now began with this read
	}
	p.keep(rest)
	p.sendReplies()
	p.ingest.wakes.Wake()
	switch {
	case outcome == stepClose:
		p.close()
	case p.closing: // sending has failed
	case outcome == stepAsk:
		p.wait(waitsForShards)
	case outcome == stepWait:
		p.wait(waitsForCredit)
	case p.resp.tx.running(): // it goes on even if the publisher reads no replies, or is gone
		p.wait(waitsForTurn)
	case p.repliesWait() > repliesUnsent:
		p.wait(waitsForReplies)
	case outcome == stepCut:
		p.wait(waitsForTurn)
	}
}

// steps handles request after request and returns what is left of b.
func (p *publisher) steps(b []byte) (rest []byte, outcome verdict) {
	if p.protocol == publish.Undecided {
		if b, outcome = p.sniff(b); outcome != stepDone {
			return b, outcome
		}
	}
	for len(b) > 0 {
		var n int
		if p.protocol == publish.NDJSON {
			n, outcome = p.stepLine(b)
		} else {
			n, outcome = p.stepRESP(b)
		}
		b = b[n:]
		p.ingest.work += stepWork + limits.ByteWork*n
		if outcome != stepDone {
			return b, outcome
		}
		if len(b) > 0 && p.ingest.workDone() {
			return b, stepCut
		}
		if len(p.ingest.replies)+p.pending.bytes > repliesUnsent {
			p.sendReplies()
			if p.repliesWait() > repliesUnsent {
				return b, stepFull
			}
		}
	}
	return nil, stepShort
}

// sniff decides which protocol is spoken.
func (p *publisher) sniff(b []byte) (rest []byte, outcome verdict) {
	protocol, skip := publish.Sniff(b)
	p.protocol = protocol
	p.lines.Discarded(b[:skip])
	switch protocol {
	case publish.Undecided:
		return b[skip:], stepShort // the start of a byte order mark, or nothing
	case publish.NDJSON, publish.RESP:
		return b[skip:], stepDone
	}
	message := strangers[protocol]
	p.ingest.replies = publish.AppendError(p.ingest.replies, command.ID{}, p.lines.Number()+1, command.BadRequest, message)
	p.refused(command.BadRequest, message)
	return nil, stepClose
}

// strangers are what connections are told that speak something else.
var strangers = map[publish.Protocol]string{
	publish.TLS:     "this port takes no TLS: connect without it (redis:// and not rediss://), or through a proxy that ends TLS",
	publish.UTF16:   "the text starts as UTF-16 does; send UTF-8",
	publish.Unknown: "send JSON lines, such as {\"channel\":\"news\",\"data\":{}}, or RESP, such as PUBLISH news {}",
}

// input is what is held and not handled yet.
func (p *publisher) input() []byte { return p.held.B[p.handled:] }

// hold appends b to what is held. What is handled makes room first.
func (p *publisher) hold(b []byte) {
	if p.handled > 0 {
		p.held.B = p.held.B[:copy(p.held.B, p.input())]
		p.handled = 0
	}
	p.held = mem.AppendBuffer(p.held, b)
}

// keep stores rest, or notes how much of what is held is handled, if rest is the end of
// that. It moves nothing: much input is handled in many turns.
func (p *publisher) keep(rest []byte) {
	switch {
	case len(rest) == 0:
		if p.held != nil {
			mem.GiveBuffer(p.held)
			p.held, p.handled = nil, 0
		}
	case p.held == nil:
		p.hold(rest)
	default:
		p.handled = len(p.held.B) - len(rest)
	}
	p.noteInput()
}

// Resume implements starver: it goes on with the input that had to wait, and
// then reads on.
func (p *publisher) Resume() {
	if p.closing {
		p.finishTransaction()
		return
	}
	p.waits = waitsForInput
	if p.held != nil {
		p.handle(p.input())
	}
	switch {
	case p.waits != waitsForInput || p.closing:
	case p.ended:
		p.endInput()
	default:
		p.readAt = p.ingest.Loop.Now() // what came meanwhile is not read yet
		p.conn.ResumeReading()
	}
}

// endInput handles a last line that has no end, and closes behind the replies.
func (p *publisher) endInput() {
	if p.protocol == publish.NDJSON && p.held != nil {
		before := p.lines
		line, status := p.lines.End(p.input())
		outcome := stepDone
		if status != publish.Incomplete {
			outcome = p.line(line, status)
		}
		switch outcome {
		case stepWait:
			p.lines = before
			p.wait(waitsForCredit)
			return
		case stepAsk:
			p.keep(nil)
			p.sendReplies()
			p.wait(waitsForShards)
			return
		}
	}
	p.sendReplies()
	p.close()
}

// refused counts an error that the publisher is told.
func (p *publisher) refused(code command.Code, message string) {
	in := p.ingest
	in.work += refusedWork
	in.counters.Errors[string(code)]++
	p.account.Sent.Errors++
	if key := (stats.IncidentKey{Metric: stats.MetricPublishErrors, Label: string(code)}); in.Samples.Wants(key) {
		in.Samples.Keep(key, append(p.Identity(), slog.String("message", stats.Clip(message)))...)
	}
}

// Identity is how log lines name a publisher. It implements starver.
func (p *publisher) Identity() []slog.Attr {
	attrs := []slog.Attr{slog.String("address", p.remote)}
	if g := p.access.holder; g != nil {
		attrs = append(attrs, slog.String("key", g.Name))
	}
	if p.resp.name != "" {
		attrs = append(attrs, slog.String("name", stats.Clip(p.resp.name)))
	}
	return attrs
}

// sendReplies sends what the loop's reply buffer gathered for this publisher, or keeps
// it behind replies that are pending.
func (p *publisher) sendReplies() {
	if p.pending.Len() > 0 {
		p.pending.keepBehind(p.ingest.replies)
		p.ingest.replies = p.ingest.replies[:0]
		return
	}
	p.send()
}

func (p *publisher) send() {
	in := p.ingest
	if len(in.replies) == 0 {
		return
	}
	in.counters.BytesOut += uint64(len(in.replies))
	if err := p.unsent.Send(&p.conn, in.replies); err != nil {
		p.conn.Close(err)
	}
	in.replies = in.replies[:0]
}

// close ends the connection once the replies have left. Until then what comes
// in is dropped.
func (p *publisher) close() {
	if p.closing {
		return
	}
	p.closing, p.waits = true, waitsForInput
	p.ingest.places.leave(p)
	p.keep(nil)
	p.ingest.closing.Add(p, p.ingest.Loop.Now())
	p.conn.ResumeReading()
	if p.answered() {
		p.said()
	}
}

// said is called when the last words have left.
func (p *publisher) said() {
	if p.ended {
		p.conn.Close(nil)
	} else {
		p.conn.CloseWrite()
	}
}
