package gateway_test

import (
	"fmt"
	"maps"
	"testing"

	"fleetcast/gateway"
)

// TestRecoveriesAreCounted has subscriptions with each outcome, and looks at what the metrics
// say of them.
func TestRecoveriesAreCounted(t *testing.T) {
	s := start(t, keeps(10), oneShard)
	p := s.publisher()
	epoch := ""
	for n := 1; n <= 40; n++ {
		epoch = p.publishes("news", fmt.Sprint(n)).Epoch
	}
	kept := uint64(0) // events of the history that clients get
	for _, one := range []struct {
		start  string
		events uint64
	}{
		{fmt.Sprintf(`"since":{"epoch":%q,"offset":30}`, epoch), 10},
		{fmt.Sprintf(`"since":{"epoch":%q,"offset":35}`, epoch), 5},
		{fmt.Sprintf(`"since":{"epoch":%q,"offset":40}`, epoch), 0},
		{fmt.Sprintf(`"since":{"epoch":%q,"offset":17}`, epoch), 10},
		{fmt.Sprintf(`"since":{"epoch":%q,"offset":41}`, epoch), 0},
		{`"since":{"epoch":"other","offset":17}`, 0},
		{`"last":3`, 3},
	} {
		c := s.connect()
		c.says(`{"type":"subscribe","channel":"news",` + one.start + `}`)
		c.text()
		if one.start == fmt.Sprintf(`"since":{"epoch":%q,"offset":17}`, epoch) {
			c.text() // the gap
		}
		for n := 41 - one.events; n <= 40; n++ {
			c.wants(event("news", n, fmt.Sprint(n)))
		}
		kept += one.events
	}
	s.connect().subscribe("news") // asks for nothing
	total := s.stats().Total
	want := map[string]uint64{"recovered": 3, "lost": 1, "unknown": 2, "rewound": 1}
	if !maps.Equal(total.Recoveries, want) {
		t.Errorf("the outcomes are %v, want %v", total.Recoveries, want)
	}
	if total.EventsRecovered != kept || total.Deliveries != kept || total.EventsFramed != 10 || total.Gaps != 1 || total.CatchingUp != 0 {
		t.Errorf("%d events of the history of %d deliveries, %d laid out, %d gaps, %d that catch up; want %d, as many, 10, 1 and 0",
			total.EventsRecovered, total.Deliveries, total.EventsFramed, total.Gaps, total.CatchingUp, kept)
	}
	metrics := series(t, scrape(t, s.AdminHandler(gateway.Admin{})))
	for outcome, n := range want {
		if got := metrics[fmt.Sprintf("recoveries_total{outcome=%q}", outcome)]; got != float64(n) {
			t.Errorf("the metrics have %v times %s, want %d", got, outcome, n)
		}
	}
	// Events share blocks of memory with others that are kept.
	if publish := s.stats().Publish; publish.HistoryEvents < 10 || publish.HistoryEvents > 20 || publish.HistoryEvicted != 0 {
		t.Errorf("%d events are kept, %d channels lost theirs; want 10 or some more, and none", publish.HistoryEvents, publish.HistoryEvicted)
	}
}
