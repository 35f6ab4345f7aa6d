package ingest

import (
	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stream"
)

// reply is what the answer to a request of a publisher needs to know of it.
type reply struct {
	id     command.ID // of NDJSON
	line   uint64     // its number there
	silent bool       // RESP: CLIENT REPLY wants none
}

// pendingReply is a reply that an engine keeps waiting.
type pendingReply struct {
	reply
	request *stream.Request
	behind  []byte // the replies to what came after it
}

// pendingReplies are those of one publisher, in the order of its requests. Credits
// bound how many there are: each has those of its events.
type pendingReplies struct {
	mem.Ring[*pendingReply]
	bytes int // that wait behind them
}

// keepBehind has replies wait for those that are pending.
func (w *pendingReplies) keepBehind(replies []byte) {
	last := *w.At(w.Len() - 1)
	last.behind = append(last.behind, replies...)
	w.bytes += len(replies)
}

// abandon is for a publisher that is gone.
func (w *pendingReplies) abandon() {
	for w.Len() > 0 {
		if r := w.Pop().request; !r.Settled() {
			r.Abandon()
		}
	}
	w.bytes = 0
}

// publish submits an event to each channel of a request that has its credits, under conditions if
// they are not nil, and answers it: at once, as a rule.
func (p *publisher) publish(to reply, under *command.Conditions, channels [][]byte, key, data []byte) {
	in, r := p.ingest, p.ingest.submit
	in.counters.Requests++
	r.Begin(p, p.account, in.Loop.Now())
	r.Require(under)
	for _, channel := range channels {
		r.Submit(channel, key, data)
		in.work += eventWork
	}
	if r.Settled() {
		p.answer(to, r)
		return
	}
	in.submit = r.Keep()
	if p.closing { // this is the rest of its transaction
		r.Abandon()
		return
	}
	if !to.silent {
		p.sendReplies() // what came before
	}
	p.pending.Push(&pendingReply{reply: to, request: r})
}

// answer answers a request with what became of it.
func (p *publisher) answer(to reply, r *stream.Request) {
	in, refusal := p.ingest, r.Refusal()
	if refusal != nil {
		p.refused(refusal.Code, refusal.Message)
	}
	switch {
	case p.protocol == publish.NDJSON && refusal != nil:
		in.replies = publish.AppendRefusal(in.replies, to.id, to.line, refusal)
	case p.protocol == publish.NDJSON:
		p.answerLine(to.id, r.Results)
	case to.silent:
	case refusal != nil:
		in.replies = publish.AppendRESPError(in.replies, "ERR "+refusal.Message)
	default:
		in.replies = publish.AppendRESPInt(in.replies, int64(r.Results[0].At.Subscribers))
	}
}

// Post implements stream.Submitter.
func (p *publisher) Post(f func()) { p.ingest.Post(f) }

func (p *publisher) Settled(*stream.Request) {
	p.ingest.places.published(p, p.ingest.Loop.Now())
	p.answerSettled()
	p.repliesLeft()
}

// answerSettled answers those that have waited longest, up to one that is still
// pending.
func (p *publisher) answerSettled() {
	in, w := p.ingest, &p.pending
	for w.Len() > 0 && (*w.At(0)).request.Settled() {
		first := w.Pop()
		p.answer(first.reply, first.request)
		in.replies = append(in.replies, first.behind...)
		w.bytes -= len(first.behind)
	}
	p.send()
}

// giveUp answers pending requests with an error: their events may have been published
// or not.
func (p *publisher) giveUp() {
	for i := range p.pending.Len() {
		if r := (*p.pending.At(i)).request; !r.Settled() {
			r.Abandon()
		}
	}
	p.answerSettled()
}

// cutOff ends the connection once the replies have left, without waiting for an
// engine.
func (p *publisher) cutOff() {
	waits := p.pending.Len() > 0
	p.giveUp()
	if waits && p.closing {
		p.repliesLeft()
	}
	p.close()
}

// repliesWait is how much in replies waits, in bytes.
func (p *publisher) repliesWait() int { return p.unsent.Len() + p.pending.bytes }
