package publish

import (
	"unicode/utf8"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

var (
	errPayloadUTF8  = &command.Error{Code: command.BadRequest, Message: "payload is not valid UTF-8"}
	errPayloadUTF16 = &command.Error{Code: command.BadRequest, Message: "payload starts with the byte order mark of UTF-16; send UTF-8"}
)

// DataFromPayload turns the payload of a RESP PUBLISH into an event's data. A byte order mark of UTF-8 before it
// is left out. Valid JSON is returned as it is, as a slice of payload; other UTF-8 text becomes a JSON string,
// which overwrites scratch. The data may have up to maxData bytes.
//
// The error is a *command.Error with bad_request (not UTF-8, or JSON that nests too deeply) or limit_exceeded.
func DataFromPayload(scratch *[]byte, payload []byte, maxData int) (data []byte, err error) {
	payload = jsonscan.TrimMark(payload)
	if len(payload) > maxData {
		return nil, dataTooLong(maxData)
	}
	switch valid, deep := jsonscan.Check(payload); {
	case deep:
		return nil, command.ErrDataDepth // as a string it would be of another type than its neighbours
	case valid:
		return payload, nil
	}
	if jsonscan.HasUTF16Mark(payload) {
		return nil, errPayloadUTF16
	}
	if !utf8.Valid(payload) {
		return nil, errPayloadUTF8
	}
	// Escapes make up to six bytes of one, so that the length is known only afterwards.
	data = jsonscan.AppendString((*scratch)[:0], payload)
	*scratch = data
	if len(data) > maxData {
		return nil, dataTooLong(maxData)
	}
	return data, nil
}
