package command

import "fleetcast/codec/jsonscan"

// Type says what a command asks for.
type Type uint8

// The commands; the zero Type is none of them. Those before Ping concern channels.
const (
	Subscribe Type = iota + 1
	Unsubscribe
	Publish
	History // asks for events that are kept
	Ping
	// Pong is what a client says to a ping that was a message. It asks for nothing. Parse never
	// returns it: the gateway pings clients of fleetcast.v1 with frames.
	Pong
	Authenticate // says who the client is
)

// String is the verb of the command, empty for the zero Type.
func (t Type) String() string {
	return [...]string{
		Subscribe: "subscribe", Unsubscribe: "unsubscribe", Publish: "publish", History: "history",
		Ping: "ping", Pong: "pong", Authenticate: "authenticate",
	}[t]
}

// Command is one message from a client. Its slices point into the parsed payload or into the
// Command's own buffer; they are valid until either is reused.
type Command struct {
	Type     Type
	ID       ID
	Channels [][]byte // from channel or channels; names are not checked, see CheckChannel
	Start    Start    // from since and last of the message; see StartOf for those of a Subscribe
	Data     []byte   // raw JSON; present if Type is Publish
	Token    []byte   // present if Type is Authenticate; of a Subscribe, nil if it has none
	Before   uint64   // of a History: the events before this offset are asked for; 0: not given
	Limit    uint32   // of a History: how many events at most, up to MaxHistory; 0: not given

	Conditions Conditions // of a Publish

	// starts are those of the elements of channels, up to the last element that has one.
	starts []Start

	seen  keys
	texts jsonscan.Unquoter
}

// keys is the set of known keys that a message has shown so far.
type keys uint16

const (
	keyType keys = 1 << iota
	keyID
	keyChannel
	keyChannels
	keySince
	keyData
	keyToken
	keyLast
	keyBefore
	keyLimit
	keyIdempotency
	keyExpect
)

// Parse reads one message and overwrites c with it. A known key must have the right
// kind of value in every command, even if the command does not use it. Unknown keys are
// ignored, and so is a byte order mark before the object.
//
// The error is an *Error with bad_request, unknown_type or limit_exceeded (more than
// MaxChannels names). c.ID is set if the payload is valid JSON with an id, so that the reply can carry it.
func (c *Command) Parse(payload []byte) error {
	c.Reset()
	payload = jsonscan.TrimMark(payload)
	object := jsonscan.NewObject(payload)
	var member jsonscan.Member
	var refusal *Error
	for object.Next(&member) {
		// The walk continues after a refusal, because invalid JSON behind it matters
		// more, and an id may follow.
		if err := c.take(&member); err != nil && refusal == nil {
			refusal = err
		}
	}
	if err := object.Err(); err != nil {
		c.ID = ID{} // what looked like one may be part of something else
		return SyntaxError(payload, err, object.Offset())
	}
	if refusal == nil {
		refusal = c.check()
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// Reset makes c empty; it keeps the memory of c's buffers.
func (c *Command) Reset() {
	c.texts.Reset()
	*c = Command{Channels: c.Channels[:0], starts: c.starts[:0], texts: c.texts}
}

// take stores one member.
func (c *Command) take(m *jsonscan.Member) (err *Error) {
	key := commandKey(m.Key)
	if c.seen&key != 0 {
		if key == keyID {
			c.ID = ID{} // two ids identify nothing
		}
		return errRepeatedKey
	}
	c.seen |= key
	switch key {
	case keyType:
		c.Type, err = parseType(m.Value, &c.texts)
	case keyID:
		c.ID, err = ParseID(m.Value)
	case keyChannel:
		c.Channels, err = AppendChannel(c.Channels, m.Value, &c.texts)
	case keyChannels:
		err = c.takeChannels(m.Value)
	case keySince:
		err = c.Start.takeSince(m.Value, &c.texts)
	case keyLast:
		err = c.Start.takeLast(m.Value)
	case keyBefore:
		c.Before, err = parseCount(m.Value, jsonscan.MaxUint, errBadBefore)
	case keyLimit:
		var limit uint64
		limit, err = parseCount(m.Value, MaxHistory, errBadLimit)
		c.Limit = uint32(limit)
	case keyData:
		c.Data = m.Value
		err = CheckData(m)
	case keyToken:
		c.Token, err = parseToken(m.Value, &c.texts)
	case keyIdempotency:
		err = c.Conditions.TakeIdempotency(m.Value, &c.texts)
	case keyExpect:
		err = c.Conditions.TakeExpect(m.Value, &c.texts)
	}
	return err
}

func commandKey(key []byte) keys {
	switch string(key) {
	case "type":
		return keyType
	case "id":
		return keyID
	case "channel":
		return keyChannel
	case "channels":
		return keyChannels
	case "since":
		return keySince
	case "data":
		return keyData
	case "token":
		return keyToken
	case "last":
		return keyLast
	case "before":
		return keyBefore
	case "limit":
		return keyLimit
	case "idempotency":
		return keyIdempotency
	case "expect":
		return keyExpect
	}
	return 0
}

func parseType(raw []byte, u *jsonscan.Unquoter) (Type, *Error) {
	text, err := u.Text(raw)
	if err != nil {
		return 0, errBadType
	}
	switch string(text) {
	case "subscribe":
		return Subscribe, nil
	case "unsubscribe":
		return Unsubscribe, nil
	case "publish":
		return Publish, nil
	case "history":
		return History, nil
	case "ping":
		return Ping, nil
	case "authenticate":
		return Authenticate, nil
	}
	return 0, errUnknownType
}

func parseToken(raw []byte, u *jsonscan.Unquoter) ([]byte, *Error) {
	text, err := u.Text(raw)
	if err != nil || len(text) == 0 {
		return nil, errBadToken
	}
	return text, nil
}

// check looks at what the members amount to together.
func (c *Command) check() *Error {
	const bothChannels = keyChannel | keyChannels
	if c.seen&(keySince|keyLast|keyBefore) != 0 {
		if err := c.checkStart(); err != nil {
			return err
		}
	}
	switch {
	case c.seen&keyType == 0:
		return errNoType
	case c.seen&bothChannels == bothChannels:
		return errBothChannels
	case c.Type < Ping && c.seen&bothChannels == 0:
		return errNoChannel
	case c.Type == Publish && c.seen&keyData == 0:
		return errNoData
	case c.Type == History && c.seen&keyChannels != 0:
		return errHistoryChannels
	case c.Type == Authenticate && c.Token == nil:
		return errNoToken
	case c.Type == Subscribe && c.Token != nil && c.seen&keyChannels != 0:
		return errTokenChannels
	}
	return nil
}

// checkStart looks at what of since, last and before stands in one message.
func (c *Command) checkStart() *Error {
	has := func(members keys) bool { return c.seen&members == members }
	switch {
	case has(keySince | keyChannels):
		return errSinceChannels
	case has(keySince | keyLast):
		return errSinceLast
	case has(keySince | keyBefore):
		return errSinceBefore
	case c.Type == History && has(keyLast):
		return errHistoryLast
	}
	return nil
}
