package gateway

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// errNoCredit is answered where the publish port would stop reading.
var errNoCredit = &apiError{http.StatusServiceUnavailable, command.NotAvailable,
	"too much is under way (--credits, --publisher-credits); nothing was published, try again later"}

// creditRetry is when to try again without credit.
const creditRetry = time.Second

var publishKeys = []string{"id", "channel", "channels", "key", "data"}

// apiPublisher publishes for POST /api/publish: all of its requests are one
// publisher, with one share of the credits. Unlike those of the publish port it
// never waits. Any goroutine may call it.
type apiPublisher struct {
	port *publishPort

	mu      sync.Mutex
	account *limits.Account
	from    string // address of the last request
	ended   bool
	request publish.Request
	wakes   stream.WakeSet

	counters stats.Publish // added to those of the publish port
	samples  stats.Samples
}

func newAPIPublisher(port *publishPort) *apiPublisher {
	return &apiPublisher{
		port:     port,
		account:  &limits.Account{Credits: port.credits}, // never waits
		wakes:    stream.NewWakeSet(port.settings.Config().Shards),
		counters: stats.NewPublish(),
	}
}

func (a *api) publish(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, int64(a.gateway.config().MaxEvent+RequestRoom))
	if err != nil {
		return err
	}
	reply, err := a.gateway.publish.api.publish(body, r.RemoteAddr)
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, reply)
	return nil
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
}

// publish handles one request from an address and counts what became of it.
func (p *apiPublisher) publish(body []byte, from string) (publishReply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from = from
	reply, err := p.sequence(body)
	if err != nil {
		p.account.Sent.Errors++
		refusal := apiErrorOf(err)
		p.counters.Errors[string(refusal.code)]++
		if key := (stats.IncidentKey{Metric: stats.MetricPublishErrors, Label: string(refusal.code)}); p.samples.Wants(key) {
			p.samples.Keep(key, slog.String("address", from), slog.String("by", "/api/publish"), slog.String("message", stats.Clip(refusal.message)))
		}
	}
	return reply, err
}

func (p *apiPublisher) sequence(body []byte) (reply publishReply, err error) {
	port, r := p.port, &p.request
	if p.ended || port.isStopping() {
		return reply, notAvailable("the gateway is stopping")
	}
	if err := r.Parse(body, port.settings.RequestLimits()); err != nil {
		return reply, err
	}
	if err := eachMember(body, publishKeys, func(string, []byte) error { return nil }); err != nil {
		return reply, err
	}
	refusal, ok := p.account.Admit(&port.settings.Load().Publisher, len(r.Channels), requestCost(r), poller.Now())
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
	for _, name := range r.Channels {
		at := port.streams.Publish(name, r.Key, r.Data, p.account, limits.EventCost(name, r.Key, r.Data), poller.Now(), &p.wakes)
		p.counters.Events++
		reply.Results = append(reply.Results, publishResult{string(name), at.Epoch, at.Offset, at.Subscribers})
	}
	p.wakes.Wake()
	return reply, nil
}

// end refuses what comes from now on; what came before is with the shards.
func (p *apiPublisher) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

// takeSamples returns the samples of requests that were refused.
func (p *apiPublisher) takeSamples() stats.Samples {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.samples.Take()
}

// addStats adds the counters.
func (p *apiPublisher) addStats(to *PublishStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to.Add(&p.counters)
}
