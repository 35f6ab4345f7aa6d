package loadtest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
	"fleetcast/loadtest"
)

// TestKey publishes with a key by both protocols, and ends with the answer where the key
// is wrong. No result has the key.
func TestKey(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"ndjson", "resp"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			key := keys.New()
			common := startGateway(t, func(c *gateway.Config) {
				c.PublishKeys = []gateway.Key{{Name: "load", Digest: keys.DigestOf([]byte(key)), Channels: []string{"**"}}}
			})
			common.Via, common.Stall, common.Key = via, hung, key
			r := scenario(t, loadtest.RunIntake, loadtest.Intake{Common: common, Events: 2000, Connections: 2})
			faultless(t, r, []string{"events"}, nil)
			r = scenario(t, loadtest.RunFanout, loadtest.Fanout{Common: common, Clients: 5, Traffic: loadtest.Traffic{Events: 50}})
			if r.Delivered != 250 || r.Detail.Rejected != 0 {
				t.Errorf("%d delivered, %d rejected", r.Delivered, r.Detail.Rejected)
			}
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), key[:16]) {
				t.Errorf("the result has the key, or %v", err)
			}
			common.Key = keys.New()
			_, err := loadtest.RunFanout(t.Context(), loadtest.Fanout{Common: common, Clients: 1, Traffic: loadtest.Traffic{Events: 5}})
			if err == nil || !strings.Contains(err.Error(), "refuses the key") || strings.Contains(err.Error(), common.Key[:16]) {
				t.Errorf("with a wrong key: %v", err)
			}
		})
	}
}
