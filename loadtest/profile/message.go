package profile

// Kind says what a message from the server is.
type Kind uint8

// The messages from a server, and the fields of Message that belong to each.
const (
	// Unknown: no rule of the profile applies, or the message lacks what its rule needs: JSON that
	// is cut off, an event without data, an offset that is no number.
	Unknown Kind = iota
	// Notice: a message that the profile says to ignore.
	Notice
	// Greeted: the answer to hello.
	Greeted
	// Subscribed: the answer to a subscription. Channel; Epoch; Offset: the events behind it follow.
	// To a client that has named its position: Recovered, Latest, From and To, Missed.
	Subscribed
	// Refused: the server reports an error. Text.
	Refused
	// Event: Data; Channel; Offset.
	Event
	// Gap: events that this client will not get. From, To; Channel.
	Gap
	// Ping: the server wants Answer to be sent back.
	Ping
)

var kindNames = [...]string{"unknown", "notice", "greeted", "subscribed", "refused", "event", "gap", "ping"}

func (k Kind) String() string { return kindNames[k] }

// Message is one message from the server. Its slices point into the payload or into the Codec's
// buffers and are valid until the next call of Next; Answer is the profile's own. None may be
// modified.
type Message struct {
	Kind      Kind
	HasOffset bool
	Channel   []byte // without quotes and escapes; empty if the message does not tell
	Data      []byte // of an event: byte for byte as it came
	Offset    uint64 // valid if HasOffset
	From, To  uint64 // of a gap: the first and the last offset that is missing
	Epoch     []byte // of an answer's position; empty if the message does not tell
	Recovered bool   // the client gets all events behind its position
	HasLost   bool   // From and To are the first and the last offset that an answer says are lost
	HasLatest bool
	Latest    uint64 // offset of the channel's latest event; valid if HasLatest
	Missed    []byte // a list of events in an answer, raw; see Codec.EachMissed
	Text      []byte // of a refusal, for people
	Answer    []byte // to a ping: a text message; empty if none is wanted
}
