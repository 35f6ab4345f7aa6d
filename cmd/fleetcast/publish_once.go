package main

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/publisher"
)

// eventFlags are the flags of publish that say more of an event than its channel and data.
type eventFlags struct {
	Key         *string   `placeholder:"KEY" help:"What the event is about in its channel: where slow clients get the newest only, they get it for each key."`
	Idempotency *string   `placeholder:"TEXT" help:"A name of the event: published again within 5 minutes, it is not published twice. The command repeats it by itself if the connection breaks."`
	Expect      *position `placeholder:"EPOCH:OFFSET" help:"Publish only if this is the position of the channel's latest event."`
}

// check adds what is wrong with the flags to bad. several tells that they are for many events.
func (f *eventFlags) check(bad *outOfRange, several bool) {
	switch {
	case f.Idempotency == nil:
	case *f.Idempotency == "" || len(*f.Idempotency) > command.MaxIdempotency:
		bad.add("--idempotency has %d bytes, must have 1 to %d", len(*f.Idempotency), command.MaxIdempotency)
	case several:
		bad.add("--idempotency names one event, and - publishes one for each line")
	}
	if f.Expect != nil && several {
		bad.add("--expect is for one event, and - publishes one for each line")
	}
}

// options are those of each event.
func (f *eventFlags) options() (options []publisher.EventOption) {
	if f.Key != nil {
		options = append(options, publisher.WithKey(*f.Key))
	}
	if f.Idempotency != nil {
		options = append(options, publisher.WithIdempotency(*f.Idempotency))
	}
	if f.Expect != nil {
		options = append(options, publisher.WithExpect(string(f.Expect.Epoch), f.Expect.Offset))
	}
	return options
}

// again is what comes of publishing again an event whose outcome is unknown.
func (f *eventFlags) again() string {
	if f.Idempotency != nil {
		return "Publishing again with the same --idempotency within 5 minutes does not publish twice, unless the gateway was restarted"
	}
	return "Publishing again may publish twice"
}
