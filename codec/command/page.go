package command

import (
	"errors"

	"fleetcast/codec/jsonscan"
)

// errPageEvent is a fault of the answer to history.
var errPageEvent = errors.New("reading a history: an event is an object with offset and data")

// EachEvent calls visit for the events of the answer to history, in order. The data is raw JSON
// of the message. An error of visit ends it.
func (m *ServerMessage) EachEvent(visit func(offset uint64, data []byte) error) error {
	array := jsonscan.NewArray(m.Events)
	var element []byte
	for array.Next(&element) {
		offset, data, ok := pageEvent(element)
		if !ok {
			return errPageEvent
		}
		if err := visit(offset, data); err != nil {
			return err
		}
	}
	if array.Err() != nil {
		return errPageEvent
	}
	return nil
}

// pageEvent reads {"offset":N,"data":...}; other keys in it are ignored.
func pageEvent(raw []byte) (offset uint64, data []byte, ok bool) {
	object := jsonscan.NewObject(raw)
	var member jsonscan.Member
	for object.Next(&member) {
		switch string(member.Key) {
		case "offset":
			if offset, ok = jsonscan.Uint(member.Value); !ok {
				return 0, nil, false
			}
		case "data":
			data = member.Value
		}
	}
	return offset, data, object.Err() == nil && offset > 0 && data != nil
}
