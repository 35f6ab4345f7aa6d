package command

import "fleetcast/codec/jsonscan"

// The functions of this file append one command of a client to dst. Channel names must be
// valid UTF-8; an ID that is not set is left out, and the gateway's answer then carries none.

// AppendSubscribe appends a subscription to channels, at least one and at most MaxChannels, from
// their live positions on.
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

// AppendUnsubscribe appends the end of a subscription.
func AppendUnsubscribe[C jsonscan.Text](dst []byte, id ID, channel C) []byte {
	dst = appendHead(dst, `{"type":"unsubscribe"`, id)
	return append(appendText(dst, `,"channel":`, channel), '}')
}

// AppendPublish appends the publication of data, which must be valid JSON.
func AppendPublish[C jsonscan.Text](dst []byte, id ID, channel C, data []byte) []byte {
	dst = appendHead(dst, `{"type":"publish"`, id)
	dst = appendText(dst, `,"channel":`, channel)
	dst = append(dst, dataKey...)
	return append(append(dst, data...), '}')
}

// AppendPing appends a ping, which the gateway answers with a pong message.
func AppendPing(dst []byte, id ID) []byte {
	return append(appendHead(dst, `{"type":"ping"`, id), '}')
}
