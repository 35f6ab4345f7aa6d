package ingest

import (
	"context"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
)

// UserRequest is what a publisher asks about a user.
type UserRequest struct {
	User string
	// Disconnect is the order to disconnect the user, as a JSON object, and Unsubscribe the
	// channel from which the user is unsubscribed. Without either, the user's connections are
	// listed.
	Disconnect  []byte
	Unsubscribe string
	From, Key   string // the publisher's address, and the name of its key or empty
}

const (
	// userPatience is how long a request about a user may take, the wait for its turn
	// included.
	userPatience = 5 * time.Second
	// userRest is how long such requests rest after each, as a multiple of the time that it
	// took: each looks at all clients. longestUserRest bounds it where only the machine is busy.
	userRest        = 3
	longestUserRest = 500 * time.Millisecond
)

var (
	errNotForUsers = &command.Error{Code: command.PermissionDenied, Message: "this key is not for requests about users (users: true)"}
	errUsersBusy   = &command.Error{Code: command.NotAvailable, RetryAfter: time.Second, Message: "too many requests about users wait; try again later"}
)

// userLine handles a line about a user. All of them share one turn, so the publisher is not
// read until its own is over.
func (p *publisher) userLine(r *publish.Request) verdict {
	in := p.ingest
	if h := p.access.holder; h != nil && !h.Users {
		p.refuseLine(r.ID, errNotForUsers)
		return stepDone
	}
	if refusal, _ := p.admit(1, 0); refusal != nil {
		p.refuseLine(r.ID, refusal)
		return stepDone
	}
	in.counters.Requests++
	request := UserRequest{User: string(r.User), Disconnect: append([]byte(nil), r.Disconnect...), Unsubscribe: string(r.Unsubscribe), From: p.remote, Key: p.keyName()}
	to := reply{id: r.ID, line: p.lines.Number()}
	go func() {
		answer, err := in.port.doUser(request)
		in.Post(func() { p.answerUser(to, answer, err) })
	}()
	return stepAsk
}

// doUser does what is asked about a user, in its turn.
func (port *Port) doUser(r UserRequest) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), userPatience)
	defer cancel()
	select {
	case port.UserTurn <- struct{}{}:
	case <-ctx.Done():
		return nil, errUsersBusy
	case <-port.Stopping:
		return nil, errStopped
	}
	began := time.Now()
	defer func() {
		time.AfterFunc(min(userRest*time.Since(began), longestUserRest), func() { <-port.UserTurn })
	}()
	return port.Users(ctx, r)
}

// answerUser answers a line about a user, and goes on with the publisher's input.
func (p *publisher) answerUser(to reply, answer []byte, err error) {
	if p.closing {
		return
	}
	in := p.ingest
	switch {
	case err != nil:
		refusal := command.RefusalOf(err)
		p.refused(refusal.Code, refusal.Message)
		in.replies = publish.AppendRefusal(in.replies, to.id, to.line, refusal)
	case to.id.Set:
		in.replies = publish.AppendUserAnswer(in.replies, to.id, answer)
	}
	p.sendReplies()
	if !p.closing {
		p.Resume()
	}
}
