package ingest

import (
	"fmt"
	"time"

	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/poller"
)

// A transaction of RESP (MULTI ... EXEC) is one request: its events are checked as
// they are queued, and EXEC publishes all of them or none. What is queued is
// bounded for the connection, for all connections together, and in time.

const (
	// maxQueuedEvents is how many events a transaction may have.
	maxQueuedEvents = 10_000
	// maxQueuedOthers is how many other commands it may have, and maxQueuedOther how
	// long each may be, in bytes: their replies are larger than those of events.
	maxQueuedOthers = 64
	maxQueuedOther  = 1 << 10
	// maxQueued is how long its commands may be together, in bytes; at least one
	// of the longest fits.
	maxQueued = 4 << 20
	// transactionTime is how long it may be open.
	transactionTime = time.Minute
)

// transactionState is where a connection is between MULTI and EXEC.
type transactionState uint8

const (
	transactionNone    transactionState = iota
	transactionQueuing                  // MULTI came
	transactionFailed                   // and then something that EXEC refuses all for
	transactionRunning                  // EXEC executes what is queued
)

// respTransaction is what was queued since MULTI.
type respTransaction struct {
	state  transactionState
	queue  *bytebufferpool.ByteBuffer // the commands as they came, or nil
	events int
	others int
	cost   int64         // of the events, in credits
	done   int           // how many bytes of the queue are executed
	since  time.Duration // MULTI came then; the loop's time
}

// open tells whether commands are queued.
func (tx *respTransaction) open() bool {
	return tx.state == transactionQueuing || tx.state == transactionFailed
}

func (tx *respTransaction) running() bool { return tx.state == transactionRunning }

// fail has EXEC refuse all, if commands are queued.
func (tx *respTransaction) fail() {
	if tx.open() {
		tx.state = transactionFailed
	}
}

func (p *publisher) respMulti(args [][]byte) verdict {
	if p.resp.tx.open() {
		return p.respError("ERR MULTI calls can not be nested")
	}
	p.resp.tx = respTransaction{state: transactionQueuing, since: p.ingest.Loop.Now()}
	p.ingest.transactions++
	return p.respAccept(args)
}

func (p *publisher) respDiscard(args [][]byte) verdict {
	if !p.resp.tx.open() {
		return p.respError("ERR DISCARD without MULTI")
	}
	p.endTransaction()
	return p.respAccept(args)
}

// respWatch accepts WATCH: there are no keys here that could change.
func (p *publisher) respWatch(args [][]byte) verdict {
	if p.resp.tx.open() {
		return p.respError("ERR WATCH inside MULTI is not allowed")
	}
	return p.respAccept(args)
}

// endTransaction forgets what is queued.
func (p *publisher) endTransaction() {
	tx := &p.resp.tx
	p.dropQueue()
	if tx.state != transactionNone {
		p.ingest.transactions--
	}
	*tx = respTransaction{}
}

func (p *publisher) dropQueue() {
	tx := &p.resp.tx
	if tx.queue != nil {
		p.ingest.port.queued.Add(-int64(len(tx.queue.B)))
		mem.GiveBuffer(tx.queue)
		tx.queue = nil
	}
}

// respQueue keeps a command for EXEC. One that could not be executed then is
// refused now, and with it the transaction.
func (p *publisher) respQueue(args [][]byte, raw []byte) verdict {
	in, tx := p.ingest, &p.resp.tx
	if tx.state == transactionFailed { // nothing of it will be executed
		return p.respond(publish.AppendRESPSimple(in.replies, "QUEUED"))
	}
	if refusal := p.queue(args, raw); refusal != nil {
		tx.fail()
		p.dropQueue()
		return p.respRefuse(refusal)
	}
	return p.respond(publish.AppendRESPSimple(in.replies, "QUEUED"))
}

