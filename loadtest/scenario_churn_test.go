package loadtest_test

import (
	"testing"
	"time"

	"fleetcast/loadtest"
)

func TestChurn(t *testing.T) {
	t.Parallel()
	const staying, churning, events = 9, 6, 200
	for name, loops := range map[string]int{"one loop": 1, "several loops": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			common := startGateway(t, nil)
			common.Loops = loops
			r := scenario(t, loadtest.RunChurn, loadtest.Churn{
				Common: common, Traffic: loadtest.Traffic{Channels: 3, Rate: 200},
				Clients: staying, Churners: churning, Churn: 40, Duration: time.Second,
			})
			faultless(t, r, []string{"connect", "events", "end"}, nil)
			if r.Clients != staying+churning || r.Events != events {
				t.Errorf("%d clients, %d events", r.Clients, r.Events)
			}
			// Those who stay get a third of the events each; the others at most as many.
			least, most := int64(staying*events/3), int64((staying+churning)*(events+2)/3)
			if r.Delivered <= least || r.Delivered > most {
				t.Errorf("delivered %d, want more than %d and at most %d", r.Delivered, least, most)
			}
			returned := figure(t, r, "returned")
			if returned <= 0 || r.Detail.Connected != int64(r.Clients)+int64(returned) {
				t.Errorf("%v returned, %d connected", returned, r.Detail.Connected)
			}
		})
	}
}
