package publish

import "strconv"

// RESPVersion is the version of RESP in which a connection gets its replies; HELLO changes it.
type RESPVersion uint8

// The versions.
const (
	RESP2 RESPVersion = 2
	RESP3 RESPVersion = 3
)

// AppendRESPInt appends an integer reply.
func AppendRESPInt(dst []byte, n int64) []byte {
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

// AppendRESPSimple appends a simple string, such as OK; CR and LF in it become spaces.
func AppendRESPSimple(dst []byte, text string) []byte { return appendRESPLine(dst, '+', text) }

// AppendRESPError appends an error reply. The message starts with its code, such as ERR; CR and LF in
// it become spaces, as in Redis.
func AppendRESPError(dst []byte, message string) []byte { return appendRESPLine(dst, '-', message) }

func appendRESPLine(dst []byte, kind byte, text string) []byte {
	dst = append(dst, kind)
	for i := range len(text) {
		c := text[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, "\r\n"...)
}

// AppendRESPBulk appends a bulk string, which may hold any bytes.
func AppendRESPBulk[T ~string | ~[]byte](dst []byte, text T) []byte {
	dst = appendRESPHeader(dst, '$', len(text))
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

// AppendRESPVerbatim appends a text for people: a verbatim string in RESP3, a bulk string in
// RESP2.
func AppendRESPVerbatim(dst []byte, version RESPVersion, text string) []byte {
	if version != RESP3 {
		return AppendRESPBulk(dst, text)
	}
	dst = appendRESPHeader(dst, '=', len("txt:")+len(text))
	dst = append(append(dst, "txt:"...), text...)
	return append(dst, "\r\n"...)
}

// AppendRESPNull appends the absence of a value: a null in RESP3, a null bulk string in RESP2.
func AppendRESPNull(dst []byte, version RESPVersion) []byte {
	if version == RESP3 {
		return append(dst, "_\r\n"...)
	}
	return append(dst, "$-1\r\n"...)
}

// AppendRESPArray appends the header of an array; n replies follow as its elements.
func AppendRESPArray(dst []byte, n int) []byte { return appendRESPHeader(dst, '*', n) }

// AppendRESPSet appends the header of a set, which in RESP2 is an array; n replies follow as its
// elements.
func AppendRESPSet(dst []byte, version RESPVersion, n int) []byte {
	if version == RESP3 {
		return appendRESPHeader(dst, '~', n)
	}
	return appendRESPHeader(dst, '*', n)
}

// AppendRESPMap appends the header of a map; n pairs of replies follow, key and value in turn.
// In RESP2 a map is an array of twice the length.
func AppendRESPMap(dst []byte, version RESPVersion, n int) []byte {
	if version == RESP3 {
		return appendRESPHeader(dst, '%', n)
	}
	return appendRESPHeader(dst, '*', 2*n)
}

func appendRESPHeader(dst []byte, kind byte, n int) []byte {
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, "\r\n"...)
}
