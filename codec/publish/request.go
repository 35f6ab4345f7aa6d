package publish

import (
	"strconv"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// MaxKey is the length of the longest key of an event, in bytes.
const MaxKey = 255

// Request is one NDJSON request: publish Data to every one of Channels. Its slices point into
// the parsed line or into the Request's own buffer; they are valid until either is reused.
type Request struct {
	ID       command.ID // none: answered only if it fails
	Channels [][]byte   // one or more, checked
	Data     []byte     // raw JSON, byte for byte
	// Key names what the event is about, such as an instrument, or is empty. While
	// events wait for a subscriber that does not keep up, an event may replace an
	// earlier one with the same key.
	Key []byte
	// Auth is the publisher's own key, in a line that has only that and perhaps an id;
	// see IsAuth.
	Auth []byte

	// User, Disconnect (a raw JSON object, nil without one) and Unsubscribe (a channel, nil
	// without one) are of a line about a user; see IsUser.
	User, Disconnect, Unsubscribe []byte

	conditions command.Conditions // valid if seen has one of conditionKeys; see Conditions

	seen  keys
	texts jsonscan.Unquoter
}

// keys is the set of known keys that a request has shown so far.
type keys uint16

const (
	keyID keys = 1 << iota
	keyChannel
	keyChannels
	keyData
	keyKey
	keyAuth
	keyUser
	keyDisconnect
	keyUnsubscribe
	keyIdempotency
	keyExpect

	conditionKeys = keyIdempotency | keyExpect

	userKeys = keyUser | keyDisconnect | keyUnsubscribe
	// userTwice is seen if one of userKeys is repeated.
	userTwice keys = 1 << 15
)

// Refusals with a fixed text.
var (
	errRepeatedKey  = &command.Error{Code: command.BadRequest, Message: "a key is repeated"}
	errBothChannels = &command.Error{Code: command.BadRequest, Message: "channel and channels exclude each other"}
	errNoChannel    = &command.Error{Code: command.BadRequest, Message: "channel is missing"}
	errBadKey       = &command.Error{Code: command.BadRequest, Message: "key must be a string of 1 to " + strconv.Itoa(MaxKey) + " bytes"}
	errKeySurrogate = &command.Error{Code: command.BadRequest, Message: "key holds half of a surrogate pair, which is no character"}
	errBadAuth      = &command.Error{Code: command.BadRequest, Message: "auth must be a string of 1 to " + strconv.Itoa(maxAuth) + " bytes"}
	errAuthAlone    = &command.Error{Code: command.BadRequest, Message: "a line with auth publishes nothing: it may have an id beside it, and no channel, channels, key or data"}
	errBadUser      = &command.Error{Code: command.BadRequest, Message: "user must be a string"}
	errBadOrder     = &command.Error{Code: command.BadRequest, Message: "disconnect must be an object, and unsubscribe the name of a channel"}
	errTwoOrders    = &command.Error{Code: command.BadRequest, Message: "disconnect and unsubscribe exclude each other"}
	errNoData       = &command.Error{Code: command.BadRequest, Message: "data is missing"}
)

// maxAuth is the length of the longest key that a publisher can show, in bytes.
const maxAuth = 255

// RequestLimits bound what a request may hold, in bytes.
type RequestLimits struct {
	Data    int // the raw JSON
	Channel int // each name, at most command.MaxChannel
}

// Parse reads one line and overwrites r with it. Keys are case-sensitive and unknown ones ignored, and so is a
// byte order mark before the object.
//
// The error is a *command.Error with bad_request, bad_channel (the message names it) or
// limit_exceeded (too much data, or more than command.MaxChannels names). r.ID is set if the line is valid JSON
// with an id, so that the answer can carry it.
func (r *Request) Parse(line []byte, limits RequestLimits) error {
	line = jsonscan.TrimMark(line)
	r.reset()
	object := jsonscan.NewObject(line)
	var member jsonscan.Member
	var refusal *command.Error
	for object.Next(&member) {
		// The walk continues after a refusal, because invalid JSON behind it matters
		// more, and an id may follow.
		if err := r.take(&member); err != nil && refusal == nil {
			refusal = err
		}
	}
	if err := object.Err(); err != nil {
		r.ID = command.ID{} // what looked like one may be part of something else
		return command.SyntaxError(line, err, object.Offset())
	}
	if refusal == nil {
		refusal = r.check(limits)
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// reset forgets the last line. It sets each field: to build a new Request and copy it
// took 3 % of a publisher's time.
func (r *Request) reset() {
	r.ID, r.Channels, r.Data, r.Key, r.Auth, r.seen = command.ID{}, r.Channels[:0], nil, nil, nil, 0
	r.User, r.Disconnect, r.Unsubscribe = nil, nil, nil
	r.texts.Reset()
}

// Conditions are those under which the event is published, nil if there are none.
func (r *Request) Conditions() *command.Conditions {
	if r.seen&conditionKeys == 0 {
		return nil
	}
	return &r.conditions
}

// IsBarrier tells whether the parsed line has an id and nothing else. It is refused,
// since it names no channel, and its sender learns from the answer that all lines
// before it were handled.
func (r *Request) IsBarrier() bool { return r.seen == keyID && r.ID.Set }

// IsAuth tells whether the parsed line shows a key and publishes nothing.
func (r *Request) IsAuth() bool { return r.seen&keyAuth != 0 }

// IsUser tells whether the parsed line is about a user: it names one and publishes nothing. In
// a line that publishes, the same keys mean nothing.
func (r *Request) IsUser() bool {
	return r.seen&keyUser != 0 && r.seen&(keyChannel|keyChannels|keyData|keyKey|keyAuth) == 0
}

// checkUser reads the members of a line about a user.
func (r *Request) checkUser() *command.Error {
	const both = keyDisconnect | keyUnsubscribe
	var err error
	switch {
	case r.seen&userTwice != 0:
		return errRepeatedKey
	case r.seen&both == both:
		return errTwoOrders
	case r.Disconnect != nil && r.Disconnect[0] != '{':
		return errBadOrder
	}
	if r.User, err = jsonscan.Unquote(r.User); err != nil {
		return errBadUser
	}
	if r.Unsubscribe == nil {
		return nil
	}
	if r.Unsubscribe, err = jsonscan.Unquote(r.Unsubscribe); err != nil {
		return errBadOrder
	}
	if err := command.CheckChannel(r.Unsubscribe); err != nil {
		return command.RefusalOf(err)
	}
	return nil
}

// take stores one member.
func (r *Request) take(m *jsonscan.Member) (err *command.Error) {
	key := requestKey(m.Key)
	if r.seen&key != 0 {
		if key&userKeys != 0 { // an event may have members that mean nothing here
			r.seen |= userTwice
			return nil
		}
		if key == keyID {
			r.ID = command.ID{} // two ids identify nothing
		}
		return errRepeatedKey
	}
	if key&conditionKeys != 0 {
		return r.takeCondition(key, m.Value)
	}
	r.seen |= key
	switch key {
	case keyID:
		r.ID, err = command.ParseID(m.Value)
	case keyChannel:
		r.Channels, err = command.AppendChannel(r.Channels, m.Value, &r.texts)
	case keyChannels:
		r.Channels, err = command.AppendChannels(r.Channels, m.Value, &r.texts)
	case keyData:
		r.Data = m.Value
		err = command.CheckData(m)
	case keyKey:
		key, bad := r.texts.Text(m.Value)
		switch {
		case bad == jsonscan.ErrSurrogate:
			return errKeySurrogate
		case bad != nil || len(key) == 0 || len(key) > MaxKey:
			return errBadKey
		}
		r.Key = key
	case keyAuth:
		auth, bad := r.texts.Text(m.Value)
		if bad != nil || len(auth) == 0 || len(auth) > maxAuth {
			return errBadAuth
		}
		r.Auth = auth
	case keyUser:
		r.User = m.Value
	case keyDisconnect:
		r.Disconnect = m.Value
	case keyUnsubscribe:
		r.Unsubscribe = m.Value
	}
	return err
}

// takeCondition stores a member of the conditions. The first one makes room.
func (r *Request) takeCondition(key keys, value []byte) *command.Error {
	if r.seen&conditionKeys == 0 {
		r.conditions = command.Conditions{}
	}
	r.seen |= key
	if key == keyIdempotency {
		return r.conditions.TakeIdempotency(value, &r.texts)
	}
	return r.conditions.TakeExpect(value, &r.texts)
}

func requestKey(key []byte) keys {
	switch string(key) {
	case "id":
		return keyID
	case "channel":
		return keyChannel
	case "channels":
		return keyChannels
	case "data":
		return keyData
	case "key":
		return keyKey
	case "auth":
		return keyAuth
	case "user":
		return keyUser
	case "disconnect":
		return keyDisconnect
	case "unsubscribe":
		return keyUnsubscribe
	case "idempotency":
		return keyIdempotency
	case "expect":
		return keyExpect
	}
	return 0
}

// check looks at what the members amount to together.
func (r *Request) check(limits RequestLimits) *command.Error {
	const bothChannels = keyChannel | keyChannels
	switch {
	case r.IsUser():
		return r.checkUser()
	case r.IsAuth() && r.seen&^(keyAuth|keyID|userKeys|userTwice) != 0:
		return errAuthAlone
	case r.IsAuth():
		return nil
	case r.seen&bothChannels == bothChannels:
		return errBothChannels
	case r.seen&bothChannels == 0:
		return errNoChannel
	case r.seen&keyData == 0:
		return errNoData
	case r.seen&(keyChannels|keyExpect) == keyChannels|keyExpect:
		return command.ErrExpectChannels
	case len(r.Data) > limits.Data:
		return dataTooLong(limits.Data)
	}
	for _, name := range r.Channels {
		if err := command.CheckChannelWithin(name, limits.Channel); err != nil {
			message := "channel " + command.QuoteChannel(name) + ": " + command.RefusalOf(err).Message
			return &command.Error{Code: command.BadChannel, Message: message}
		}
	}
	return nil
}

func dataTooLong(maxData int) *command.Error {
	return &command.Error{
		Code:    command.LimitExceeded,
		Message: "data is longer than " + strconv.Itoa(maxData) + " bytes",
	}
}
