package command

import "fleetcast/codec/jsonscan"

// The functions of this file append one command of a client to dst. Channel names must be
// valid UTF-8; an ID that is not set is left out, and the gateway's answer then carries none.

// AppendSubscribe appends a subscription to one channel, from its live position on.
func AppendSubscribe[C jsonscan.Text](dst []byte, id ID, channel C) []byte {
	dst = appendHead(dst, `{"type":"subscribe"`, id)
	return append(appendText(dst, `,"channel":`, channel), '}')
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
