// Package hook asks an HTTP server of the operator's who a client is (the connect hook),
// or whether it may subscribe to a channel (the subscribe hook). docs/hooks.md is the
// contract with that server.
//
// A Hook is one endpoint with its connections, its bounds and its circuit breaker. So
// many calls are in flight, so many more callers wait for their turn, and all others are
// refused at once. A call has a deadline, and its answer a largest size. Whatever the
// endpoint does, the outcome is one of three: allowed, refused, or refused for now. An
// answer counts as a permission only if it says so.
//
// Any goroutine may call a Hook, and waits while the endpoint is asked: a loop must not.
// No token, header or query is in any log line: what an endpoint repeats of them is left out there.
package hook
