package gateway

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"fleetcast/gateway/stats"
)

// hostWarnings tell of requests to the admin port that were refused because of
// their host: whoever sends them must be able to find out why. There is a line at
// the first one, and then at most one per incidentInterval. Any goroutine may call
// warn.
type hostWarnings struct {
	mu     sync.Mutex
	told   time.Time    // when the last line was written
	count  int          // requests since then
	sample stats.Sample // of their hosts
}

// warn notes a request that was refused now.
func (w *hostWarnings) warn(logger *slog.Logger, host string, now time.Time) {
	w.mu.Lock()
	w.count++
	w.sample.AddName(stats.Clip(host))
	count, refused := w.count, w.sample
	tell := now.Sub(w.told) >= incidentInterval
	if tell {
		w.told, w.count, w.sample = now, 0, stats.Sample{}
	}
	w.mu.Unlock()
	if tell {
		logger.Warn("requests to the admin port were refused because of their host name; if it is yours, add it to --allow-host",
			"count", count, "hosts", strings.Join(refused.Names, ", "), "next_warning_in", incidentInterval)
	}
}
