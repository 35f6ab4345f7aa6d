package loadtest

import (
	"fmt"
	"strconv"
	"strings"

	"fleetcast/codec/jsonscan"
	"fleetcast/loadtest/profile"
)

// appendKey appends what shows a key on a publish port, as the first thing on a
// connection.
func appendKey(dst []byte, via profile.Via, key string) []byte {
	if via == profile.NDJSON {
		dst = jsonscan.AppendString(append(dst, `{"id":0,"auth":`...), key)
		return append(dst, "}\n"...)
	}
	dst = append(dst, "*2\r\n$4\r\nAUTH\r\n$"...)
	dst = strconv.AppendInt(dst, int64(len(key)), 10)
	return append(append(append(dst, "\r\n"...), key...), "\r\n"...)
}

// keyRefused is the error for the answer to a key, nil if it was taken. A server that
// wants no key may say so.
func keyRefused(via profile.Via, answer string) error {
	switch {
	case via == profile.NDJSON && strings.Contains(answer, `"authenticated":`),
		via == profile.RESP && strings.HasPrefix(answer, "+OK"),
		via == profile.RESP && strings.Contains(answer, "without any password configured"):
		return nil
	}
	return fmt.Errorf("the server refuses the key: %s", excerpt([]byte(answer)))
}
