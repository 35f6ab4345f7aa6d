package publish

import (
	"strconv"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// The functions of this file append one line of NDJSON, its LF included. Texts must be valid
// UTF-8.

// AppendResultsBegin appends the opening of the answer to the request id. One AppendResult per
// channel and an AppendResultsEnd follow.
func AppendResultsBegin(dst []byte, id command.ID) []byte {
	dst = append(dst, '{')
	if id.Set {
		dst = append(dst, `"id":`...)
		dst = strconv.AppendUint(dst, id.Value, 10)
		dst = append(dst, ',')
	}
	return append(dst, `"results":[`...)
}

// AppendResult appends the result for one channel: the event's position, and how many
// subscribers it went to, approximately while people come and go.
func AppendResult[C, E jsonscan.Text](dst []byte, channel C, epoch E, offset, subscribers uint64) []byte {
	return append(appendResult(dst, channel, epoch, offset, subscribers), '}')
}

// AppendDuplicate is AppendResult for a channel in which the event stood before, and was not
// published again.
func AppendDuplicate[C, E jsonscan.Text](dst []byte, channel C, epoch E, offset, subscribers uint64) []byte {
	return append(appendResult(dst, channel, epoch, offset, subscribers), `,"duplicate":true}`...)
}

// appendResult appends a result that is still open.
func appendResult[C, E jsonscan.Text](dst []byte, channel C, epoch E, offset, subscribers uint64) []byte {
	if dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	dst = append(dst, `{"channel":`...)
	dst = jsonscan.AppendString(dst, channel)
	dst = append(dst, `,"epoch":`...)
	dst = jsonscan.AppendString(dst, epoch)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendUint(dst, offset, 10)
	dst = append(dst, `,"subscribers":`...)
	return strconv.AppendUint(dst, subscribers, 10)
}

// AppendResultsEnd appends the end of the answer.
func AppendResultsEnd(dst []byte) []byte { return append(dst, "]}\n"...) }

// AppendResultsEndRate is AppendResultsEnd for a publisher with a rate: left is how many events
// the rate allows it at once from now on.
func AppendResultsEndRate(dst []byte, left int) []byte {
	dst = append(dst, `],"rate_left":`...)
	dst = strconv.AppendInt(dst, int64(left), 10)
	return append(dst, "}\n"...)
}

// AppendAuthenticated appends the answer to a line that showed a key, by the key's name.
func AppendAuthenticated(dst []byte, id command.ID, name string) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id.Value, 10)
	dst = append(dst, `,"authenticated":`...)
	dst = jsonscan.AppendString(dst, name)
	return append(dst, "}\n"...)
}

// AppendUserAnswer appends the answer to a request about a user, a JSON object that is not empty.
func AppendUserAnswer(dst []byte, id command.ID, answer []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id.Value, 10)
	dst = append(dst, ',')
	dst = append(dst, answer[1:]...)
	return append(dst, '\n')
}

// AppendError is AppendRefusal without a time.
func AppendError(dst []byte, id command.ID, line uint64, code command.Code, message string) []byte {
	return AppendRefusal(dst, id, line, &command.Error{Code: code, Message: message})
}

// AppendRefusal appends the refusal of a request, which it identifies by its id or, if that is not set, by
// the number of its line in the connection, counted from 1, with what else it says: when the request
// may be tried again, or where the channel is.
func AppendRefusal(dst []byte, id command.ID, line uint64, e *command.Error) []byte {
	if id.Set {
		dst = append(dst, `{"id":`...)
		dst = strconv.AppendUint(dst, id.Value, 10)
	} else {
		dst = append(dst, `{"line":`...)
		dst = strconv.AppendUint(dst, line, 10)
	}
	dst = append(dst, `,"error":{"code":`...)
	dst = jsonscan.AppendString(dst, string(e.Code))
	dst = append(dst, `,"message":`...)
	dst = e.AppendNow(jsonscan.AppendString(dst, e.Message))
	if e.RetryAfter > 0 {
		dst = append(dst, `,"retry_after_ms":`...)
		dst = strconv.AppendUint(dst, e.RetryAfterMS(), 10)
	}
	return append(dst, "}}\n"...)
}
