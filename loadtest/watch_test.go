package loadtest

import (
	"testing"
	"time"
)

// TestWatch: what a run's watch sees once a second, and when it ends the run.
func TestWatch(t *testing.T) {
	type sight struct{ live, connected, failed, delivered int64 }
	repeat := func(s sight, times int) (all []sight) {
		for range times {
			all = append(all, s)
		}
		return all
	}
	up := sight{10, 10, 0, 5}
	cases := map[string]struct {
		idle bool // the scenario does not need clients yet, or no more
		see  []sight
		want string // "" is: it goes on
	}{
		"all is well":                  {see: repeat(up, 100)},
		"nobody connects":              {see: []sight{{0, 0, 10, 0}}, want: "no client can connect"},
		"few have tried":               {see: []sight{{0, 0, 9, 0}}},
		"some connect":                 {see: []sight{{1, 1, 100, 0}}},
		"all are gone":                 {see: append([]sight{up}, repeat(sight{0, 10, 0, 5}, 5)...), want: "the server ended all connections"},
		"all are gone for a moment":    {see: append([]sight{up, {0, 10, 0, 5}, {0, 10, 0, 5}}, repeat(up, 5)...)},
		"all have left":                {idle: true, see: append([]sight{up}, repeat(sight{0, 10, 0, 5}, 100)...)},
		"silence, nobody tries":        {see: repeat(up, 100)},
		"silence, and attempts fail":   {see: append([]sight{up}, repeat(sight{10, 10, 1, 5}, 10)...), want: "the server has let no client in and delivered nothing for 6s"},
		"attempts fail, events arrive": {see: []sight{{10, 10, 1, 1}, {10, 10, 2, 2}, {10, 10, 3, 3}, {10, 10, 4, 4}, {10, 10, 5, 5}, {10, 10, 6, 6}, {10, 10, 7, 7}, {10, 10, 8, 8}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := plan{Groups: []groupPlan{{Clients: 10}}, Flows: []flowPlan{{Channels: []string{"c"}, Events: 1}}, Processes: 1, Loops: 1}
			b, file, err := newBoard(p.shape())
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			defer b.close()
			r := &run{plan: p, board: b, config: &Common{Stall: 2 * time.Second}}
			r.dependent.Store(!c.idle)
			now := time.Now()
			w := watch{run: r, patience: 3 * time.Second, live: now, grown: now}
			got := ""
			for _, s := range c.see {
				now = now.Add(time.Second)
				k := &b.counters[0]
				k.live.Store(s.live)
				k.connected.Store(s.connected)
				k.failed.Store(s.failed)
				k.delivered[0].Store(s.delivered)
				if err := w.look(now); err != nil {
					got = err.Error()
					break
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
