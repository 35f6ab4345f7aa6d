package command

import (
	"strconv"

	"fleetcast/codec/jsonscan"
)

// The functions of this file append one message from the gateway to dst. Texts must be valid
// UTF-8; an ID that is not set is left out.

// AppendWelcome appends the first message of a connection: the client's id, the
// interval between the gateway's pings in milliseconds, the client's limits, as
// AppendLimits writes them, and what it is told about who it is. nil leaves the last two out.
func AppendWelcome[T jsonscan.Text](dst []byte, client T, pingIntervalMS uint64, limits []byte, standing *Standing) []byte {
	dst = append(dst, `{"type":"welcome","client":`...)
	dst = jsonscan.AppendString(dst, client)
	dst = append(dst, `,"ping_interval_ms":`...)
	dst = strconv.AppendUint(dst, pingIntervalMS, 10)
	if limits != nil {
		dst = append(append(dst, `,"limits":`...), limits...)
	}
	return append(standing.append(dst), '}')
}

// Standing is what the gateway tells a client about who it is, in welcome and in
// authenticated, and about the token of a subscription, in subscribed. What is zero is left
// out.
type Standing struct {
	User      string // valid UTF-8
	ExpiresMS uint64 // from now on the gateway closes the connection, or ends the subscription, unless the client shows a new token
	RefreshMS uint64 // from now on the client should show a new token
	Ticket    string // stands for the token when the client reconnects soon
	WithinMS  uint64 // in which the client must authenticate
}

func (s *Standing) append(dst []byte) []byte {
	if s == nil {
		return dst
	}
	if s.User != "" {
		dst = appendText(dst, `,"user":`, s.User)
	}
	dst = appendMS(dst, `,"expires_in_ms":`, s.ExpiresMS)
	dst = appendMS(dst, `,"refresh_in_ms":`, s.RefreshMS)
	if s.Ticket != "" {
		dst = appendText(dst, `,"ticket":`, s.Ticket)
	}
	return appendMS(dst, `,"authenticate_within_ms":`, s.WithinMS)
}

// AppendAuthenticated appends the answer to authenticate.
func AppendAuthenticated(dst []byte, id ID, standing *Standing) []byte {
	return append(standing.append(appendHead(dst, `{"type":"authenticated"`, id)), '}')
}

// AppendWithdrawn appends the notice that the gateway has ended a subscription of this client.
func AppendWithdrawn[C jsonscan.Text](dst []byte, channel C, code Code) []byte {
	dst = appendText(dst, `{"type":"unsubscribed","channel":`, channel)
	return append(appendText(dst, `,"code":`, string(code)), '}')
}

// Recovery is what a client is told that has asked for events before the live ones.
type Recovery struct {
	// Resumes tells that the client has named a position. It is then told whether it has
	// Recovered: whether it gets every event behind that position.
	Resumes, Recovered bool
	// LostFrom and LostTo are the first and the last event behind the client's position that it
	// does not get. They are 0 if there are none, or if the position tells nothing about what
	// the client has: it is of another epoch, or beyond the latest event.
	LostFrom, LostTo uint64
	Latest           uint64 // offset of the channel's latest event; 0: there was none yet
}

// append appends the members of a subscribed, behind others; nil appends nothing.
func (r *Recovery) append(dst []byte) []byte {
	if r == nil {
		return dst
	}
	if r.Resumes {
		dst = strconv.AppendBool(append(dst, `,"recovered":`...), r.Recovered)
	}
	if r.LostFrom > 0 {
		dst = appendNumber(dst, `,"lost":{"from":`, r.LostFrom)
		dst = appendLast(dst, `,"to":`, r.LostTo)
	}
	return appendNumber(dst, `,"latest":`, r.Latest)
}

// AppendSubscribed appends the answer to subscribe: the subscriber gets the events after offset.
// recovery is for a client that has asked for earlier events, standing is when the
// subscription's token ends; nil leaves either out.
func AppendSubscribed[C, E jsonscan.Text](dst []byte, id ID, channel C, epoch E, offset uint64, recovery *Recovery, standing *Standing) []byte {
	dst = appendHead(dst, `{"type":"subscribed"`, id)
	dst = appendText(dst, `,"channel":`, channel)
	dst = appendText(dst, `,"epoch":`, epoch)
	dst = appendNumber(dst, `,"offset":`, offset)
	return append(standing.append(recovery.append(dst)), '}')
}

