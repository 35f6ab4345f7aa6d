package command

import "fleetcast/codec/jsonscan"

// Type says what a command asks for.
type Type uint8

// The commands; the zero Type is none of them.
const (
	Subscribe Type = iota + 1
	Unsubscribe
	Publish
	Ping
	// Pong is what a client says to a ping that was a message. It asks for nothing. Parse never
	// returns it: the gateway pings clients of fleetcast.v1 with frames.
	Pong
	Authenticate // says who the client is
)

// String is the verb of the command, empty for the zero Type.
func (t Type) String() string {
	return [...]string{Subscribe: "subscribe", Unsubscribe: "unsubscribe", Publish: "publish", Ping: "ping", Pong: "pong", Authenticate: "authenticate"}[t]
}

// Since is the position from which a subscriber wants to go on: the last event that it has.
type Since struct {
	Epoch  []byte // of the stream; any text
	Offset uint64 // 0 to 2^53-1
}

// Command is one message from a client. Its slices point into the parsed payload or into the
// Command's own buffer; they are valid until either is reused.
type Command struct {
	Type     Type
	ID       ID
	Channels [][]byte // from channel or channels; names are not checked, see CheckChannel
	Since    Since    // valid if HasSince
	HasSince bool
	Data     []byte // raw JSON; present if Type is Publish
	Token    []byte // present if Type is Authenticate; of a Subscribe, nil if it has none

	seen  keys
	texts jsonscan.Unquoter
}

// keys is the set of known keys that a message has shown so far.
type keys uint8

const (
	keyType keys = 1 << iota
	keyID
	keyChannel
	keyChannels
	keySince
	keyData
	keyToken
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
	*c = Command{Channels: c.Channels[:0], texts: c.texts}
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
		c.Channels, err = AppendChannels(c.Channels, m.Value, &c.texts)
	case keySince:
		c.Since, err = parseSince(m.Value, &c.texts)
		c.HasSince = err == nil
	case keyData:
		c.Data = m.Value
		err = CheckData(m)
	case keyToken:
		c.Token, err = parseToken(m.Value, &c.texts)
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

// parseSince reads {"epoch":"...","offset":N}; other keys in it are ignored.
func parseSince(raw []byte, u *jsonscan.Unquoter) (since Since, err *Error) {
	object := jsonscan.NewObject(raw)
	var m jsonscan.Member
	var hasEpoch, hasOffset bool
	for object.Next(&m) {
		var repeated, ok bool
		switch string(m.Key) {
		case "epoch":
			repeated, hasEpoch = hasEpoch, true
			var err error
			since.Epoch, err = u.Text(m.Value)
			ok = err == nil
		case "offset":
			repeated, hasOffset = hasOffset, true
			since.Offset, ok = jsonscan.Uint(m.Value)
		default:
			continue
		}
		if repeated {
			return Since{}, errRepeatedKey
		}
		if !ok {
			return Since{}, errBadSince
		}
	}
	if object.Err() != nil || !hasEpoch || !hasOffset {
		return Since{}, errBadSince
	}
	return since, nil
}

// check looks at what the members amount to together.
func (c *Command) check() *Error {
	const bothChannels, sinceChannels = keyChannel | keyChannels, keySince | keyChannels
	needsChannel := c.Type != Ping && c.Type != Authenticate
	switch {
	case c.seen&keyType == 0:
		return errNoType
	case c.seen&bothChannels == bothChannels:
		return errBothChannels
	case c.seen&sinceChannels == sinceChannels:
		return errSinceChannels
	case needsChannel && c.seen&bothChannels == 0:
		return errNoChannel
	case c.Type == Publish && c.seen&keyData == 0:
		return errNoData
	case c.Type == Authenticate && c.Token == nil:
		return errNoToken
	case c.Type == Subscribe && c.Token != nil && c.seen&keyChannels != 0:
		return errTokenChannels
	}
	return nil
}
