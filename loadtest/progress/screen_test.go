package progress_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// screen is a terminal that knows the few controls that the display may use:
// newline, carriage return, cursor up, erase below, colours.
type screen struct {
	t        *testing.T
	width    int
	rows     [][]rune
	row, col int
	coloured bool
}

var control = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`)

// draw interprets output and returns what is left on the screen.
func draw(t *testing.T, output string, width int) *screen {
	t.Helper()
	s := &screen{t: t, width: width, rows: [][]rune{nil}}
	for output != "" {
		if m := control.FindStringSubmatch(output); m != nil {
			s.control(m[1], m[2])
			output = output[len(m[0]):]
			continue
		}
		r := []rune(output)[0]
		s.put(r)
		output = output[len(string(r)):]
	}
	return s
}

func (s *screen) control(argument, name string) {
	switch name {
	case "A":
		n, err := strconv.Atoi(argument)
		if err != nil || n > s.row {
			s.t.Fatalf("cursor up by %q in row %d", argument, s.row)
		}
		s.row -= n
	case "J":
		s.rows = append(s.rows[:s.row:s.row], s.rows[s.row][:s.col])
	case "m":
		s.coloured = argument != "0" && argument != ""
	default:
		s.t.Fatalf("control %s with %q", name, argument)
	}
}

func (s *screen) put(r rune) {
	switch {
	case r == '\r':
		s.col = 0
	case r == '\n':
		s.row++
		if s.row == len(s.rows) {
			s.rows = append(s.rows, nil)
		}
	case r < ' ':
		s.t.Fatalf("control character %q", r)
	case s.col == s.width:
		s.t.Fatalf("the line %q wraps", string(s.rows[s.row]))
	default:
		s.rows[s.row] = append(s.rows[s.row][:s.col:s.col], r)
		s.col++
	}
}

func (s *screen) lines() (lines []string) {
	for _, row := range s.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return lines
}
