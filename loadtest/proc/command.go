package proc

import (
	"bytes"
	"strconv"
	"strings"
)

// maxCommand bounds the text of a command, in bytes.
const maxCommand = 80

// Command returns what a process was started with, for people: printable, cut where it is
// long, and only its name if the kernel tells no more. It is "process N" if it has ended.
func Command(pid int) string {
	p := process{pid: pid}
	text, err := p.read("cmdline")
	if text = bytes.TrimRight(text, "\x00 "); err != nil || len(text) == 0 {
		text, err = p.read("comm")
	}
	if text = bytes.TrimSpace(text); err != nil || len(text) == 0 {
		return "process " + strconv.Itoa(pid)
	}
	shown := strings.Map(func(r rune) rune {
		switch {
		case r == 0:
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, string(text))
	if len(shown) > maxCommand {
		shown = shown[:maxCommand] + "..."
	}
	return shown
}
