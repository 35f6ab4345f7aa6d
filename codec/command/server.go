package command

import (
	"errors"
	"fmt"

	"fleetcast/codec/jsonscan"
)

// Kind says what a message from the gateway is.
type Kind uint8

// The messages from the gateway. KindUnknown is a message of a later version, which a
// client ignores.
const (
	KindUnknown Kind = iota
	KindWelcome
	KindSubscribed
	KindUnsubscribed
	KindPublished
	KindPong
	KindEvent
	KindGap
	KindError
	KindGoodbye
	KindAuthenticated
	KindHistory
)

// ServerMessage is one message from the gateway. Which fields are valid depends on its Kind;
// slices point into the parsed payload or into the message's own buffer and are valid until
// either is reused.
type ServerMessage struct {
	Kind           Kind
	ID             ID     // of the command that is answered, if it had one
	Client         []byte // welcome
	PingIntervalMS uint64 // welcome
	User           []byte // welcome, authenticated; nil for nobody in particular
	Ticket         []byte // welcome, authenticated; nil if it has none
	ExpiresMS      uint64 // welcome, authenticated, subscribed; 0: never
	RefreshMS      uint64 // welcome, authenticated, subscribed; 0: need not
	WithinMS       uint64 // welcome: to authenticate; 0: need not
	Limits         []byte // welcome: raw JSON, which ParseLimits reads; nil if it has none
	Channel        []byte // subscribed, unsubscribed, published, event, gap, history
	Epoch          []byte // subscribed, history; published with conditions; error with the code conflict
	Resumes        bool   // subscribed: the client has named a position, and Recovered is valid
	Recovered      bool   // subscribed: every event behind that position follows
	LostFrom       uint64 // subscribed: first event behind it that does not; 0: there is none, or nobody knows
	LostTo         uint64 // subscribed: last one
	Latest         uint64 // subscribed, history: offset of the channel's latest event; 0: there was none yet, or it does not say
	Events         []byte // history: raw JSON, an array, which AppendEvents reads
	More           bool   // history: more are kept in the direction that was asked for
	Offset         uint64 // subscribed, published, event; error with the code conflict: where the channel is
	Duplicate      bool   // published: the event stood there before
	From, To       uint64 // gap: first and last missing offset
	Data           []byte // event: raw JSON
	Code           []byte // error; unsubscribed, if the gateway has ended the subscription
	Message        []byte // error
	Reason         []byte // goodbye
	RetryAfterMS   uint64 // goodbye; error, 0 if it does not say

	seen  fields
	texts jsonscan.Unquoter
}

// fields is a set of a message's members.
type fields uint32

const (
	fieldType fields = 1 << iota
	fieldID
	fieldClient
	fieldPingInterval
	fieldChannel
	fieldEpoch
	fieldOffset
	fieldFrom
	fieldTo
	fieldData
	fieldCode
	fieldMessage
	fieldReason
	fieldRetryAfter
	fieldLimits
	fieldUser
	fieldTicket
	fieldExpires
	fieldRefresh
	fieldWithin
	fieldRecovered
	fieldLost
	fieldLatest
	fieldEvents
	fieldMore
	fieldDuplicate
)

// required lists what a message of each kind must have.
var required = [...]fields{
	KindUnknown:       0,
	KindWelcome:       fieldClient | fieldPingInterval,
	KindSubscribed:    fieldChannel | fieldEpoch | fieldOffset,
	KindUnsubscribed:  fieldChannel,
	KindPublished:     fieldChannel | fieldOffset,
	KindPong:          0,
	KindEvent:         fieldChannel | fieldOffset | fieldData,
	KindGap:           fieldChannel | fieldFrom | fieldTo,
	KindError:         fieldCode | fieldMessage,
	KindGoodbye:       fieldReason | fieldRetryAfter,
	KindAuthenticated: 0,
	KindHistory:       fieldChannel | fieldEpoch | fieldLatest | fieldEvents | fieldMore,
}

// Faults of a message from the gateway.
var (
	errField       = errors.New("a known key is repeated or has the wrong kind of value")
	errNoField     = errors.New("a required key is missing")
	errTypeMissing = errors.New("type is missing")
)

// Parse reads one message and overwrites m with it. A message of unknown type is no error:
// its Kind is KindUnknown.
func (m *ServerMessage) Parse(payload []byte) error {
	m.texts.Reset()
	*m = ServerMessage{texts: m.texts}
	object := jsonscan.NewObject(payload)
	var member jsonscan.Member
	for object.Next(&member) {
		if !m.take(&member) {
			return fmt.Errorf("reading a server message: %q: %w", member.Key, errField)
		}
	}
	if err := object.Err(); err != nil {
		return fmt.Errorf("reading a server message at byte %d: %w", object.Offset(), err)
	}
	if m.seen&fieldType == 0 {
		return fmt.Errorf("reading a server message: %w", errTypeMissing)
	}
	if need := required[m.Kind]; m.seen&need != need {
		return fmt.Errorf("reading a server message: %w", errNoField)
	}
	return nil
}

