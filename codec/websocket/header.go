package websocket

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// Bits and markers of a frame header (RFC 6455, 5.2).
const (
	finBit  = 0x80
	maskBit = 0x80

	// compressedMark is RSV1 of a message's first frame (RFC 7692, 6), and
	// compressedBit the same as ws.Header has it.
	compressedMark = 0x40
	compressedBit  = compressedMark >> 4

	length16 = 126 // two bytes of length follow
	length64 = 127 // eight bytes of length follow

	maxLength7  = 125
	maxLength16 = 1<<16 - 1
)

// parseHeader reads the header at the start of b. n is its size in bytes, 0 if
// b does not hold all of it. It refuses only what cannot be put in a ws.Header;
// the rest is ws.CheckHeader's.
func parseHeader(b []byte) (h ws.Header, n int, refused *CloseError) {
	if len(b) < ws.MinHeaderSize {
		return h, 0, nil
	}
	h.Fin = b[0]&finBit != 0
	h.Rsv = b[0] >> 4 & 0x7
	h.OpCode = ws.OpCode(b[0] & 0xf)
	h.Masked = b[1]&maskBit != 0
	h.Length = int64(b[1] &^ maskBit)
	n = ws.MinHeaderSize

	switch h.Length {
	case length16:
		if len(b) < n+2 {
			return h, 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint16(b[n:]))
		n += 2
		if h.Length <= maxLength7 {
			return h, n, ErrLengthNotMinimal
		}
	case length64:
		if len(b) < n+8 {
			return h, 0, nil
		}
		length := binary.BigEndian.Uint64(b[n:])
		n += 8
		if length>>63 != 0 {
			return h, n, ErrLengthHighBit
		}
		if length <= maxLength16 {
			return h, n, ErrLengthNotMinimal
		}
		h.Length = int64(length)
	}

	if h.Masked {
		if len(b) < n+len(h.Mask) {
			return h, 0, nil
		}
		n += copy(h.Mask[:], b[n:])
	}
	return h, n, nil
}

// checkHeader applies RFC 6455's rules for a header that arrives in state s.
func checkHeader(h ws.Header, s ws.State) *CloseError {
	switch ws.CheckHeader(h, s) {
	case nil:
		return nil
	case ws.ErrProtocolOpCodeReserved:
		return ErrReservedOpCode
	case ws.ErrProtocolControlPayloadOverflow:
		return ErrControlTooLong
	case ws.ErrProtocolControlNotFinal:
		return ErrControlFragmented
	case ws.ErrProtocolNonZeroRsv:
		return ErrReservedBits
	case ws.ErrProtocolMaskRequired:
		return ErrMaskRequired
	case ws.ErrProtocolMaskUnexpected:
		return ErrMaskUnexpected
	case ws.ErrProtocolContinuationExpected:
		return ErrFragmentExpected
	case ws.ErrProtocolContinuationUnexpected:
		return ErrContinuation
	}
	return errHeaderRefused
}
