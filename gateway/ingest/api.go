package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// errNoCredit is answered where the publish port would stop reading.
var errNoCredit = &command.Error{
	Code: command.NotAvailable, RetryAfter: time.Second,
	Message: "too much is under way (--credits, --publisher-credits); nothing was published, try again later",
}

var errStopped = &command.Error{Code: command.NotAvailable, Message: "the gateway is stopping"}

// submitPatience is how long a request waits for what completes its events.
const submitPatience = 5 * time.Second

var publishKeys = []string{"id", "channel", "channels", "key", "data", "idempotency", "expect"}

// API publishes for POST /api/publish. All of its requests are one publisher,
// with one share of the credits. Unlike publishers of the publish port it does not wait
// for credit. Any goroutine may call it.
type API struct {
	port *Port

	mu      sync.Mutex
	account *limits.Account
	from    string // address of the last request
	ended   bool
	request publish.Request
	wakes   stream.WakeSet
	submit  *stream.Request

	counters stats.Publish // added to those of the publish port
	samples  stats.Samples
}

// NewAPI makes the publisher behind the API of a port.
func NewAPI(port *Port) *API {
	p := &API{
		port:     port,
		account:  &limits.Account{Credits: port.Credits}, // never waits
		wakes:    stream.NewWakeSet(port.Settings.Config().Shards),
		counters: stats.NewPublish(),
	}
	p.useEngine(port.Engine)
	return p
}

func (p *API) useEngine(e stream.Engine) {
	p.submit = stream.NewRequest(e, &p.wakes, &p.counters.Events)
	p.submit.Duplicates = &p.counters.Duplicates
}

// publishReply is the publish port's reply to a request.
type publishReply struct {
	ID      *uint64         `json:"id,omitempty"`
	Results []publishResult `json:"results"`
}

type publishResult struct {
	Channel     string       `json:"channel"`
	Epoch       stream.Epoch `json:"epoch"`
	Offset      uint64       `json:"offset"`
	Subscribers int          `json:"subscribers"`
	Duplicate   bool         `json:"duplicate,omitempty"`
}

// Publish handles one request from an address and counts what became of it. holder is what its
// key allows, nil if none is needed.
func (p *API) Publish(ctx context.Context, body []byte, from string, holder *keys.Holder) (publishReply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from = from
	reply, err := p.sequence(ctx, body, holder)
	if err != nil {
		p.account.Sent.Errors++
		refusal := command.RefusalOf(err)
		p.counters.Errors[string(refusal.Code)]++
		if key := (stats.IncidentKey{Metric: stats.MetricPublishErrors, Label: string(refusal.Code)}); p.samples.Wants(key) {
			p.samples.Keep(key, slog.String("address", from), slog.String("by", "/api/publish"), slog.String("message", stats.Clip(refusal.Message)))
		}
	}
	return reply, err
}

func (p *API) sequence(ctx context.Context, body []byte, holder *keys.Holder) (reply publishReply, err error) {
	port, r := p.port, &p.request
	if p.ended || port.isStopping() {
		return reply, errStopped
	}
	if err := r.Parse(body, port.Settings.RequestLimits()); err != nil {
		return reply, err
	}
	if err := command.EachMember(body, publishKeys, func(string, []byte) error { return nil }); err != nil {
		return reply, err
	}
	for _, channel := range r.Channels {
		if holder != nil && !holder.MayPublish(channel) {
			return reply, notYourChannel(holder, channel)
		}
	}
	refusal, ok := admit(holder, p.account, &port.Settings.Load().Publisher, len(r.Channels), requestCost(r), poller.Now())
	switch {
	case refusal != nil:
		return reply, refusal
	case !ok:
		return reply, errNoCredit
	}
	p.counters.Requests++
	if r.ID.Set {
		id := r.ID.Value // r is used again
		reply.ID = &id
	}
	by, submit := &apiSubmitter{p, make(chan struct{})}, p.submit
	submit.Begin(by, p.account, poller.Now())
	submit.Require(r.Conditions())
	for _, name := range r.Channels {
		submit.Submit(name, r.Key, r.Data)
	}
	p.wakes.Wake()
	if !submit.Settled() {
		p.submit = submit.Keep()
		by.await(ctx, submit)
	}
	if refusal := submit.Refusal(); refusal != nil {
		return reply, refusal
	}
	for i := range submit.Results {
		at := &submit.Results[i].At
		reply.Results = append(reply.Results, publishResult{string(submit.Results[i].Channel), at.Epoch, at.Offset, at.Subscribers, at.Duplicate})
	}
	return reply, nil
}

// apiSubmitter waits for an engine to complete one request.
type apiSubmitter struct {
	*API
	settled chan struct{}
}

// Post implements stream.Submitter: f is called with the lock. An engine may complete
// while the submitter has it, so a goroutine waits for it.
func (s *apiSubmitter) Post(f func()) {
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
	}()
}

// Settled implements stream.Submitter.
func (s *apiSubmitter) Settled(*stream.Request) { close(s.settled) }

// await waits without the lock, and not for ever. The gateway may stop meanwhile.
func (s *apiSubmitter) await(ctx context.Context, r *stream.Request) {
	ctx, cancel := context.WithTimeout(ctx, submitPatience)
	defer cancel()
	s.mu.Unlock()
	select {
	case <-s.settled:
	case <-ctx.Done():
	case <-s.port.Stopping:
	}
	s.mu.Lock()
	if !r.Settled() {
		r.Abandon()
	}
}

// End refuses what comes from now on; what came before is with the shards.
func (p *API) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

// TakeSamples returns the samples of requests that were refused.
func (p *API) TakeSamples() stats.Samples {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.samples.Take()
}

// AddStats adds the counters.
func (p *API) AddStats(to *stats.Publish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to.Add(&p.counters)
}
