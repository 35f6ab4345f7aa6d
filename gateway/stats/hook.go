package stats

// ConnectHook is what the connect hook has counted. [SubscribeHook] has the same fields
// with other names of metrics, so that one converts to the other.
type ConnectHook struct {
	Requests map[string]uint64 `json:"requests" metric:"connect_hook_requests_total" label:"outcome" help:"Clients about which the connect hook was to be asked, by outcome."`
	InFlight int64             `json:"in_flight" metric:"connect_hook_in_flight" help:"Calls of the connect hook that are under way."`
	Waiting  int64             `json:"waiting" metric:"connect_hook_waiting" help:"Clients that wait until the connect hook can be asked about them."`
	Open     int64             `json:"open" metric:"connect_hook_open" help:"1 while the connect hook fails and is asked only now and then, to see whether it answers again; else 0."`
	Opened   uint64            `json:"opened" metric:"connect_hook_opened_total" help:"Times that the connect hook was found to fail, after it had answered."`
	Seconds  Histogram         `json:"seconds" metric:"connect_hook_seconds" help:"How long calls of the connect hook take, those that fail included, without the wait for their turn."`
}

// SubscribeHook is what one subscribe hook has counted.
type SubscribeHook struct {
	Requests map[string]uint64 `json:"requests" metric:"subscribe_hook_requests_total" label:"outcome" help:"Subscriptions about which a subscribe hook was to be asked, by hook and outcome."`
	InFlight int64             `json:"in_flight" metric:"subscribe_hook_in_flight" help:"Calls of the subscribe hook that are under way."`
	Waiting  int64             `json:"waiting" metric:"subscribe_hook_waiting" help:"Subscriptions that wait until the subscribe hook can be asked about them."`
	Open     int64             `json:"open" metric:"subscribe_hook_open" help:"1 while the subscribe hook fails and is asked only now and then, to see whether it answers again; else 0."`
	Opened   uint64            `json:"opened" metric:"subscribe_hook_opened_total" help:"Times that the subscribe hook was found to fail, after it had answered."`
	Seconds  Histogram         `json:"seconds" metric:"subscribe_hook_seconds" help:"How long calls of the subscribe hook take, those that fail included, without the wait for their turn."`
}
