package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"fleetcast/loadtest/profile"
)

// httpDoor publishes by one HTTP request an event. One goroutine makes them,
// one after the other on a connection that stays open, so that they keep their
// order.
type httpDoor struct {
	publishing *publishing
	publisher  *publisher
	url        string
	request    profile.Request
	codec      *profile.Codec // of the goroutine that makes the requests
	client     *http.Client
	ctx        context.Context // ends with close
	cancel     context.CancelFunc
	bodies     chan httpEvent
	unanswered []int64      // events, by the publishing loop's goroutine; noEvent: a probe
	waiting    atomic.Int64 // bytes of bodies that were not yet answered
	batch      int          // bytes since the last flush
}

// httpEvent is an event on its way to the goroutine that makes the requests.
type httpEvent struct {
	seq  int64
	body []byte
}

const (
	// maxBodies is more than may wait to be sent: a publisher stops at maxUnsent
	// bytes, and no body is smaller than MinPayload.
	maxBodies = 2 * (maxUnsent + maxBatch) / MinPayload
	// requestTimeout is how long the server may take to answer.
	requestTimeout = 10 * time.Second
)

// newHTTPDoor makes a door to the API at base, a URL without a path of its own.
func newHTTPDoor(l *publishing, base string) *httpDoor {
	request := l.profile.Request()
	ctx, cancel := context.WithCancel(context.Background())
	return &httpDoor{
		ctx:        ctx,
		cancel:     cancel,
		publishing: l,
		url:        base + request.Path,
		request:    request,
		codec:      l.profile.NewCodec(),
		client:     newHTTPClient(),
		bodies:     make(chan httpEvent, maxBodies),
	}
}

// open has nothing to open: the first request connects.
func (d *httpDoor) open(p *publisher) error {
	d.publisher = p
	go d.run()
	p.doorOpened()
	return nil
}

func (d *httpDoor) publish(seq int64, channel, key string, data []byte) {
	body := d.publishing.profile.AppendPublish(nil, channel, key, data)
	d.batch += len(body)
	d.waiting.Add(int64(len(body)))
	d.unanswered = append(d.unanswered, seq)
	d.bodies <- httpEvent{seq, body}
}

func (d *httpDoor) batched() int { return d.batch }
func (d *httpDoor) flush()       { d.batch = 0 }
func (d *httpDoor) unsent() int  { return int(d.waiting.Load()) }
func (d *httpDoor) copies() int  { return 0 }

// ended implements door: later requests open new connections.
func (d *httpDoor) ended() bool { return false }

// pending implements door: every request is answered, one after the other.
func (d *httpDoor) pending(each func(seq int64) bool) {
	for _, seq := range slices.Backward(d.unanswered) {
		if seq != noEvent && !each(seq) {
			return
		}
	}
}

// close drops what is not sent.
func (d *httpDoor) close() { d.cancel() }

// run makes the requests until close.
func (d *httpDoor) run() {
	for {
		var e httpEvent
		select {
		case e = <-d.bodies:
		case <-d.ctx.Done():
			d.client.CloseIdleConnections()
			return
		}
		err := d.post(e.body)
		d.waiting.Add(-int64(len(e.body)))
		d.publishing.mail.Post(letter{run: func() { d.answered(e.seq, err) }})
		d.publishing.loop.Wake()
	}
}

// answered is called with the outcome of the first request that has none.
func (d *httpDoor) answered(seq int64, err error) {
	d.unanswered = d.unanswered[1:]
	var refusal *httpRefusal
	switch {
	case err == nil:
	case errors.As(err, &refusal):
		d.publisher.refused(seq, refusal.text)
	default:
		d.publisher.notTaken(seq, err.Error())
	}
}

// httpRefusal is an answer that says no.
type httpRefusal struct{ text string }

func (r *httpRefusal) Error() string { return r.text }

func refusef(format string, values ...any) error { return &httpRefusal{fmt.Sprintf(format, values...)} }

func (d *httpDoor) post(body []byte) error {
	r, err := http.NewRequestWithContext(d.ctx, d.request.Method, d.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for _, h := range d.request.Headers {
		r.Header.Set(h.Name, h.Value)
	}
	if key := d.publishing.key; key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := d.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	if err != nil {
		return err
	}
	if answer.StatusCode != d.request.Status {
		if err := redirected(answer); err != nil {
			return refusef("%v", err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return refusef("%s", answer.Status)
		}
		return refusef("%s: %.100s", answer.Status, text)
	}
	if reason, refused := d.codec.PublishRefused(text); refused {
		return refusef("refused: %s", reason)
	}
	return nil
}
