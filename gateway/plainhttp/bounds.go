package plainhttp

import (
	"io"
	"net/http"
	"time"
)

// requestBody remembers whether all of a request's body was read.
type requestBody struct {
	io.ReadCloser
	control *http.ResponseController
	read    bool
}

// Read implements io.Reader. With the end of the body its deadline ends:
// net/http now watches the connection, and would give it up at the deadline.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && !b.read {
		b.read = true
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// BoundBody serves as next does, but waits only so long for a request's body,
// and not at all for what next has left unread of it. net/http would, in the hope
// of another request, and whoever promises a body and sends none would hold a
// place for that long.
func BoundBody(patience time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		// Only connections outside of a network have no deadlines.
		body := &requestBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
		r.Body = body
		_ = body.control.SetReadDeadline(time.Now().Add(patience))
		next.ServeHTTP(w, r)
		if !body.read {
			_ = body.control.SetReadDeadline(time.Now())
		}
	})
}

// BoundAnswer gives whoever asks only so long to take the answer. A timeout of
// the server would hold for all requests alike.
func BoundAnswer(patience time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
		next.ServeHTTP(w, r)
	})
}
