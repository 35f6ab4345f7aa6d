package admin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

const (
	// laneWait is how long a request to the admin port may wait for its lane. Then it
	// is refused. So a client that floods a lane gets few refusals.
	laneWait = 2 * time.Second
	// turnWait is how long a request may wait for its turn.
	turnWait = 10 * time.Second
	// turnRest is how long the lane of turns rests after each answer, as a multiple of
	// the time that the answer took. So these answers take a quarter of one processor.
	turnRest = 3
	// longestTurnRest bounds the rest after an answer that took long only because the
	// machine is busy. The requests behind it must not wait for that.
	longestTurnRest = 500 * time.Millisecond
)

// lanes bound how much of the processors the admin port takes from the clients. Each
// request belongs to one lane, and waits when others have used up the lane. Health and
// metrics have lanes of their own, so that a flood of one kind holds up no other kind.
type lanes struct {
	health, metrics, publishing, profiles, others *lane
	lists                                         *turns
}

func newLanes() *lanes {
	return &lanes{
		health:     newLane(500, 100),
		metrics:    newLane(50, 50),
		publishing: newLane(2000, 500),
		profiles:   newLane(5, 40),
		others:     newLane(200, 200),
		lists:      &turns{free: make(chan struct{}, 1)},
	}
}

// lane admits requests at a rate, in the order in which they came. Any goroutine
// may use it.
type lane struct{ limiter *rate.Limiter }

func newLane(perSecond, burst int) *lane {
	return &lane{rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// bound serves as next does, when the lane admits the request.
func (l *lane) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), laneWait)
		defer cancel()
		if l.limiter.Wait(ctx) != nil { // it would take longer
			<-ctx.Done()
			refuseLane(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// turns serves requests one at a time, with a rest after each in proportion to its
// cost. Any goroutine may use it.
type turns struct{ free chan struct{} }

// bound serves requests by next, in turn. It reads the body before the turn and sends
// the answer after it, so that a slow client holds no turn.
func (t *turns) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(w, r, bodyLimit)
		if err != nil {
			answerError(w, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		ctx, cancel := context.WithTimeout(r.Context(), turnWait)
		defer cancel()
		select {
		case t.free <- struct{}{}:
		case <-ctx.Done():
			refuseLane(w, r)
			return
		}
		made, began := newMadeAnswer(), time.Now()
		defer func() { // also if next panics
			time.AfterFunc(min(turnRest*time.Since(began), longestTurnRest), func() { <-t.free })
			made.sendTo(w)
		}()
		next.ServeHTTP(made, r)
	})
}

// refuseLane answers a request that has waited too long, and ends its connection:
// requests behind it there have waited as long.
func refuseLane(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	answerRefusal(w, r, errAPIBusy)
}
