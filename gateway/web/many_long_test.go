//go:build long

package web_test

import (
	"testing"
	"time"

	"fleetcast/gateway"
)

// TestLongManyChannels is TestManyChannels at the default rate, with more channels
// than it allows at once.
func TestLongManyChannels(t *testing.T) {
	const channels = 3000
	first, again := manyChannels(t, channels, time.Minute, func(c *gateway.Config) { c.ClientChannels = 5000 })
	for name, w := range map[string]whole{"at first": first, "after the cut": again} {
		t.Logf("%s: %d messages, %d errors, %v ms", name, w.Sent, w.Errors, w.MS)
		if w.Sent > 100 || w.Errors > 0 {
			t.Errorf("%s: %d messages were sent and onError was called %d times, want at most 100 and none", name, w.Sent, w.Errors)
		}
	}
}
