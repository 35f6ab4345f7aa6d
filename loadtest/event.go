package loadtest

import (
	"bytes"
	"math/rand/v2"
	"strconv"
)

const (
	// MinPayload is the smallest size of an event's data in bytes: it leaves
	// room for the longest sequence number and time.
	MinPayload = 64
	// MaxPayload is the largest size of an event's data in bytes.
	MaxPayload = 60 << 10
	// MaxEcho is the largest size of a message of the scenario echo in bytes.
	MaxEcho = 16 << 20

	// paddings is how many different paddings there are. Events that are mixed
	// up with one another within less than that are told apart by padding too.
	paddings = 4093
)

const (
	sequenceKey = `{"s":`
	timeKey     = `,"t":`
	paddingKey  = `,"p":"`
	dataEnd     = `"}`
)

// paddingSource is text in which the padding of each event is a window.
var paddingSource = newPaddingSource()

func newPaddingSource() []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	random := rand.New(rand.NewPCG(6455, 7692)) // the same in every process
	text := make([]byte, paddings+MaxPayload)
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return text
}

// appendData appends the data of event seq, due at the given Unix time in
// nanoseconds: JSON of exactly size bytes, MinPayload to MaxEcho.
func appendData(dst []byte, seq, due int64, size int) []byte {
	start := len(dst)
	dst = appendHead(dst, seq, due)
	padding := size - (len(dst) - start) - len(dataEnd)
	for from := int(seq % paddings); padding > 0; from = 0 {
		n := min(padding, len(paddingSource)-from)
		dst = append(dst, paddingSource[from:from+n]...)
		padding -= n
	}
	return append(dst, dataEnd...)
}

// isData tells whether data is, byte for byte, what appendData appends.
func isData(data []byte, seq, due int64, size int) bool {
	var room [MinPayload]byte
	head := appendHead(room[:0], seq, due)
	if len(data) != size || !bytes.HasPrefix(data, head) || !bytes.HasSuffix(data, []byte(dataEnd)) {
		return false
	}
	data = data[len(head) : size-len(dataEnd)]
	for from := int(seq % paddings); len(data) > 0; from = 0 {
		n := min(len(data), len(paddingSource)-from)
		if !bytes.Equal(data[:n], paddingSource[from:from+n]) {
			return false
		}
		data = data[n:]
	}
	return true
}

// appendHead appends what data has before its padding.
func appendHead(dst []byte, seq, due int64) []byte {
	dst = append(dst, sequenceKey...)
	dst = strconv.AppendInt(dst, seq, 10)
	dst = append(dst, timeKey...)
	dst = strconv.AppendInt(dst, due, 10)
	return append(dst, paddingKey...)
}

// parseData reads the sequence number and the due time from data that has the
// form of appendData; what follows them is not looked at.
func parseData(data []byte) (seq, due int64, ok bool) {
	rest, found := bytes.CutPrefix(data, []byte(sequenceKey))
	if !found {
		return 0, 0, false
	}
	seq, rest, ok = parseDigits(rest)
	if !ok {
		return 0, 0, false
	}
	rest, found = bytes.CutPrefix(rest, []byte(timeKey))
	if !found {
		return 0, 0, false
	}
	due, rest, ok = parseDigits(rest)
	return seq, due, ok && bytes.HasPrefix(rest, []byte(paddingKey))
}

// parseDigits reads a decimal number of at most 19 digits that fits an int64.
func parseDigits(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && i < 19 && b[i] >= '0' && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	return n, b[i:], i > 0 && n >= 0
}
