package authority

import (
	"context"
	"sync"
	"sync/atomic"

	"fleetcast/gateway/hook"
)

// Hooks are asked about subscriptions, by the names that rules give them. They are
// immutable: a reload makes new ones.
type Hooks map[string]*hook.Hook

// HookQuestion is a subscription about which the hook of that name is asked, and what became
// of it. An Outcome that neither allows nor refuses is that of a question that was not asked.
type HookQuestion struct {
	Hook    string
	Request hook.SubscribeRequest
	Outcome hook.Outcome
}

// askedAtOnce is how many of the places of a hook one client has at a time, however many
// channels its command names.
const askedAtOnce = 4

// hookGone is the outcome where a reload has removed the hook.
var hookGone = hook.Outcome{Refusal: &hook.Refusal{
	Reason: "hook_gone", Message: "the configuration has changed; try again", Temporary: true,
}}

// Ask asks about all subscriptions of one client's command. It waits, until ctx ends at the
// latest: about those that have had no turn by then the outcome is temporary.
func (h Hooks) Ask(ctx context.Context, questions []HookQuestion) {
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range min(askedAtOnce, len(questions)) {
		workers.Go(func() {
			for i := taken.Add(1); i <= int64(len(questions)); i = taken.Add(1) {
				questions[i-1].Outcome = h.ask(ctx, &questions[i-1])
			}
		})
	}
	workers.Wait()
}

func (h Hooks) ask(ctx context.Context, q *HookQuestion) hook.Outcome {
	asked := h[q.Hook]
	if asked == nil {
		return hookGone
	}
	return asked.Subscribe(ctx, q.Request)
}
