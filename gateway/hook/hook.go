package hook

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/stats"
)

// Outcome is what became of a question. The zero value allows nothing.
type Outcome struct {
	// Allowed is set exactly if Refusal is nil.
	Allowed bool
	// Identity is who the client is, of a connect hook that allows.
	Identity *identity.Identity
	// Expires is when what is allowed ends, in Unix seconds; 0 is never. Of a connect hook
	// it is that of the identity.
	Expires int64
	// Refusal is set if it is not allowed.
	Refusal *Refusal
}

// Refusal is why something is not allowed.
type Refusal struct {
	// Reason has 1 to 32 of a-z, 0-9 and _. It is one of the reasons of this package, or
	// what the endpoint says.
	Reason string
	// Message is one line for a person, of some 200 bytes at most.
	Message string
	// Temporary is set if the same question may be answered otherwise later.
	Temporary bool
	// RetryAfter is when that may be, 0 if nobody knows.
	RetryAfter time.Duration
}

// Reasons of refusals. All but the first are temporary, and no answer of the endpoint.
const (
	ReasonRefused   = "refused"        // by the endpoint, which gives no reason
	ReasonBusy      = "hook_busy"      // too many wait, or it waited too long for its turn
	ReasonTimeout   = "hook_timeout"   // the endpoint has not answered in time
	ReasonFailed    = "hook_failed"    // the endpoint is not reached, or its answer is no answer
	ReasonOpen      = "hook_open"      // the endpoint has failed, and is not asked for a while
	ReasonCancelled = "hook_cancelled" // the caller's context has ended
)

// outcomeAllowed and outcomeRefused are the outcomes that are answers.
const (
	outcomeAllowed = "allowed"
	outcomeRefused = "refused"
)

// Outcomes are the values of the label of the metric that counts requests.
var Outcomes = []string{outcomeAllowed, outcomeRefused, ReasonBusy, ReasonTimeout, ReasonFailed, ReasonOpen, ReasonCancelled}

// Hook is one endpoint. Any goroutine may call it.
type Hook struct {
	options   Options
	url       string // as logs show it
	transport *http.Transport
	// readConnect reads the answers to Connect.
	readConnect reader
	places      *places
	breaker     *gobreaker.TwoStepCircuitBreaker[any]
	openUntil   atomic.Int64   // when probes begin, in Unix nanoseconds, while the breaker is open
	complain    rate.Sometimes // about calls that fail
	silenced    atomic.Int64   // complaints left out since the last

	mu         sync.Mutex        // guards what follows; it is not held while the breaker is asked
	counters   stats.ConnectHook // Requests, Opened and Seconds
	lastFail   error             // the last reason to think that the endpoint fails
	failsSince time.Time         // when the breaker has opened
}

// complainEvery is how often calls that fail are logged.
const complainEvery = 10 * time.Second

// New makes a hook. It opens no connection before the first call.
func New(o Options) (*Hook, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	transport, err := o.transport()
	if err != nil {
		return nil, err
	}
	o.Header = o.Header.Clone()
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	h := &Hook{
		options: o, url: publicURL(o.URL), transport: transport,
		readConnect: readConnect(cmp.Or(o.Grants, new(identity.Interner))),
		places:      newPlaces(&o),
		complain:    rate.Sometimes{Interval: complainEvery},
		counters:    stats.ConnectHook{Requests: make(map[string]uint64, len(Outcomes))},
	}
	for _, outcome := range Outcomes {
		h.counters.Requests[outcome] = 0
	}
	h.breaker = h.newBreaker()
	return h, nil
}

// Has tells whether a hook with these options would be the same. With a RootFile it is
// not, because other certificates may be in the file now. h may be nil.
func (h *Hook) Has(o *Options) bool {
	return h != nil && o.RootFile == "" && reflect.DeepEqual(h.options, *o)
}

// Close closes the connections that are idle, and those that become so. Calls go on.
func (h *Hook) Close() { h.transport.CloseIdleConnections() }

// Stats is what the hook has counted.
func (h *Hook) Stats() stats.ConnectHook {
	s := h.counted()
	s.InFlight, s.Waiting = h.places.taken()
	if h.breaker.State() != gobreaker.StateClosed {
		s.Open = 1
	}
	return s
}

