package limits

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// ConnectionLog writes about clients and publishers that come and go: at most
// so many lines a second as the configuration says, because a fleet that comes
// back all at once would fill the disk. Any goroutine may call it.
type ConnectionLog struct {
	Logger  *slog.Logger
	second  atomic.Int64 // of the loops' clock, to which lines belongs
	lines   atomic.Int64 // written in it, or left out
	omitted atomic.Int64 // since the last line
}

// Write logs a line if this second has room for one of limit. The next line
// that is written says how many were left out.
func (l *ConnectionLog) Write(limit int, now time.Duration, message string, attrs ...slog.Attr) {
	// Loops read the clock at different times. A loop that is behind must not start the
	// second again.
	second := int64(now / time.Second)
	if old := l.second.Load(); second > old && l.second.CompareAndSwap(old, second) {
		l.lines.Store(0)
	}
	if l.lines.Add(1) > int64(limit) {
		l.omitted.Add(1)
		return
	}
	if omitted := l.omitted.Swap(0); omitted > 0 {
		attrs = append(attrs, slog.Int64("lines_left_out", omitted))
	}
	l.Logger.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
}
