package publish

import (
	"bytes"
	"cmp"
)

// RESPLimits bounds what one RESP command may hold. A field that is zero means its default.
type RESPLimits struct {
	Args    int // arguments of a command; default 1024
	Bulk    int // bytes of one argument; default 64 KiB
	Command int // bytes of a whole command that is an array; default Bulk and 64 KiB
}

const (
	defaultArgs = 1024
	defaultBulk = 64 << 10
	commandRoom = 64 << 10 // for everything but the largest argument

	// maxInline is the length of an inline command's line in bytes, as in Redis.
	maxInline = 64 << 10
	// maxHeader is more than the digits and sign of any int64.
	maxHeader = 20
	// minBulk is the length of the shortest argument on the wire: an empty one.
	minBulk = len("$0\r\n\r\n")
)

func (l RESPLimits) withDefaults() RESPLimits {
	l.Args, l.Bulk = cmp.Or(l.Args, defaultArgs), cmp.Or(l.Bulk, defaultBulk)
	l.Command = cmp.Or(l.Command, l.Bulk+commandRoom)
	return l
}

// ProtocolError is a violation of RESP, in Redis's words: the client gets it as an error
// reply ("-ERR " and the text), then the connection is closed.
type ProtocolError string

func (e ProtocolError) Error() string { return string(e) }

// The protocol errors; one more names the byte found in place of a '$'.
const (
	ErrMultibulkLength  ProtocolError = "Protocol error: invalid multibulk length"
	ErrBulkLength       ProtocolError = "Protocol error: invalid bulk length"
	ErrInlineTooBig     ProtocolError = "Protocol error: too big inline request"
	ErrUnbalancedQuotes ProtocolError = "Protocol error: unbalanced quotes in request"
)

// RESPCommand is one command of a RESP client. Args point into the parsed bytes or into the command's
// own buffer; they are valid until either is reused.
type RESPCommand struct {
	Args   [][]byte // none for an empty command, which is ignored
	Inline bool     // it was a line, not an array; see IsHTTP
	Need   int      // after an incomplete Parse: bytes below which another is useless

	unquoted []byte
}

// Parse reads the command at the start of b and overwrites c with it. n is its length in
// bytes; 0 without an error means that b ends inside it. The error is a ProtocolError. A
// length over a limit is refused as soon as its digits are there.
//
// An incomplete command is parsed from its start again, but arguments are skipped by
// their lengths. If the caller waits for Need bytes, each of its calls finds at least
// one further argument. Need counts the least that is missing, so commands of many
// small arguments need few calls. So the cost depends on the command and not on the
// number of pieces in which it arrives.
func (c *RESPCommand) Parse(b []byte, limits RESPLimits) (n int, err error) {
	*c = RESPCommand{Args: c.Args[:0], unquoted: c.unquoted[:0]}
	switch {
	case len(b) == 0:
		c.Need = 1
	case b[0] == '*':
		n, err = c.parseArray(b, limits.withDefaults())
	default:
		n, err = c.parseInline(b, limits.withDefaults())
	}
	if n == 0 || err != nil {
		c.Args = c.Args[:0]
	}
	return n, err
}

// parseArray reads "*<count>\r\n" and count times "$<length>\r\n<bytes>\r\n".
func (c *RESPCommand) parseArray(b []byte, limits RESPLimits) (n int, err error) {
	count, at, state := parseHeader(b, 1)
	switch {
	case state == headerShort:
		c.Need = len(b) + 1
		return 0, nil
	case state == headerBad || count > limits.Args:
		return 0, ErrMultibulkLength
	}
	for left := count; left > 0; left-- {
		if at == len(b) {
			c.Need = at + left*minBulk
			return 0, nil
		}
		if b[at] != '$' {
			return 0, expectedBulk(b[at])
		}
		length, start, state := parseHeader(b, at+1)
		if state == headerShort {
			c.Need = max(len(b)+1, at+left*minBulk)
			return 0, nil
		}
		if state == headerBad || length < 0 || length > limits.Bulk || length > limits.Command-start {
			return 0, ErrBulkLength
		}
		end := start + length
		if len(b) < end+2 {
			c.Need = end + 2 + (left-1)*minBulk
			return 0, nil
		}
		if b[end] != '\r' || b[end+1] != '\n' {
			return 0, ErrBulkLength // Redis steps over two bytes unseen and loses its place later
		}
		c.Args = append(c.Args, b[start:end:end])
		at = end + 2
	}
	return at, nil
}

type headerState uint8

const (
	headerWhole headerState = iota
	headerShort             // its CRLF has not arrived
	headerBad
)

// parseHeader reads an integer and CRLF at b[at:]; next is behind them. Integers are strict, as in Redis:
// no plus, no leading zero, no "-0". Those that have no chance to be within a limit are bad.
func parseHeader(b []byte, at int) (value, next int, state headerState) {
	if value, next = shortHeader(b, at); next > 0 {
		return value, next, headerWhole
	}
	i := at
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
	}
	digits := i
	for i < len(b) && b[i]-'0' <= 9 {
		if i-at >= maxHeader || value > 1<<40 {
			return 0, 0, headerBad
		}
		value = value*10 + int(b[i]-'0')
		i++
	}
	if i > digits+1 && b[digits] == '0' || negative && i > digits && value == 0 {
		return 0, 0, headerBad
	}
	switch {
	case i == len(b):
		return 0, 0, headerShort
	case i == digits || b[i] != '\r':
		return 0, 0, headerBad
	case i+1 == len(b):
		return 0, 0, headerShort
	case b[i+1] != '\n':
		return 0, 0, headerBad
	}
	if negative {
		value = -value
	}
	return value, i + 2, headerWhole
}

// shortHeader is parseHeader for most: one digit or two, neither sign nor a leading zero.
// next is 0 for any other.
func shortHeader(b []byte, at int) (value, next int) {
	if len(b)-at < 4 {
		return 0, 0
	}
	h := b[at : at+4]
	first, second := int(h[0])-'0', int(h[1])-'0'
	switch {
	case uint(first) <= 9 && h[1] == '\r' && h[2] == '\n':
		return first, at + 3
	case uint(first-1) <= 8 && uint(second) <= 9 && h[2] == '\r' && h[3] == '\n':
		return 10*first + second, at + 4
	}
	return 0, 0
}

// expectedBulk names the byte found where an argument should start.
func expectedBulk(found byte) error {
	if found < ' ' || found > '~' {
		found = '?' // it must not break the error's line, nor a terminal
	}
	return ProtocolError("Protocol error: expected '$', got '" + string(rune(found)) + "'")
}

// parseInline reads a line as a command: words separated by spaces.
func (c *RESPCommand) parseInline(b []byte, limits RESPLimits) (n int, err error) {
	end := bytes.IndexByte(b, '\n')
	if end > maxInline || end < 0 && len(b) > maxInline {
		return 0, ErrInlineTooBig
	}
	if end < 0 {
		c.Need = len(b) + 1
		return 0, nil
	}
	c.Inline = true
	line := bytes.TrimSuffix(b[:end], []byte{'\r'})
	if err := c.split(line, limits.Args); err != nil {
		return 0, err
	}
	return end + 1, nil
}