// take stores one member; it returns false if it is repeated or of the wrong kind.
func (m *ServerMessage) take(member *jsonscan.Member) bool {
	field, text, number := m.field(member.Key)
	if field == 0 {
		return true
	}
	if m.seen&field != 0 {
		return false
	}
	m.seen |= field
	var ok bool
	switch {
	case text != nil:
		var err error
		*text, err = m.texts.Text(member.Value)
		ok = err == nil
	case number != nil:
		*number, ok = jsonscan.Uint(member.Value)
	case field == fieldType:
		m.Kind, ok = parseKind(member.Value, &m.texts)
	case field == fieldID:
		m.ID.Value, ok = jsonscan.Uint(member.Value)
		m.ID.Set = ok
	case field == fieldData:
		m.Data, ok = member.Value, true
	case field == fieldLimits:
		m.Limits, ok = member.Value, true
	case field == fieldRecovered:
		m.Recovered, ok = parseBool(member.Value)
		m.Resumes = true
	case field == fieldDuplicate:
		m.Duplicate, ok = parseBool(member.Value)
	case field == fieldMore:
		m.More, ok = parseBool(member.Value)
	case field == fieldEvents:
		m.Events, ok = member.Value, member.Value[0] == '['
	case field == fieldLost:
		m.LostFrom, m.LostTo, ok = parseLost(member.Value)
	}
	return ok
}

func parseBool(raw []byte) (value, ok bool) {
	value = string(raw) == "true"
	return value, value || string(raw) == "false"
}

// parseLost reads {"from":N,"to":M}; other keys in it are ignored.
func parseLost(raw []byte) (from, to uint64, ok bool) {
	object := jsonscan.NewObject(raw)
	var member jsonscan.Member
	for object.Next(&member) {
		number := &from
		switch string(member.Key) {
		case "from":
		case "to":
			number = &to
		default:
			continue
		}
		if *number != 0 {
			return 0, 0, false // repeated
		}
		if *number, ok = jsonscan.Uint(member.Value); !ok || *number == 0 {
			return 0, 0, false
		}
	}
	return from, to, object.Err() == nil && 0 < from && from <= to
}

// AppendEvents appends the events of a history message to events. Their data points into the
// message's payload.
func (m *ServerMessage) AppendEvents(events []PageEvent) ([]PageEvent, error) {
	array := jsonscan.NewArray(m.Events)
	var raw []byte
	for array.Next(&raw) {
		event, err := parsePageEvent(raw)
		if err != nil {
			return events, fmt.Errorf("reading an event of a history: %w", err)
		}
		events = append(events, event)
	}
	if err := array.Err(); err != nil {
		return events, fmt.Errorf("reading the events of a history at byte %d: %w", array.Offset(), err)
	}
	return events, nil
}

// parsePageEvent reads {"offset":N,"data":...}; other keys in it are ignored.
func parsePageEvent(raw []byte) (event PageEvent, err error) {
	object := jsonscan.NewObject(raw)
	var member jsonscan.Member
	var seen fields
	for object.Next(&member) {
		var field fields
		ok := true
		switch string(member.Key) {
		case "offset":
			field = fieldOffset
			event.Offset, ok = jsonscan.Uint(member.Value)
		case "data":
			field = fieldData
			event.Data = member.Value
		}
		if !ok || seen&field != 0 {
			return PageEvent{}, fmt.Errorf("%q: %w", member.Key, errField)
		}
		seen |= field
	}
	if err := object.Err(); err != nil {
		return PageEvent{}, err
	}
	if seen != fieldOffset|fieldData {
		return PageEvent{}, errNoField
	}
	return event, nil
}

// field returns the field that a key names and, for a text or a number, where to store
// it.
func (m *ServerMessage) field(key []byte) (field fields, text *[]byte, number *uint64) {
	switch string(key) {
	case "type":
		return fieldType, nil, nil
	case "id":
		return fieldID, nil, nil
	case "data":
		return fieldData, nil, nil
	case "limits":
		return fieldLimits, nil, nil
	case "recovered":
		return fieldRecovered, nil, nil
	case "lost":
		return fieldLost, nil, nil
	case "events":
		return fieldEvents, nil, nil
	case "more":
		return fieldMore, nil, nil
	case "duplicate":
		return fieldDuplicate, nil, nil
	case "latest":
		return fieldLatest, nil, &m.Latest
	case "client":
		return fieldClient, &m.Client, nil
	case "ping_interval_ms":
		return fieldPingInterval, nil, &m.PingIntervalMS
	case "channel":
		return fieldChannel, &m.Channel, nil
	case "epoch":
		return fieldEpoch, &m.Epoch, nil
	case "offset":
		return fieldOffset, nil, &m.Offset
	case "from":
		return fieldFrom, nil, &m.From
	case "to":
		return fieldTo, nil, &m.To
	case "code":
		return fieldCode, &m.Code, nil
	case "message":
		return fieldMessage, &m.Message, nil
	case "reason":
		return fieldReason, &m.Reason, nil
	case "retry_after_ms":
		return fieldRetryAfter, nil, &m.RetryAfterMS
	case "user":
		return fieldUser, &m.User, nil
	case "ticket":
		return fieldTicket, &m.Ticket, nil
	case "expires_in_ms":
		return fieldExpires, nil, &m.ExpiresMS
	case "refresh_in_ms":
		return fieldRefresh, nil, &m.RefreshMS
	case "authenticate_within_ms":
		return fieldWithin, nil, &m.WithinMS
	}
	return 0, nil, nil
}

// kinds are the texts of the messages' types.
var kinds = [...]string{
	KindWelcome: "welcome", KindSubscribed: "subscribed", KindUnsubscribed: "unsubscribed", KindPublished: "published",
	KindPong: "pong", KindEvent: "event", KindGap: "gap", KindError: "error", KindGoodbye: "goodbye",
	KindAuthenticated: "authenticated", KindHistory: "history",
}

func parseKind(raw []byte, u *jsonscan.Unquoter) (kind Kind, ok bool) {
	text, err := u.Text(raw)
	for kind := KindWelcome; err == nil && int(kind) < len(kinds); kind++ {
		if string(text) == kinds[kind] {
			return kind, true
		}
	}
	return KindUnknown, err == nil
}
