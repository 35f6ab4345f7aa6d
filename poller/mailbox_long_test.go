//go:build long

package poller_test

import "testing"

// TestLongNoWakeUpIsMissed is TestNoWakeUpIsMissed with more rounds.
func TestLongNoWakeUpIsMissed(t *testing.T) { missesNoWakeUp(t, 4_000) }
