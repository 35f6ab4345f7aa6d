package publish

import (
	"bytes"
	"strconv"
)

// split cuts an inline command's line into words by Redis's rules (sdssplitargs): double
// quotes with the escapes \xHH \n \r \t \b \a and \ before any other byte, single quotes with \'; a quote
// may open inside a word, but behind a closing one the word ends. A NUL ends the line.
func (c *RESPCommand) split(line []byte, maxArgs int) error {
	if nul := bytes.IndexByte(line, 0); nul >= 0 {
		line = line[:nul]
	}
	for i := skipBlanks(line, 0); i < len(line); i = skipBlanks(line, i) {
		if len(c.Args) == maxArgs {
			return ErrInlineTooBig
		}
		end := i
		for end < len(line) && !endsWord(line[end]) && line[end] != '"' && line[end] != '\'' {
			end++
		}
		word := line[i:end:end]
		if end < len(line) && !endsWord(line[end]) {
			var ok bool
			if word, end, ok = c.unquoteWord(line, i, end); !ok {
				return ErrUnbalancedQuotes
			}
		}
		c.Args = append(c.Args, word)
		i = end
	}
	return nil
}

// unquoteWord copies the word at line[start:], whose first quote is line[at], to the buffer.
func (c *RESPCommand) unquoteWord(line []byte, start, at int) (word []byte, end int, ok bool) {
	from := len(c.unquoted)
	// Growing moves the buffer and leaves the words made before in the old one.
	c.unquoted = append(c.unquoted, line[start:at]...)
	quote := line[at]
	for i := at + 1; i < len(line); {
		b := line[i]
		switch {
		case b == quote:
			i++
			word = c.unquoted[from:len(c.unquoted):len(c.unquoted)]
			return word, i, i == len(line) || isBlank(line[i])
		case b == '\\' && quote == '"' && i+1 < len(line):
			b, i = unescape(line, i)
		case b == '\\' && i+1 < len(line) && line[i+1] == '\'':
			b, i = '\'', i+2
		default:
			i++
		}
		c.unquoted = append(c.unquoted, b)
	}
	return nil, len(line), false
}

// unescape reads the escape sequence at line[i:], which has two bytes at least.
func unescape(line []byte, i int) (b byte, next int) {
	switch b = line[i+1]; b {
	case 'x':
		if i+3 < len(line) {
			if n, err := strconv.ParseUint(string(line[i+2:i+4]), 16, 8); err == nil {
				return byte(n), i + 4
			}
		}
	case 'n':
		b = '\n'
	case 'r':
		b = '\r'
	case 't':
		b = '\t'
	case 'b':
		b = '\b'
	case 'a':
		b = '\a'
	}
	return b, i + 2
}

// endsWord reports whether c ends a word outside quotes. Vertical tab and form feed do
// not, although they are blanks between words. Redis does the same.
func endsWord(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

func isBlank(c byte) bool { return endsWord(c) || c == '\v' || c == '\f' }

func skipBlanks(line []byte, i int) int {
	for i < len(line) && isBlank(line[i]) {
		i++
	}
	return i
}
