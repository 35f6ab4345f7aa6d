// Package publisher is the Go client with which services publish events to a fleetcast
// gateway, over the gateway's publish port.
//
//	p, err := publisher.Dial(ctx, "127.0.0.1:8082")
//	...
//	defer p.Close()
//	result, err := p.Publish(ctx, "news", []byte(`{"title":"hello"}`))
//
// [Publisher.Publish] waits until the gateway has sequenced the event and
// returns its position. [Publisher.Send] does not wait. [Publisher.Flush] waits
// for everything that was sent before. A [Batch] hands over many events together.
//
// # Delivery
//
// An event is written at most once, unless [Config].Repeat says otherwise. The Publisher does not
// repeat it, not even after a reconnection. When the connection breaks, an event that was handed
// over and not yet answered may or may not have been sequenced. Its call fails
// with [ErrDisconnected]. An error that also matches [ErrNotSent] means that the
// event never left the process, so it is safe to repeat it. An event with a name, see
// [WithIdempotency], may be repeated in any case: the gateway remembers for 5 minutes that it was
// published. With Config.Repeat, Publish and PublishMany do that by themselves.
//
// Events of one goroutine reach the gateway in the order of the calls. Between
// goroutines there is no order.
//
// # Connection
//
// A Publisher keeps one TCP connection. When it breaks, the Publisher
// reconnects with exponential back-off and jitter until it is closed. Calls
// meanwhile wait as long as their context allows. With [Config].FailFast they
// fail at once.
//
// # Bounds
//
// Events wait in two buffers of at most [Config].WriteBuffer bytes: one is
// filled while the other is written. At most [Config].MaxInFlight requests await
// a reply. When the gateway pushes back and these are full, calls wait as long
// as their context allows. Memory does not grow.
//
// # Goroutines and ownership
//
// Any goroutine may call the methods of a Publisher. A Batch belongs to
// one goroutine at a time.
//
// Each Publisher runs one goroutine, which writes and reconnects. Only this goroutine
// blocks on the socket. Replies come by netpoll's callback, one at a time for a
// connection. It wakes the callers and never blocks on the user's code.
// Config.OnError, Config.OnStateChange and the log records of what they report
// run on a goroutine that lives only while there is something to report.
// Publisher.mu guards everything that the callers, the writer and the callback
// share. It is never held across a system call or the user's code.
package publisher