// Page is a part of a channel's history.
type Page struct {
	Latest uint64      // offset of the channel's latest event; 0: there was none yet
	Events []PageEvent // with consecutive offsets
	More   bool        // more are kept in the direction that was asked for
}

// PageEvent is one event of a Page.
type PageEvent struct {
	Offset uint64
	Data   []byte // valid JSON, which is written byte for byte
}

// AppendHistory appends the answer to history.
func AppendHistory[C, E jsonscan.Text](dst []byte, id ID, channel C, epoch E, page *Page) []byte {
	dst = appendHead(dst, `{"type":"history"`, id)
	dst = appendText(dst, `,"channel":`, channel)
	return append(page.append(appendText(dst, `,"epoch":`, epoch)), '}')
}

// AppendPage appends a page as an object of its own, as programs get it that are not clients.
func AppendPage[C, E jsonscan.Text](dst []byte, channel C, epoch E, page *Page) []byte {
	dst = appendText(dst, `{"channel":`, channel)
	return append(page.append(appendText(dst, `,"epoch":`, epoch)), '}')
}

// append appends the members of a page, behind others.
func (p *Page) append(dst []byte) []byte {
	dst = append(appendNumber(dst, `,"latest":`, p.Latest), `,"events":[`...)
	separator := `{"offset":`
	for i := range p.Events {
		dst = appendNumber(dst, separator, p.Events[i].Offset)
		dst = append(append(append(dst, dataKey...), p.Events[i].Data...), '}')
		separator = `,{"offset":`
	}
	return strconv.AppendBool(append(dst, `],"more":`...), p.More)
}

// AppendUnsubscribed appends the answer to unsubscribe.
func AppendUnsubscribed[C jsonscan.Text](dst []byte, id ID, channel C) []byte {
	dst = appendHead(dst, `{"type":"unsubscribed"`, id)
	dst = appendText(dst, `,"channel":`, channel)
	return append(dst, '}')
}

// AppendPublished appends the answer to publish: the offset that the event got.
func AppendPublished[C jsonscan.Text](dst []byte, id ID, channel C, offset uint64) []byte {
	dst = appendHead(dst, `{"type":"published"`, id)
	dst = appendText(dst, `,"channel":`, channel)
	return appendLast(dst, `,"offset":`, offset)
}

// AppendPong appends the answer to ping.
func AppendPong(dst []byte, id ID) []byte {
	return append(appendHead(dst, `{"type":"pong"`, id), '}')
}

// AppendGap appends the notice that the events from one offset to another, both included, will not
// reach this client.
func AppendGap[C jsonscan.Text](dst []byte, channel C, from, to uint64) []byte {
	dst = appendText(dst, `{"type":"gap","channel":`, channel)
	dst = appendNumber(dst, `,"from":`, from)
	return appendLast(dst, `,"to":`, to)
}

// AppendRefusal appends the refusal of a command, with the time after which it may be tried again if
// that is known.
func AppendRefusal(dst []byte, id ID, e *Error) []byte {
	dst = appendHead(dst, `{"type":"error"`, id)
	dst = appendText(dst, `,"code":`, string(e.Code))
	dst = e.AppendNow(appendText(dst, `,"message":`, e.Message))
	if e.RetryAfter > 0 {
		return appendLast(dst, `,"retry_after_ms":`, e.RetryAfterMS())
	}
	return append(dst, '}')
}

// AppendGoodbye appends the last message before the gateway closes the connection, with the time in
// milliseconds after which the client may come back.
func AppendGoodbye(dst []byte, reason string, retryAfterMS uint64) []byte {
	dst = appendText(dst, `{"type":"goodbye","reason":`, reason)
	return appendLast(dst, `,"retry_after_ms":`, retryAfterMS)
}

// appendHead appends the opening of a message and its id.
func appendHead(dst []byte, head string, id ID) []byte {
	dst = append(dst, head...)
	if id.Set {
		dst = appendNumber(dst, `,"id":`, id.Value)
	}
	return dst
}

// appendMS appends a number of milliseconds that is not 0.
func appendMS(dst []byte, key string, ms uint64) []byte {
	if ms == 0 {
		return dst
	}
	return appendNumber(dst, key, ms)
}

func appendText[T jsonscan.Text](dst []byte, key string, text T) []byte {
	return jsonscan.AppendString(append(dst, key...), text)
}

func appendNumber(dst []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(dst, key...), n, 10)
}

// appendLast appends a number and closes the object.
func appendLast(dst []byte, key string, n uint64) []byte {
	return append(appendNumber(dst, key, n), '}')
}
