// Package streamtest makes events, for tests of packages that hold events. All of it
// belongs to the goroutine of a test.
package streamtest

import (
	"fmt"

	"fleetcast/gateway/dialect/fleetcastv1"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stream"
)

// Formats are those of the events that a Source makes.
var Formats = stream.NewFormats(fleetcastv1.Dialect{})

// Source is a stream that one shard wants, with what publishes to it. It belongs to
// one goroutine.
type Source struct {
	*stream.Stream
	streams *stream.Streams
	port    *stream.Port
	account *limits.Account
	request *stream.Request
}

// New makes a stream of that name, without events.
func New(name string) *Source {
	s := &Source{
		streams: stream.NewStreams(1, Formats),
		port:    stream.NewPort(0),
		account: &limits.Account{Credits: limits.NewCredits(1<<60, 1<<60, func() {})},
	}
	wakes := stream.NewWakeSet(1)
	s.request = stream.NewRequest(s.streams, &wakes, new(uint64))
	interest := &stream.Interest{Name: name, Port: s.port}
	if _, err := s.streams.Join(interest); err != nil {
		panic(fmt.Sprintf("join %q: %v", name, err))
	}
	s.Stream = interest.Stream
	return s
}

// Next publishes an event and returns it. The caller holds it, as a shard does that
// has taken it from its mailbox.
func (s *Source) Next(key, data string) *stream.Event {
	s.request.Begin(nil, s.account, 0)
	s.request.Submit([]byte(s.Name), []byte(key), []byte(data))
	mail, _ := s.port.Mailbox.Take()
	return mail.Event
}
