package loadtest

import "testing"

// A peak between two samples counts, but not one before the run.
func TestPeaks(t *testing.T) {
	var s samples
	for i, step := range []struct{ resident, everPeak, sockets, want, wantSockets int64 }{
		{10, 50, 3, 10, 3},
		{20, 50, 9, 20, 9},
		{15, 60, 4, 60, 9},
		{70, 70, 4, 70, 9},
		{15, 70, 4, 70, 9},
	} {
		s.takePeaks(&moment{resident: step.resident, peak: step.everPeak, sockets: step.sockets})
		if s.peakKB != step.want || s.socketKB != step.wantSockets {
			t.Errorf("step %d: %d kB, %d kB in sockets, want %d and %d", i, s.peakKB, s.socketKB, step.want, step.wantSockets)
		}
	}
}
