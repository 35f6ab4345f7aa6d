package command

import (
	"slices"
	"strconv"

	"fleetcast/codec/jsonscan"
)

const dataKey = `,"data":`

// AppendEventPrefix appends the beginning of every event of a channel, up to its offset.
// It is made once per channel and shared by its events.
func AppendEventPrefix[C jsonscan.Text](dst []byte, channel C) []byte {
	const head, tail = `{"type":"event","channel":`, `,"offset":`
	dst = append(slices.Grow(dst, len(head)+len(channel)+2+len(tail)), head...)
	dst = jsonscan.AppendString(dst, channel)
	return append(dst, tail...)
}

// EventLength returns the length in bytes of what AppendEvent appends for the same arguments,
// so that a frame's header can be written before it.
func EventLength(prefix []byte, offset uint64, data []byte) int {
	return len(prefix) + decimalLength(offset) + len(dataKey) + len(data) + 1
}

// AppendEvent appends the event message with the given prefix (see AppendEventPrefix), offset and data, which
// is valid JSON and is written byte for byte.
func AppendEvent(dst, prefix []byte, offset uint64, data []byte) []byte {
	dst = append(dst, prefix...)
	dst = strconv.AppendUint(dst, offset, 10)
	dst = append(dst, dataKey...)
	dst = append(dst, data...)
	return append(dst, '}')
}

func decimalLength(n uint64) int {
	length := 1
	for n >= 10 {
		n /= 10
		length++
	}
	return length
}
