package main

import (
	"errors"
	"fmt"
	"time"
)

// minMessage is the least --max-message in bytes: a subscribe request with a
// short name must fit.
const minMessage = 128

// Validate is called by the parser. It names every flag that is out of range.
func (c *serveCommand) Validate() error {
	var bad outOfRange
	bad.number("--shards", c.Shards, 1)
	if c.Publish.off {
		bad.number("--ingest-loops", c.IngestLoops, 0)
	} else {
		bad.number("--ingest-loops", c.IngestLoops, 1)
	}
	bad.number("--max-clients", c.MaxClients, 0)
	bad.number("--max-publishers", c.MaxPublishers, 0)
	bad.number("--max-channels", c.MaxChannels, 1)
	bad.number("--client-channels", c.ClientChannels, 1)
	bad.number("--max-message", int(c.MaxMessage), minMessage)
	bad.number("--max-event", int(c.MaxEvent), 1)
	bad.number("--backlog", int(c.Backlog), 1)
	bad.number("--backlog-messages", c.BacklogMessages, 1)
	bad.number("--credits", int(c.Credits), 1)
	bad.number("--publisher-credits", int(c.PublisherCredits), 1)
	if c.MaxEvent > c.Credits {
		bad.add("--max-event is %d, must be at most --credits, %d", c.MaxEvent, c.Credits)
	}
	bad.positive("--retention", c.Retention)
	bad.positive("--handshake-timeout", c.HandshakeTimeout)
	bad.positive("--ping-interval", c.PingInterval)
	bad.positive("--pong-timeout", c.PongTimeout)
	bad.notNegative("--retry-window", c.RetryWindow)
	bad.notNegative("--drain-timeout", c.DrainTimeout)
	return errors.Join(bad...)
}

// Validate is called by the parser.
func (c *publishCommand) Validate() error {
	var bad outOfRange
	bad.positive("--timeout", c.Timeout)
	return errors.Join(bad...)
}

// Validate is called by the parser.
func (c *subscribeCommand) Validate() error {
	var bad outOfRange
	bad.positive("--timeout", c.Timeout)
	return errors.Join(bad...)
}

// Validate is called by the parser.
func (c *echoCommand) Validate() error {
	var bad outOfRange
	bad.number("--loops", c.Loops, 1)
	bad.number("--max-message", int(c.MaxMessage), 1)
	return errors.Join(bad...)
}

// outOfRange gathers what is wrong with the values of flags.
type outOfRange []error

func (o *outOfRange) add(format string, args ...any) {
	*o = append(*o, fmt.Errorf(format, args...))
}

func (o *outOfRange) number(flag string, value, least int) {
	if value < least {
		o.add("%s is %d, must be at least %d", flag, value, least)
	}
}

func (o *outOfRange) positive(flag string, value time.Duration) {
	if value <= 0 {
		o.add("%s is %v, must be positive", flag, value)
	}
}

func (o *outOfRange) notNegative(flag string, value time.Duration) {
	if value < 0 {
		o.add("%s is %v, must not be negative", flag, value)
	}
}
