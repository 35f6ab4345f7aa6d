package limits

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestConnectionLogIsSampled(t *testing.T) {
	var text bytes.Buffer
	log := ConnectionLog{Logger: slog.New(slog.NewTextHandler(&text, nil))}
	for i := range 10 {
		log.Write(3, 5*time.Second+time.Duration(i), "came")
	}
	log.Write(3, 6*time.Second, "next")
	log.Write(3, 6*time.Second, "last")
	// A loop whose clock is a turn behind gets no second of its own.
	for range 10 {
		log.Write(2, 5*time.Second, "behind")
		log.Write(2, 6*time.Second, "before")
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if n := strings.Count(text.String(), "came"); n != 3 {
		t.Errorf("%d lines in the first second, want 3", n)
	}
	if len(lines) != 5 || !strings.HasSuffix(lines[3], "msg=next lines_left_out=7") || !strings.HasSuffix(lines[4], "msg=last") {
		t.Errorf("the log is\n%s", text.String())
	}
}
