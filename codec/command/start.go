package command

import (
	"bytes"

	"fleetcast/codec/jsonscan"
)

const (
	// MaxLast is how many of a channel's latest events a subscription may begin with.
	MaxLast = 1_000_000
	// MaxHistory is how many events one history command may ask for.
	MaxHistory = 1000
)

// Since is the position from which a client wants to go on: the last event that it has.
type Since struct {
	Epoch  []byte // of the stream; any text
	Offset uint64 // 0 to 2^53-1; 0 is before the first event
}

// Start is where a subscription begins. At most one of Since and Last is given; the zero value
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

// StartOf is where the subscription to channel i begins: what the channel's own object in
// channels says, or else what the message says. It is valid as long as the Command's slices.
func (c *Command) StartOf(i int) *Start {
	if i < len(c.starts) && !c.starts[i].IsLive() {
		return &c.starts[i]
	}
	return &c.Start
}

// takeChannels reads the member channels. Its elements are names, or objects with a name and
// where the subscription begins; both may stand in the same array.
func (c *Command) takeChannels(raw []byte) *Error {
	array := jsonscan.NewArray(raw)
	var element []byte
	count := 0
	for ; array.Next(&element); count++ {
		if count == MaxChannels {
			return errTooMany
		}
		if element[0] == '{' {
			if err := c.takeElement(element, count); err != nil {
				return err
			}
			continue
		}
		var err *Error
		if c.Channels, err = AppendChannel(c.Channels, element, &c.texts); err != nil {
			return errElementType
		}
	}
	if array.Err() != nil {
		return errElementType
	}
	if count == 0 {
		return errNoChannels
	}
	return nil
}

// takeElement reads the object at a place in channels. Keys that mean nothing there are
// ignored, even if they mean something in a message.
func (c *Command) takeElement(raw []byte, place int) (err *Error) {
	object := jsonscan.NewObject(raw)
	var m jsonscan.Member
	var start Start
	var seen keys
	for object.Next(&m) {
		key := commandKey(m.Key) & (keyChannel | keySince | keyLast)
		if seen&key != 0 {
			return errRepeatedKey
		}
		seen |= key
		switch key {
		case keyChannel:
			c.Channels, err = AppendChannel(c.Channels, m.Value, &c.texts)
		case keySince:
			err = start.takeSince(m.Value, &c.texts)
		case keyLast:
			err = start.takeLast(m.Value)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case seen&keyChannel == 0:
		return errNoChannel
	case start.HasSince && start.Last > 0:
		return errSinceLast
	case start.IsLive():
		return nil
	}
	for len(c.starts) < place {
		c.starts = append(c.starts, Start{})
	}
	c.starts = append(c.starts, start)
	return nil
}

// takeSince reads {"epoch":"...","offset":N}; other keys in it are ignored.
func (s *Start) takeSince(raw []byte, u *jsonscan.Unquoter) *Error {
	object := jsonscan.NewObject(raw)
	var m jsonscan.Member
	var since Since
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
			return errRepeatedKey
		}
		if !ok {
			return errBadSince
		}
	}
	if object.Err() != nil || !hasEpoch || !hasOffset {
		return errBadSince
	}
	s.Since, s.HasSince = since, true
	return nil
}

func (s *Start) takeLast(raw []byte) *Error {
	last, err := parseCount(raw, MaxLast, errBadLast)
	s.Last = uint32(last)
	return err
}

// parseCount reads an integer from 1 to most.
func parseCount(raw []byte, most uint64, bad *Error) (uint64, *Error) {
	n, ok := jsonscan.Uint(raw)
	if !ok || n == 0 || n > most {
		return 0, bad
	}
	return n, nil
}
