package ingest

import (
	"fmt"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/stream"
)

// stepLine handles the next line of NDJSON.
func (p *publisher) stepLine(b []byte) (n int, outcome verdict) {
	before := p.lines
	line, n, status := p.lines.Next(b)
	switch status {
	case publish.Incomplete:
		return n, stepShort
	case publish.Blank:
		return n, stepDone
	}
	switch outcome = p.line(line, status); outcome {
	case stepWait:
		p.lines = before
		return 0, stepWait
	case stepClose, stepAsk:
		return n, outcome
	}
	return n, stepDone
}

// line handles one line: it is published or refused, or must wait for credit.
func (p *publisher) line(line []byte, status publish.Status) verdict {
	in := p.ingest
	in.work += requestWork
	if !p.admitted() {
		return p.strangerLine(line, status)
	}
	if status == publish.TooLong {
		p.refuseLine(command.ID{}, &command.Error{
			Code:    command.LimitExceeded,
			Message: fmt.Sprintf("the line is longer than %d bytes", p.lines.Limit),
		})
		return stepDone
	}
	r := &in.request
	if err := r.Parse(line, in.port.Settings.RequestLimits()); err != nil {
		if r.IsBarrier() {
			p.answerRefusal(r.ID, command.RefusalOf(err)) // not the publisher's mistake, so not counted
		} else {
			p.refuseLine(r.ID, err)
		}
		return stepDone
	}
	if r.IsAuth() {
		return p.takeLineKey(r)
	}
	if r.IsUser() {
		return p.userLine(r)
	}
	if refusal := p.mayPublishAll(r.Channels); refusal != nil {
		p.refuseLine(r.ID, refusal)
		return stepDone
	}
	if refusal, ok := p.admit(len(r.Channels), requestCost(r)); refusal != nil {
		p.refuseLine(r.ID, refusal)
		return stepDone
	} else if !ok {
		return stepWait
	}
	p.publish(reply{id: r.ID, line: p.lines.Number()}, r.Conditions(), r.Channels, r.Key, r.Data)
	return stepDone
}

// answerLine answers a request that was published. An id asks for the answer.
func (p *publisher) answerLine(id command.ID, results []stream.Result) {
	in := p.ingest
	if !id.Set {
		return
	}
	in.replies = publish.AppendResultsBegin(in.replies, id)
	for i := range results {
		at := &results[i].At
		if at.Duplicate {
			in.replies = publish.AppendDuplicate(in.replies, results[i].Channel, at.Epoch[:], at.Offset, uint64(at.Subscribers))
			continue
		}
		in.replies = publish.AppendResult(in.replies, results[i].Channel, at.Epoch[:], at.Offset, uint64(at.Subscribers))
	}
	if left, limited := p.rateLeft(); limited {
		in.replies = publish.AppendResultsEndRate(in.replies, left)
	} else {
		in.replies = publish.AppendResultsEnd(in.replies)
	}
}

// refuseLine answers a request with an error, which is a *command.Error.
func (p *publisher) refuseLine(id command.ID, err error) {
	refusal := command.RefusalOf(err)
	p.refused(refusal.Code, refusal.Message)
	p.answerRefusal(id, refusal)
}

func (p *publisher) answerRefusal(id command.ID, refusal *command.Error) {
	in := p.ingest
	in.replies = publish.AppendRefusal(in.replies, id, p.lines.Number(), refusal)
}
