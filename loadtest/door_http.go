package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
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
	bodies     chan []byte
	waiting    atomic.Int64 // bytes of bodies that were not yet answered
	batch      int          // bytes since the last flush
}

const (
	// maxBodies is more than may wait to be sent: a publisher stops at maxUnsent
	// bytes, and no body is smaller than MinPayload.
	maxBodies = 2 * (maxUnsent + maxBatch) / MinPayload
	// requestTimeout is how long the server may take to answer.
	requestTimeout = 10 * time.Second
)

// newHTTPDoor makes a door to the API at base, a URL without a path of its own.
func newHTTPDoor(l *publishing, base string) (*httpDoor, error) {
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
		bodies:     make(chan []byte, maxBodies),
	}, nil
}

// open has nothing to open: the first request connects.
func (d *httpDoor) open(p *publisher) error {
	d.publisher = p
	go d.run()
	p.doorOpened()
	return nil
}

func (d *httpDoor) publish(channel, key string, data []byte) {
	body := d.publishing.profile.AppendPublish(nil, channel, key, data)
	d.batch += len(body)
	d.waiting.Add(int64(len(body)))
	d.bodies <- body
}

func (d *httpDoor) batched() int  { return d.batch }
func (d *httpDoor) flush()        { d.batch = 0 }
func (d *httpDoor) unsent() int   { return int(d.waiting.Load()) }
func (d *httpDoor) copies() int64 { return 0 }

// close gives up what is not sent.
func (d *httpDoor) close() { d.cancel() }

// run makes the requests until close.
func (d *httpDoor) run() {
	for {
		var body []byte
		select {
		case body = <-d.bodies:
		case <-d.ctx.Done():
			d.client.CloseIdleConnections()
			return
		}
		err := d.post(body)
		d.waiting.Add(-int64(len(body)))
		d.publishing.mail.Post(letter{run: func() {
			if err != nil {
				d.publisher.refused(err.Error())
			}
		}})
		d.publishing.loop.Wake()
	}
}

func (d *httpDoor) post(body []byte) error {
	r, err := http.NewRequestWithContext(d.ctx, d.request.Method, d.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for _, h := range d.request.Headers {
		r.Header.Set(h.Name, h.Value)
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
			return err
		}
		return fmt.Errorf("%s: %.100s", answer.Status, text)
	}
	if reason, refused := d.codec.PublishRefused(text); refused {
		return fmt.Errorf("refused: %s", reason)
	}
	return nil
}
