package command

import "fleetcast/codec/jsonscan"

// AppendAuthenticate appends a token by which a client says who it is.
func AppendAuthenticate[T jsonscan.Text](dst []byte, id ID, token T) []byte {
	return append(appendText(appendHead(dst, `{"type":"authenticate"`, id), `,"token":`, token), '}')
}

// AppendSubscribe appends a client's subscription to channels, at least one and at most MaxChannels,
// from their live positions on. Channel names must be valid UTF-8; an ID that is not set is left
// out, and the gateway's answer then carries none.
func AppendSubscribe[C jsonscan.Text](dst []byte, id ID, channels ...C) []byte {
	if len(channels) == 1 {
		return AppendResume(dst, id, channels[0], Start{})
	}
	dst = appendHead(dst, `{"type":"subscribe"`, id)
	separator := `,"channels":[`
	for _, channel := range channels {
		dst = appendText(dst, separator, channel)
		separator = ","
	}
	return append(dst, "]}"...)
}

// AppendResume appends a client's subscription to one channel, from start on.
func AppendResume[C jsonscan.Text](dst []byte, id ID, channel C, start Start) []byte {
	dst = appendText(appendHead(dst, `{"type":"subscribe"`, id), `,"channel":`, channel)
	return append(start.append(dst), '}')
}

// AppendResumes appends a client's subscription to several channels, at least one and at most
// MaxChannels. starts has one for each of them.
func AppendResumes[C jsonscan.Text](dst []byte, id ID, channels []C, starts []Start) []byte {
	dst = appendHead(dst, `{"type":"subscribe"`, id)
	separator := `,"channels":[{"channel":`
	for i, channel := range channels {
		dst = append(starts[i].append(appendText(dst, separator, channel)), '}')
		separator = `,{"channel":`
	}
	return append(dst, "]}"...)
}

// append appends the members of a start, behind others.
func (s *Start) append(dst []byte) []byte {
	switch {
	case s.HasSince:
		return s.Since.append(dst)
	case s.Last > 0:
		return appendNumber(dst, `,"last":`, uint64(s.Last))
	}
	return dst
}

// append appends the member since, behind others.
func (s *Since) append(dst []byte) []byte {
	return appendLast(appendText(dst, `,"since":{"epoch":`, s.Epoch), `,"offset":`, s.Offset)
}

// AppendHistoryCommand appends a client's question for at most limit events of a channel: those
// behind since, those before an offset, or the latest ones. At most one of since and before is
// given; nil and 0 leave them out. A limit of 0 leaves it to the gateway.
func AppendHistoryCommand[C jsonscan.Text](dst []byte, id ID, channel C, since *Since, before uint64, limit uint32) []byte {
	dst = appendText(appendHead(dst, `{"type":"history"`, id), `,"channel":`, channel)
	if since != nil {
		dst = since.append(dst)
	}
	if before > 0 {
		dst = appendNumber(dst, `,"before":`, before)
	}
	if limit > 0 {
		dst = appendNumber(dst, `,"limit":`, uint64(limit))
	}
	return append(dst, '}')
}
