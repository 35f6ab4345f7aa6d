package websocket

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// CloseError says why a connection must be failed and with which close code.
// The package returns only the preallocated values below, so that errors.Is
// tells them apart and errors.As gets at the code.
type CloseError struct {
	Code   ws.StatusCode
	Reason string // fits a close frame
}

// Error implements error.
func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: close %d: %s", e.Code, e.Reason)
}

// What a peer may violate. The section is that of RFC 6455.
var (
	ErrReservedBits       = &CloseError{ws.StatusProtocolError, "reserved bit set without an extension"}             // 5.2
	ErrReservedOpCode     = &CloseError{ws.StatusProtocolError, "reserved opcode"}                                   // 5.2
	ErrLengthNotMinimal   = &CloseError{ws.StatusProtocolError, "payload length not in its shortest form"}           // 5.2
	ErrLengthHighBit      = &CloseError{ws.StatusProtocolError, "payload length with its highest bit set"}           // 5.2
	ErrMaskRequired       = &CloseError{ws.StatusProtocolError, "frame from a client is not masked"}                 // 5.1
	ErrMaskUnexpected     = &CloseError{ws.StatusProtocolError, "frame from a server is masked"}                     // 5.1
	ErrContinuation       = &CloseError{ws.StatusProtocolError, "continuation frame without a message to continue"}  // 5.4
	ErrFragmentExpected   = &CloseError{ws.StatusProtocolError, "new data frame inside a fragmented message"}        // 5.4
	ErrControlTooLong     = &CloseError{ws.StatusProtocolError, "control frame longer than 125 bytes"}               // 5.5
	ErrControlFragmented  = &CloseError{ws.StatusProtocolError, "fragmented control frame"}                          // 5.5
	ErrCloseBody          = &CloseError{ws.StatusProtocolError, "close frame with a body of one byte"}               // 5.5.1
	ErrCloseCode          = &CloseError{ws.StatusProtocolError, "close code that must not be sent"}                  // 7.4
	ErrCloseReasonNotUTF8 = &CloseError{ws.StatusInvalidFramePayloadData, "close reason is not UTF-8"}               // 5.5.1
	ErrTextNotUTF8        = &CloseError{ws.StatusInvalidFramePayloadData, "text message is not UTF-8"}               // 8.1
	ErrCompression        = &CloseError{ws.StatusInvalidFramePayloadData, "compressed message does not inflate"}     // RFC 7692, 7.2.2
	ErrMessageTooBig      = &CloseError{ws.StatusMessageTooBig, "message is larger than this endpoint takes"}        // 7.4.1
	errHeaderRefused      = &CloseError{ws.StatusProtocolError, "frame header breaks a rule of the framing section"} // 5.2
)

// Codes that IANA's registry has beyond RFC 6455 and that gobwas/ws does not
// know. 1013 is what slow consumers are closed with.
const (
	StatusServiceRestart ws.StatusCode = 1012
	StatusTryAgainLater  ws.StatusCode = 1013
	StatusBadGateway     ws.StatusCode = 1014
)

// MaxCloseReason is how long the reason in a close frame may be, in bytes: what a
// control frame leaves beside the code (RFC 6455, section 5.5).
const MaxCloseReason = ws.MaxControlFramePayloadSize - 2

// ParseClose parses the body of a close frame. An empty body is code 1005 (RFC 6455,
// 7.1.5). reason lies in payload. The error is a [*CloseError]. Close messages from
// [Reader.Next] have no error.
func ParseClose(payload []byte) (code ws.StatusCode, reason []byte, err error) {
	code, reason, refused := parseClose(payload)
	if refused != nil {
		return code, reason, refused
	}
	return code, reason, nil
}

func parseClose(payload []byte) (ws.StatusCode, []byte, *CloseError) {
	switch len(payload) {
	case 0:
		return ws.StatusNoStatusRcvd, nil, nil
	case 1:
		return ws.StatusProtocolError, nil, ErrCloseBody
	}
	code, reason := ws.StatusCode(binary.BigEndian.Uint16(payload)), payload[2:]
	if !mayBeSent(code) {
		return code, reason, ErrCloseCode
	}
	if !utf8.Valid(reason) {
		return code, reason, ErrCloseReasonNotUTF8
	}
	return code, reason, nil
}

// mayBeSent tells whether code may be on the wire (RFC 6455, 7.4): not 1005,
// 1006, 1015, nothing unassigned below 3000, nothing from 5000 on.
func mayBeSent(code ws.StatusCode) bool {
	switch code {
	case StatusServiceRestart, StatusTryAgainLater, StatusBadGateway:
		return true
	}
	return code <= ws.StatusRangePrivate.Max && ws.CheckCloseFrameData(code, "") == nil
}

// AppendClose appends a server's close frame. A code that must not be on the
// wire (1005, 1006, 1015 and the unassigned) gives a frame without a body. The
// reason is cut to 123 bytes at a character's end.
func AppendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	start := len(dst)
	dst = append(dst, 0, 0)
	dst = appendCloseBody(dst, code, reason)
	putShortHeader(dst[start:], ws.OpClose, 0)
	return dst
}

// AppendMaskedClose is [AppendClose] for a client.
func AppendMaskedClose(dst []byte, code ws.StatusCode, reason string, mask [4]byte) []byte {
	const header = 2 + len(mask)
	start := len(dst)
	dst = append(dst, 0, 0, mask[0], mask[1], mask[2], mask[3])
	dst = appendCloseBody(dst, code, reason)
	putShortHeader(dst[start:], ws.OpClose, len(mask))
	ws.Cipher(dst[start+header:], mask, 0)
	return dst
}

func appendCloseBody(dst []byte, code ws.StatusCode, reason string) []byte {
	if !mayBeSent(code) {
		return dst
	}
	reason = cutReason(strings.ToValidUTF8(reason, "?"))
	start := len(dst)
	dst = append(dst, 0, 0)
	dst = append(dst, reason...)
	ws.PutCloseFrameBody(dst[start:], code, reason)
	return dst
}

// cutReason shortens valid UTF-8 to what a close frame holds.
func cutReason(reason string) string {
	if len(reason) <= MaxCloseReason {
		return reason
	}
	end := MaxCloseReason
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}
