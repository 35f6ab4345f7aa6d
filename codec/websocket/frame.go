package websocket

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// Frames are appended to dst; if dst has room, nothing is allocated. A control frame's
// payload is cut at 125 bytes (RFC 6455, 5.5), because a longer frame would make the
// peer fail the connection.

// AppendFrame appends a server's frame: whole (FIN) and unmasked.
func AppendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	return AppendFragment(dst, op, true, payload)
}

// AppendFragment appends a server's frame that is a message's last, or its only
// one, if fin is set. The first frame of a message carries its opcode, those
// after it OpContinuation (RFC 6455, 5.4).
func AppendFragment(dst []byte, op ws.OpCode, fin bool, payload []byte) []byte {
	payload = fit(op, payload)
	dst = appendHeader(dst, firstByte(op, fin), len(payload), 0)
	return append(dst, payload...)
}

// AppendCompressedFrame appends a server's frame that is a whole message whose
// payload is compressed, as the package deflate does it (RFC 7692, 6).
func AppendCompressedFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	dst = appendHeader(dst, firstByte(op, true)|compressedMark, len(payload), 0)
	return append(dst, payload...)
}

// AppendMaskedFrame appends a client's frame: whole (FIN) and masked. A mask
// must not be predictable (RFC 6455, 5.3): ws.NewMask makes one.
func AppendMaskedFrame(dst []byte, op ws.OpCode, payload []byte, mask [4]byte) []byte {
	return AppendMaskedFragment(dst, op, true, payload, mask)
}

// AppendMaskedFragment is [AppendFragment] for a client.
func AppendMaskedFragment(dst []byte, op ws.OpCode, fin bool, payload []byte, mask [4]byte) []byte {
	return appendMasked(dst, firstByte(op, fin), fit(op, payload), mask)
}

func appendMasked(dst []byte, first byte, payload []byte, mask [4]byte) []byte {
	dst = appendHeader(dst, first, len(payload), maskBit)
	dst = append(dst, mask[0], mask[1], mask[2], mask[3])
	start := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[start:], mask, 0)
	return dst
}

// AppendHeader appends the header of a server's whole frame whose payload of
// length bytes the caller puts behind it.
func AppendHeader(dst []byte, op ws.OpCode, length int) []byte {
	return appendHeader(dst, firstByte(op, true), length, 0)
}

// AppendCompressedHeader is [AppendHeader] for a message whose payload is
// compressed.
func AppendCompressedHeader(dst []byte, op ws.OpCode, length int) []byte {
	return appendHeader(dst, firstByte(op, true)|compressedMark, length, 0)
}

// AppendMaskedHeader appends the header of a client's whole frame whose payload
// of length bytes the caller puts behind it and masks there, with ws.Cipher.
func AppendMaskedHeader(dst []byte, op ws.OpCode, length int, mask [4]byte) []byte {
	dst = appendHeader(dst, firstByte(op, true), length, maskBit)
	return append(dst, mask[0], mask[1], mask[2], mask[3])
}

// HeaderSize is the size in bytes of a server's frame header for a payload of
// length bytes: 2, 4 or 10.
func HeaderSize(length int) int {
	return ws.HeaderSize(ws.Header{Length: int64(length)})
}

// Payload is the payload of a server's whole frame.
func Payload(frame []byte) []byte {
	switch frame[1] {
	case length16:
		return frame[ws.MinHeaderSize+2:]
	case length64:
		return frame[ws.MinHeaderSize+8:]
	}
	return frame[ws.MinHeaderSize:]
}

// reserved is what BeginText sets aside: the header of a text of 126 to 65535
// bytes. Others are moved by EndText.
const reserved = 4

// BeginText sets room for a header aside at the end of dst. The caller appends
// the text behind it and then calls [EndText] with the length that dst had:
//
//	start := len(dst)
//	dst = websocket.BeginText(dst)
//	dst = append(dst, `{"type":"pong"}`...)
//	dst = websocket.EndText(dst, start)
func BeginText(dst []byte) []byte {
	return append(dst, 0, 0, 0, 0)
}

// EndText completes the server's text frame that was begun at start and returns
// dst with its new length.
func EndText(dst []byte, start int) []byte {
	length := len(dst) - start - reserved
	size := HeaderSize(length)
	if size > reserved {
		dst = append(dst, 0, 0, 0, 0, 0, 0)
	}
	if size != reserved {
		copy(dst[start+size:], dst[start+reserved:start+reserved+length])
	}
	appendHeader(dst[:start], firstByte(ws.OpText, true), length, 0)
	return dst[:start+size+length]
}

// firstByte is a header's first byte without reserved bits.
func firstByte(op ws.OpCode, fin bool) byte {
	first := byte(op) & 0xf
	if fin {
		first |= finBit
	}
	return first
}

// appendHeader appends a header up to its mask. masked is maskBit or 0.
func appendHeader(dst []byte, first byte, length int, masked byte) []byte {
	switch {
	case length <= maxLength7:
		return append(dst, first, masked|byte(length))
	case length <= maxLength16:
		return append(dst, first, masked|length16, byte(length>>8), byte(length))
	}
	dst = append(dst, first, masked|length64)
	return binary.BigEndian.AppendUint64(dst, uint64(length))
}

// putShortHeader writes the header of the control frame that frame holds, its
// two header bytes and maskSize bytes of mask included.
func putShortHeader(frame []byte, op ws.OpCode, maskSize int) {
	frame[0] = finBit | byte(op)
	frame[1] = byte(len(frame) - ws.MinHeaderSize - maskSize)
	if maskSize > 0 {
		frame[1] |= maskBit
	}
}

// fit cuts a control frame's payload to what such a frame may hold.
func fit(op ws.OpCode, payload []byte) []byte {
	if op.IsControl() && len(payload) > ws.MaxControlFramePayloadSize {
		return payload[:ws.MaxControlFramePayloadSize]
	}
	return payload
}