func (h *Hook) counted() stats.ConnectHook {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.counters
	s.Requests = maps.Clone(h.counters.Requests)
	s.Seconds = h.counters.Seconds.Snapshot()
	return s
}

// Connect asks who a client is. It waits: for a turn, and then for the answer, each as
// long as Timeout at most, and no longer than until ctx ends.
func (h *Hook) Connect(ctx context.Context, r ConnectRequest) Outcome {
	return h.outcome(h.ask(ctx, r.Client.Addr(), func() (message, error) { return h.connectMessage(&r) }, h.readConnect))
}

// Subscribe asks whether a client may subscribe to a channel. It waits as Connect does.
func (h *Hook) Subscribe(ctx context.Context, r SubscribeRequest) Outcome {
	return h.outcome(h.ask(ctx, r.Address, func() (message, error) { return h.subscribeMessage(&r) }, readSubscribe))
}

// outcome counts and returns what became of a question.
func (h *Hook) outcome(v verdict, failed *failure) Outcome {
	switch {
	case failed != nil:
		h.count(failed.reason)
		h.report(failed)
		return Outcome{Refusal: &Refusal{
			Reason: failed.reason, Message: "the application could not be asked; try again later", Temporary: true, RetryAfter: failed.retryAfter,
		}}
	case v.refusal != nil:
		h.count(outcomeRefused)
		return Outcome{Refusal: v.refusal}
	}
	h.count(outcomeAllowed)
	return Outcome{Allowed: true, Identity: v.identity, Expires: v.expires}
}

func (h *Hook) count(outcome string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counters.Requests[outcome]++
}

// report logs that a call has failed, unless one was logged just now. What the breaker
// has refused is logged when it opens, and who has gone needs no answer.
func (h *Hook) report(f *failure) {
	if f.reason == ReasonOpen || f.reason == ReasonCancelled {
		return
	}
	logged := false
	h.complain.Do(func() {
		logged = true
		text := conceal(f.err.Error(), append(h.options.secrets(), f.secrets...)) // it may quote the answer
		attrs := []slog.Attr{slog.String("hook", h.options.Name), slog.String("url", h.url), slog.String("reason", f.reason), slog.String("error", stats.Clip(text))}
		if len(f.answer) > 0 {
			attrs = append(attrs, slog.String("answer", h.shownAnswer(f)))
		}
		if n := h.silenced.Swap(0); n > 0 {
			attrs = append(attrs, slog.Int64("lines_left_out", n))
		}
		h.options.Logger.LogAttrs(context.Background(), slog.LevelWarn, "a hook did not answer; the client was refused for now", attrs...)
	})
	if !logged {
		h.silenced.Add(1)
	}
}

// failure is why there is no answer. It is no error of its own, so that none is nil and
// not nil.
type failure struct {
	reason     string
	down       bool // the endpoint as a whole seems to fail, whatever it is asked
	retryAfter time.Duration
	err        error    // fit for a log line, but for its length and for what it quotes
	answer     []byte   // of the endpoint, or its beginning, if it has given one
	secrets    []string // that the endpoint was sent for the client
}

// ask asks one question, about a client from an address, in its turn.
func (h *Hook) ask(ctx context.Context, from netip.Addr, write func() (message, error), read reader) (v verdict, failed *failure) {
	if h.breaker.State() == gobreaker.StateOpen {
		return verdict{}, h.openFailure()
	}
	if failed := h.places.enter(ctx, from); failed != nil {
		return verdict{}, failed
	}
	defer h.places.leave()
	done, err := h.breaker.Allow()
	if err != nil {
		return verdict{}, h.openFailure()
	}
	defer func() { h.tell(done, failed) }()
	m, err := write()
	if err != nil {
		return verdict{}, &failure{reason: ReasonFailed, err: err}
	}
	start := time.Now()
	defer func() { h.observe(time.Since(start)) }()
	if v, failed = h.call(ctx, m, read); failed != nil {
		failed.secrets = m.secrets
	}
	return v, failed
}

func (h *Hook) observe(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counters.Seconds.Observe(took, 1)
}
