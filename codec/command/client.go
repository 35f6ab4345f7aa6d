package command

import (
	"strconv"

	"fleetcast/codec/jsonscan"
)

// AppendAuthenticate appends a token by which a client says who it is.
func AppendAuthenticate[T jsonscan.Text](dst []byte, id ID, token T) []byte {
	return append(appendText(appendHead(dst, `{"type":"authenticate"`, id), `,"token":`, token), '}')
}

// AppendSubscribe appends a client's subscription to channels, at least one and at most MaxChannels,
// from their live positions on. Channel names must be valid UTF-8; an ID that is not set is left
// out, and the gateway's answer then carries none.
func AppendSubscribe[C jsonscan.Text](dst []byte, id ID, channels ...C) []byte {
	dst = appendHead(dst, `{"type":"subscribe"`, id)
	if len(channels) == 1 {
		return append(appendText(dst, `,"channel":`, channels[0]), '}')
	}
	separator := `,"channels":[`
	for _, channel := range channels {
		dst = appendText(dst, separator, channel)
		separator = ","
	}
	return append(dst, "]}"...)
}

// AppendResume appends a client's subscription to one channel from a start on.
func AppendResume[C jsonscan.Text](dst []byte, id ID, channel C, start Start) []byte {
	return append(start.append(appendText(appendHead(dst, `{"type":"subscribe"`, id), `,"channel":`, channel)), '}')
}

// AppendResumes appends a client's subscription to several channels, at least one and at most
// MaxChannels, each from a start of its own on.
func AppendResumes[C jsonscan.Text](dst []byte, id ID, channels []C, starts []Start) []byte {
	dst = appendHead(dst, `{"type":"subscribe"`, id)
	separator := `,"channels":[{"channel":`
	for i, channel := range channels {
		dst = append(starts[i].append(appendText(dst, separator, channel)), '}')
		separator = `,{"channel":`
	}
	return append(dst, "]}"...)
}

// AppendHistoryCommand appends a client's question for events of a channel: those behind a
// position, those before an offset (0: not given), or the latest ones; at most limit (0: not
// given).
func AppendHistoryCommand[C jsonscan.Text](dst []byte, id ID, channel C, start Start, before uint64, limit uint32) []byte {
	dst = start.append(appendText(appendHead(dst, `{"type":"history"`, id), `,"channel":`, channel))
	if before > 0 {
		dst = strconv.AppendUint(append(dst, `,"before":`...), before, 10)
	}
	if limit > 0 {
		dst = strconv.AppendUint(append(dst, `,"limit":`...), uint64(limit), 10)
	}
	return append(dst, '}')
}

// append appends the members of a start, behind others.
func (s *Start) append(dst []byte) []byte {
	if s.HasSince {
		dst = appendText(dst, `,"since":{"epoch":`, s.Since.Epoch)
		dst = appendLast(dst, `,"offset":`, s.Since.Offset)
	}
	if s.Last > 0 {
		dst = strconv.AppendUint(append(dst, `,"last":`...), uint64(s.Last), 10)
	}
	return dst
}
