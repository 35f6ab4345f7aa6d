package gateway

import (
	"net/http"
	"time"
)

// dropUnread serves as next does, but waits for nothing that next has left
// unread of a request's body. net/http would, in the hope of another request, and
// whoever promises a body and sends none would hold a place for that long.
func dropUnread(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if r.ContentLength != 0 {
			// A connection that cannot have a deadline is not one of a network.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		}
	})
}

const (
	// adminBodyTimeout is for the body of a request to the admin port,
	// adminAnswerTimeout for taking an answer, of which profiles, which are
	// gathered for as long as is asked for, have more.
	adminBodyTimeout   = 5 * time.Second
	adminAnswerTimeout = 30 * time.Second
	profileTimeout     = 5 * time.Minute
)

// boundTimes gives each request of the admin port its times, so that nobody who
// neither sends nor reads keeps a place there. Timeouts of the server would hold
// for profiles too.
func boundTimes(body, answer time.Duration, next http.Handler) http.Handler {
	next = dropUnread(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, now := http.NewResponseController(w), time.Now()
		if r.ContentLength != 0 {
			_ = control.SetReadDeadline(now.Add(body)) // see dropUnread
		}
		_ = control.SetWriteDeadline(now.Add(answer))
		next.ServeHTTP(w, r)
	})
}
