package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"fleetcast/codec/jsonscan"
)

// errPosition says how a position is written.
var errPosition = errors.New("a position is EPOCH:OFFSET, such as ZbTWIsyu:17: the epoch of a channel and the offset of the last event that you have")

// ParsePosition reads a position as people and query parameters write it: EPOCH:OFFSET. What
// stands behind the last colon is the offset.
func ParsePosition(text string) (Since, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 1 || !utf8.ValidString(text) {
		return Since{}, errPosition
	}
	offset, err := strconv.ParseUint(text[i+1:], 10, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return Since{}, errPosition
	case err != nil || offset > jsonscan.MaxUint:
		return Since{}, fmt.Errorf("the offset of a position is at most %d", uint64(jsonscan.MaxUint))
	}
	return Since{Epoch: []byte(text[:i]), Offset: offset}, nil
}

// String writes s as ParsePosition reads it.
func (s Since) String() string { return string(s.Epoch) + ":" + strconv.FormatUint(s.Offset, 10) }
