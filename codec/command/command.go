package command

import (
	"bytes"

	"fleetcast/codec/jsonscan"
)

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
	History      // asks for events that are kept
)

// String is the verb of the command, empty for the zero Type.
func (t Type) String() string {
	return [...]string{Subscribe: "subscribe", Unsubscribe: "unsubscribe", Publish: "publish", Ping: "ping", Pong: "pong", Authenticate: "authenticate", History: "history"}[t]
}

// Since is the position from which a subscriber wants to go on: the last event that it has.
type Since struct {
	Epoch  []byte // of the stream; any text
	Offset uint64 // 0 to 2^53-1
}

// Start is where a subscription begins, or what part of a history is asked for. The zero value
// is the live position.
type Start struct {
	Since    Since // valid if HasSince
	HasSince bool
	Last     uint32 // that many events back, at most MaxLast; 0: not given
}

// IsLive tells whether s is the live position, as nil is.
func (s *Start) IsLive() bool { return s == nil || !s.HasSince && s.Last == 0 }

// Clone is a copy that shares no memory with s.
func (s *Start) Clone() *Start {
	c := *s
	c.Since.Epoch = bytes.Clone(s.Since.Epoch)
	return &c
}

// MaxLast is how many of the latest events a client may ask for at once.
const MaxLast = 1_000_000

// Command is one message from a client. Its slices point into the parsed payload or into the
// Command's own buffer; they are valid until either is reused.
type Command struct {
	Type     Type
	ID       ID
	Channels [][]byte // from channel or channels; names are not checked, see CheckChannel
	Start    Start    // from since and last
	Data     []byte   // raw JSON; present if Type is Publish
	Token    []byte   // present if Type is Authenticate; of a Subscribe, nil if it has none
	Before   uint64   // of a History: events before this offset are asked for; 0: not given
	Limit    uint32   // of a History: how many events at most; 0: not given

	// starts has one for each of Channels if one of channels was an object.
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

// StartOf is where the subscription to channel i begins.
func (c *Command) StartOf(i int) *Start {
	if i < len(c.starts) && !c.starts[i].IsLive() {
		return &c.starts[i]
	}
	return &c.Start
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
		c.Start.Since, err = parseSince(m.Value, &c.texts)
		c.Start.HasSince = err == nil
	case keyLast:
		c.Start.Last, err = parseCount(m.Value, MaxLast, errBadLast)
	case keyBefore:
		var ok bool
		if c.Before, ok = jsonscan.Uint(m.Value); !ok || c.Before == 0 {
			err = errBadBefore
		}
	case keyLimit:
		c.Limit, err = parseCount(m.Value, MaxHistory, errBadLimit)
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
	case "last":
		return keyLast
	case "before":
		return keyBefore
	case "limit":
		return keyLimit
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
	case "history":
		return History, nil
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

// MaxHistory is how many events one history command may ask for.
const MaxHistory = 1000

// parseCount reads an integer from 1 to most.
func parseCount(raw []byte, most uint64, bad *Error) (uint32, *Error) {
	n, ok := jsonscan.Uint(raw)
	if !ok || n == 0 || n > most {
		return 0, bad
	}
	return uint32(n), nil
}

// takeChannels reads the member channels. Its elements are names, or objects with the name as
// channel, and since or last.
func (c *Command) takeChannels(raw []byte) *Error {
	array := jsonscan.NewArray(raw)
	var element []byte
	for count := 0; array.Next(&element); count++ {
		if count == MaxChannels {
			return errTooMany
		}
		if element[0] != '{' {
			var err *Error
			if c.Channels, err = AppendChannel(c.Channels, element, &c.texts); err != nil {
				return errChannelObjects
			}
			if len(c.starts) > 0 {
				c.starts = append(c.starts, Start{})
			}
			continue
		}
		for len(c.starts) < count {
			c.starts = append(c.starts, Start{})
		}
		start, err := c.takeElement(element)
		if err != nil {
			return err
		}
		c.starts = append(c.starts, start)
	}
	if array.Err() != nil {
		return errChannelObjects
	}
	if len(c.Channels) == 0 {
		return errNoChannels
	}
	return nil
}

// takeElement reads an object of channels; other keys in it are ignored.
func (c *Command) takeElement(raw []byte) (start Start, err *Error) {
	object := jsonscan.NewObject(raw)
	var m jsonscan.Member
	var seen keys
	for object.Next(&m) {
		key := commandKey(m.Key) & (keyChannel | keySince | keyLast)
		if seen&key != 0 {
			return Start{}, errRepeatedKey
		}
		seen |= key
		switch key {
		case keyChannel:
			c.Channels, err = AppendChannel(c.Channels, m.Value, &c.texts)
		case keySince:
			start.Since, err = parseSince(m.Value, &c.texts)
			start.HasSince = true
		case keyLast:
			start.Last, err = parseCount(m.Value, MaxLast, errBadLast)
		}
		if err != nil {
			return Start{}, err
		}
	}
	switch {
	case object.Err() != nil:
		return Start{}, errChannelObjects
	case seen&keyChannel == 0:
		return Start{}, errNoChannel
	case seen&(keySince|keyLast) == keySince|keyLast:
		return Start{}, errSinceLast
	}
	return start, nil
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
	const (
		bothChannels, sinceChannels = keyChannel | keyChannels, keySince | keyChannels
		sinceLast, sinceBefore      = keySince | keyLast, keySince | keyBefore
	)
	needsChannel := c.Type != Ping && c.Type != Authenticate
	switch {
	case c.seen&keyType == 0:
		return errNoType
	case c.seen&bothChannels == bothChannels:
		return errBothChannels
	case c.seen&sinceChannels == sinceChannels:
		return errSinceChannels
	case c.seen&sinceLast == sinceLast:
		return errSinceLast
	case c.seen&sinceBefore == sinceBefore:
		return errSinceBefore
	case c.Type == History && c.seen&keyChannels != 0:
		return errHistoryChannels
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
