package publisher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"github.com/bytedance/sonic/decoder"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// This file is all that the package knows of the publish protocol's bytes: one
// request a line, one reply a line.

const (
	maxReplyLength = 1 << 20 // bytes, of a reply's line

	// maxRetryAfterMS keeps what a gateway says within a Duration: a century.
	maxRetryAfterMS = 100 * 365 * 24 * 60 * 60 * 1000

	// requestOverhead bounds what a request adds to its body: `{"id":N,` with
	// the largest N.
	requestOverhead = len(`{"id":18446744073709551615,`)
)

// checkChannel refuses a name that the gateway would refuse.
func checkChannel(name string) error {
	err := command.CheckChannel([]byte(name))
	if err == nil {
		return nil
	}
	return &Error{Code: CodeBadChannel, Message: "channel " + command.QuoteChannel([]byte(name)) + ": " + command.RefusalOf(err).Message}
}

// checkData returns data as it may stand in a line: itself without a byte order
// mark before it, or compacted if it spans several lines.
//
// It must be one JSON value, or it could end the request early and add members or whole
// requests of its own. The check is the gateway's own, so that the gateway does not
// refuse as malformed what is accepted here.
func checkData(data []byte) ([]byte, error) {
	data = jsonscan.TrimMark(data)
	switch valid, deep := jsonscan.Check(data); {
	case jsonscan.HasUTF16Mark(data):
		return nil, &Error{Code: CodeBadRequest, Message: "data starts with the byte order mark of UTF-16; it must be UTF-8"}
	case deep:
		return nil, &Error{Code: CodeBadRequest, Message: command.ErrDataDepth.Message}
	case !valid:
		return nil, &Error{Code: CodeBadRequest, Message: "data is not valid JSON in UTF-8"}
	}
	if bytes.IndexByte(data, '\n') < 0 {
		return data, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, &Error{Code: CodeBadRequest, Message: "data is not valid JSON: " + err.Error()}
	}
	return compact.Bytes(), nil
}

// appendHead begins a request. An id of 0 stands for none.
func appendHead(dst []byte, id uint64) []byte {
	if id == 0 {
		return append(dst, '{')
	}
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	return append(dst, ',')
}

// appendBody ends a request to one channel. The arguments were checked.
func appendBody(dst []byte, channel string, o *eventOptions, data []byte) []byte {
	dst = append(dst, `"channel":`...)
	dst = jsonscan.AppendString(dst, channel)
	return appendData(o.append(dst), data)
}

// appendBodyMany is appendBody for several channels.
func appendBodyMany(dst []byte, channels []string, o *eventOptions, data []byte) []byte {
	dst = append(dst, `"channels":[`...)
	for i, channel := range channels {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonscan.AppendString(dst, channel)
	}
	dst = append(dst, ']')
	return appendData(o.append(dst), data)
}

func appendData(dst, data []byte) []byte {
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	return append(dst, '}', '\n')
}

// bodyLength bounds the length of appendBody's text without options and data. A checked name has
// no control characters, so that an escape makes two bytes of one at most.
func bodyLength(channel string) int { return len(`"channel":"","data":}`) + 1 + 2*len(channel) }

// bodyLengthMany is bodyLength of appendBodyMany's text.
func bodyLengthMany(channels []string) int {
	n := len(`"channels":[],"data":}`) + 1
	for _, channel := range channels {
		n += 2*len(channel) + len(`"",`)
	}
	return n
}

// appendBarrier appends a request that publishes nothing. It has no channel, so
// the gateway answers it with an error; as replies come in order, that error
// says that every request before it was handled.
func appendBarrier(dst []byte, id uint64) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	return append(dst, '}', '\n')
}

// reply is one line of the gateway. Zero ID or Line stand for none: this package
// counts both from 1.
type reply struct {
	ID      uint64       `json:"id"`
	Line    uint64       `json:"line"`
	Results []wireResult `json:"results"`
	Error   wireError    `json:"error"`
	// RateLeft is there if the gateway bounds the rate of this connection.
	RateLeft *int `json:"rate_left"`
}

type wireResult struct {
	Channel     string `json:"channel"`
	Epoch       string `json:"epoch"`
	Offset      uint64 `json:"offset"`
	Subscribers uint64 `json:"subscribers"`
	Duplicate   bool   `json:"duplicate"`
}

type wireError struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	RetryAfterMS uint64 `json:"retry_after_ms"`
	Epoch        string `json:"epoch"`
	Offset       uint64 `json:"offset"`
}

// replyDecoder decodes lines into one reply that it reuses, without allocating.
// One goroutine at a time may use it.
type replyDecoder struct {
	json  *decoder.Decoder
	reply reply
}

// decode parses one line, without its newline. The reply's strings may point
// into the line: they are valid as long as it is, and until the next decode.
func (d *replyDecoder) decode(line []byte) (*reply, error) {
	r := &d.reply
	clear(r.Results)
	*r = reply{Results: r.Results[:0]}
	text := unsafe.String(unsafe.SliceData(line), len(line))
	if d.json == nil {
		d.json = decoder.NewDecoder(text)
	}
	d.json.Reset(text)
	err := d.json.Decode(r)
	if err == nil {
		err = d.json.CheckTrailings()
	}
	switch {
	case err != nil && isHTTP(line):
		return nil, errHTTP
	case err != nil:
		// The decoder's own message quotes the line, whose memory is not ours.
		return nil, fmt.Errorf("%w: %.100q is not a JSON object of known shape", ErrProtocol, line)
	}
	return r, r.check(line)
}

// check accepts the three shapes of the protocol: results with an id, an error
// with an id, an error with a line's number.
func (r *reply) check(line []byte) error {
	refused := r.Error.Code != ""
	switch {
	case r.ID != 0 && r.Line == 0 && refused != (len(r.Results) > 0):
		return nil
	case r.ID == 0 && r.Line != 0 && refused && len(r.Results) == 0:
		return nil
	case refused:
		return fmt.Errorf("%w: error about no request: %w", ErrProtocol, r.refusal())
	}
	return fmt.Errorf("%w: %.100q has no known shape", ErrProtocol, line)
}

// refusal returns the reply's error as a value that outlives the line.
func (r *reply) refusal() *Error {
	return &Error{
		Code:       string([]byte(r.Error.Code)),
		Message:    string([]byte(r.Error.Message)),
		RetryAfter: time.Duration(min(r.Error.RetryAfterMS, maxRetryAfterMS)) * time.Millisecond,
		Epoch:      string([]byte(r.Error.Epoch)),
		Offset:     r.Error.Offset,
	}
}
