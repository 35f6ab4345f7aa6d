package publish

import "bytes"

// Status is the outcome of Lines.Next.
type Status uint8

const (
	// Incomplete: no whole line is there; call again with more bytes behind what was not consumed.
	Incomplete Status = iota
	// Line: a line was found.
	Line
	// TooLong: a line exceeds the limit. This call and the next ones skip it to its
	// end.
	TooLong
	// Blank: many blank lines were skipped; call again with what is behind them.
	Blank
)

// blankRun is how many bytes of blank lines one call of Lines.Next skips at most, not
// counting the last line.
const blankRun = 1 << 10

// Lines splits one connection's bytes into lines ended by LF or CRLF, in whatever
// pieces they arrive. It holds no bytes: the caller keeps what was not consumed, at
// most the limit and one byte. The zero value is ready once Limit is set.
type Lines struct {
	// Limit is the length of the longest line, in bytes, without its end.
	Limit int

	number   uint64 // of the line returned last
	scanned  int    // bytes at the start of the next input that are known to hold no LF
	skipping bool   // inside a line that was reported as TooLong
}

// Number returns the number of the line that Next returned last, counted from 1. Blank lines
// count.
func (l *Lines) Number() uint64 { return l.number }

// Discarded counts the lines that end in b: bytes that the caller dropped before the first
// call of Next, as Sniff allows.
func (l *Lines) Discarded(b []byte) {
	l.number += uint64(bytes.Count(b, []byte{'\n'}))
}

// Next looks for the next line that is not blank and returns it without its end, or Blank before
// it has found one where many lines are. n bytes are
// consumed, whatever the status. b[n:] must be the start of the next call's b: no byte is looked at
// twice, also if they arrive one by one.
func (l *Lines) Next(b []byte) (line []byte, n int, status Status) {
	for {
		end := bytes.IndexByte(b[n+l.scanned:], '\n')
		if end < 0 {
			return l.unfinished(b, n)
		}
		line = b[n : n+l.scanned+end]
		n += len(line) + 1
		l.scanned = 0
		if l.skipping {
			l.skipping = false
			continue
		}
		l.number++
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) > l.Limit {
			return nil, n, TooLong
		}
		switch {
		case !blank(line):
			return line, n, Line
		case n >= blankRun:
			return nil, n, Blank
		}
	}
}

// unfinished handles b[n:], in which no line ends.
func (l *Lines) unfinished(b []byte, n int) ([]byte, int, Status) {
	if l.skipping {
		l.scanned = 0
		return nil, len(b), Incomplete
	}
	if len(b)-n > l.Limit+1 { // one more may be a CR
		l.number++
		l.scanned, l.skipping = 0, true
		return nil, len(b), TooLong
	}
	l.scanned = len(b) - n
	return nil, n, Incomplete
}

// End returns the last line when the stream has ended. b is what Next left unconsumed,
// which then is a line even without an LF. The status is Incomplete if only blanks are
// left.
func (l *Lines) End(b []byte) (line []byte, status Status) {
	l.scanned = 0
	if l.skipping {
		return nil, Incomplete
	}
	line = bytes.TrimSuffix(b, []byte{'\r'})
	switch {
	case len(line) > l.Limit:
		l.number++
		return nil, TooLong
	case blank(line):
		return nil, Incomplete
	}
	l.number++
	return line, Line
}

func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
