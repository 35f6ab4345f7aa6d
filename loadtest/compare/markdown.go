package compare

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// The part of a Markdown file that a comparison may replace lies between these.
const (
	beginMark = "<!-- compare:begin -->"
	endMark   = "<!-- compare:end -->"
)

// CheckDocument tells whether WriteDocument could replace its part of the file.
func CheckDocument(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := replacePart(text, ""); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// WriteDocument puts the report between the marks <!-- compare:begin --> and
// <!-- compare:end --> of a Markdown file, in place of what was there.
func (r *Report) WriteDocument(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if text, err = replacePart(text, r.Markdown()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644)
}

func replacePart(text []byte, part string) ([]byte, error) {
	if bytes.Count(text, []byte(beginMark)) != 1 || bytes.Count(text, []byte(endMark)) != 1 {
		return nil, fmt.Errorf("want one %s and one %s, with what a comparison may replace between them", beginMark, endMark)
	}
	before, rest, _ := bytes.Cut(text, []byte(beginMark))
	_, after, ok := bytes.Cut(rest, []byte(endMark))
	if !ok {
		return nil, errors.New(endMark + " is before " + beginMark)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s%s\n%s%s%s", before, beginMark, part, endMark, after)
	return out.Bytes(), nil
}