func (p *publisher) queue(args [][]byte, raw []byte) error {
	in, tx := p.ingest, &p.resp.tx
	events, others, cost := tx.events, tx.others+1, tx.cost
	if isWord(args[0], "publish") || isWord(args[0], "spublish") {
		_, price, err := p.respEvent(args)
		if err != nil {
			return err
		}
		events, others, cost = tx.events+1, tx.others, tx.cost+price
	} else if len(raw) > maxQueuedOther || len(args) > 2 && isWord(args[0], "client") && isWord(args[1], "reply") || p.access.set != nil && respForStrangers(args[0]) {
		return &command.Error{Code: command.BadRequest, Message: "this command is not taken in a transaction"}
	}
	length := len(raw)
	if tx.queue != nil {
		length += len(tx.queue.B)
	}
	if events > maxQueuedEvents || others > maxQueuedOthers || length > max(maxQueued, p.lineLimit()) {
		return &command.Error{Code: command.LimitExceeded, Message: fmt.Sprintf(
			"a transaction may have %d events, %d other commands and %d bytes", maxQueuedEvents, maxQueuedOthers, max(maxQueued, p.lineLimit()))}
	}
	if all := in.port.queued.Add(int64(len(raw))); all > in.port.Settings.Config().Credits {
		in.port.queued.Add(-int64(len(raw)))
		return &command.Error{Code: command.LimitExceeded, Message: "too much is queued in the transactions of all publishers; try again later"}
	}
	tx.queue = mem.AppendBuffer(tx.queue, raw)
	tx.events, tx.others, tx.cost = events, others, cost
	return nil
}

// respExec executes what is queued. Credits and rates are for all of it at once. A
// large transaction takes several turns, for each of which it is called; nothing
// else of the publisher is handled before it is done.
func (p *publisher) respExec([][]byte) verdict {
	in, tx := p.ingest, &p.resp.tx
	switch tx.state {
	case transactionNone:
		return p.respError("ERR EXEC without MULTI")
	case transactionRunning:
		return p.runTransaction()
	case transactionFailed:
		p.endTransaction()
		return p.respError("EXECABORT Transaction discarded because of previous errors.")
	}
	if tx.events > 0 {
		refusal, ok := p.admit(tx.events, tx.cost)
		if refusal != nil {
			p.endTransaction()
			p.refused(refusal.Code, refusal.Message)
			in.replies = publish.AppendRESPError(in.replies, "EXECABORT Transaction discarded because of: "+respReason(refusal))
			return stepDone
		} else if !ok {
			return stepWait
		}
	}
	tx.state = transactionRunning
	in.replies = publish.AppendRESPArray(in.replies, tx.events+tx.others)
	return p.runTransaction()
}

// runTransaction continues to execute what is queued and has its credits, until the
// work of a turn is done.
func (p *publisher) runTransaction() verdict {
	in, tx := p.ingest, &p.resp.tx
	c := &in.queued
	for rest := tx.commands()[tx.done:]; len(rest) > 0; {
		// It was parsed before, under limits that may have become smaller.
		n, err := c.Parse(rest, publish.RESPLimits{Bulk: len(rest), Command: len(rest)})
		if n == 0 || err != nil {
			panic(fmt.Sprintf("gateway: a queued command cannot be read: %v", err))
		}
		rest = rest[n:]
		tx.done += n
		in.work += requestWork + limits.ByteWork*n
		spec, _ := respFind(c.Args)
		spec.run(p, c.Args)
		if len(rest) > 0 && in.workDone() {
			return stepCut
		}
	}
	if tx.cost > 0 { // a limit has become smaller since an event was queued
		p.account.Give(tx.cost)
	}
	p.endTransaction()
	return stepDone
}

// finishTransaction continues a transaction whose publisher is gone, because EXEC has
// accepted all of it.
func (p *publisher) finishTransaction() {
	in := p.ingest
	if !p.resp.tx.running() {
		return
	}
	in.beginWork()
	if p.runTransaction() == stepCut {
		in.postpone(p)
	}
	in.replies = in.replies[:0]
}

func (tx *respTransaction) commands() []byte {
	if tx.queue == nil {
		return nil
	}
	return tx.queue.B
}

// EndOldTransactions takes the room back that transactions hold which are open for too long. EXEC
// refuses them.
func (in *Loop) EndOldTransactions(now time.Duration) {
	in.Loop.EachConn(func(h poller.Handler) {
		if p := h.(*publisher); p.resp.tx.open() && now-p.resp.tx.since > transactionTime {
			p.resp.tx.fail()
			p.dropQueue()
		}
	})
}
