package loadtest

import (
	"bytes"
	"math/rand/v2"
	"strconv"

	"fleetcast/codec/jsonscan"
)

const (
	// MinPayload is the smallest size of an event's data in bytes: it leaves
	// room for the longest sequence number and time.
	MinPayload = 64
	// MaxPayload is the largest size of an event's data in bytes.
	MaxPayload = 60 << 10
	// MaxEcho is the largest size of a message of the scenario echo in bytes.
	MaxEcho = 16 << 20

	// paddings is how many different paddings there are. Events that are fewer than
	// that apart also differ by their padding.
	paddings = 4093
)

const (
	sequenceKey = `{"s":`
	timeKey     = `,"t":"`
	paddingKey  = `","p":"`
	dataEnd     = `"}`
)

// paddingSource is text in which the padding of each event is a window. No JSON
// encoder that is in use escapes any of its characters.
var paddingSource = newPaddingSource()

func newPaddingSource() []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
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

// appendHead appends what data has before its padding. The time is a string of
// digits, because JavaScript and others round numbers beyond 2^53.
func appendHead(dst []byte, seq, due int64) []byte {
	dst = append(dst, sequenceKey...)
	dst = strconv.AppendInt(dst, seq, 10)
	dst = append(dst, timeKey...)
	dst = strconv.AppendInt(dst, due, 10)
	return append(dst, paddingKey...)
}

// parseData reads the sequence number and the due time from data that has the form of
// appendData, or is the same JSON in another spelling (see sameData). The rest of the
// data is not checked.
func parseData(data []byte) (seq, due int64, ok bool) {
	if seq, due, ok = parseHead(data); ok {
		return seq, due, true
	}
	m, ok := readMembers(data)
	if !ok {
		return 0, 0, false
	}
	seq, ok = parseSequence(m.sequence)
	if !ok {
		return 0, 0, false
	}
	due, ok = parseTime(m.time)
	return seq, due, ok
}

// parseHead reads data that appendHead has written.
func parseHead(data []byte) (seq, due int64, ok bool) {
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

// members are the raw values of an event's data.
type members struct{ sequence, time, padding []byte }

// readMembers reads the members of data, in whatever order they stand. Data that
// lacks one, has one twice or has others is not an event's.
func readMembers(data []byte) (m members, ok bool) {
	var member jsonscan.Member
	object := jsonscan.NewObject(data)
	for object.Next(&member) {
		var at *[]byte
		switch string(member.Key) {
		case "s":
			at = &m.sequence
		case "t":
			at = &m.time
		case "p":
			at = &m.padding
		}
		if at == nil || *at != nil {
			return members{}, false
		}
		*at = member.Value
	}
	return m, object.Err() == nil && m.sequence != nil && m.time != nil && m.padding != nil
}

// parseSequence reads a number. Some encoders write every number as a float:
// 12.0 or 1.2e1.
func parseSequence(raw []byte) (seq int64, ok bool) {
	if n, ok := jsonscan.Uint(raw); ok {
		return int64(n), true
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	return int64(n), err == nil && n >= 0 && n <= jsonscan.MaxUint && n == float64(int64(n))
}

// parseTime reads a string of digits.
func parseTime(raw []byte) (due int64, ok bool) {
	text, err := jsonscan.Unquote(raw)
	if err != nil {
		return 0, false
	}
	due, rest, ok := parseDigits(text)
	return due, ok && len(rest) == 0
}

// sameData tells whether data is the same JSON value as want, which appendData has
// written: a server that parses events and writes them anew may order members,
// space, escape and write numbers as it likes.
func sameData(data, want []byte) bool {
	got, ok := readMembers(data)
	if !ok {
		return false
	}
	expected, ok := readMembers(want)
	if !ok {
		return false
	}
	gotSeq, gotOK := parseSequence(got.sequence)
	wantSeq, wantOK := parseSequence(expected.sequence)
	return gotOK && wantOK && gotSeq == wantSeq && sameText(got.time, expected.time) && sameText(got.padding, expected.padding)
}

// sameText tells whether two raw JSON values are strings with the same text.
func sameText(a, b []byte) bool {
	if !jsonscan.IsString(a) || !jsonscan.IsString(b) {
		return false
	}
	return bytes.Equal(a, b) || bytes.Equal(jsonscan.AppendUnquoted(nil, a), jsonscan.AppendUnquoted(nil, b))
}

// maxRewritten is the size up to which data of size bytes is looked at that is
// spelled in another way: no spelling takes more than six bytes a character.
func maxRewritten(size int) int { return 8*size + 1024 }
