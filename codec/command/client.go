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
