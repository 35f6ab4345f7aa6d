package loadtest

// figures are those that a scenario has beside the common ones, without their
// values.
var figures = map[string][]Figure{
	"connect": {
		{Name: "seconds_to_connect", Title: "time to connect all, with pauses to read memory", Unit: "s"},
		{Name: "seconds_to_leave", Title: "time until the server had answered all goodbyes", Unit: "s"},
	},
	"churn": {
		{Name: "returned", Title: "connections that came back"},
	},
	"storm": {
		{Name: "seconds_to_full_service", Title: "time from the drop until all were back and had got an event", Unit: "s"},
		{Name: "back", Title: "clients of the fleet that are back"},
	},
	"slow": {
		{Name: "p50_ratio", Title: "p50 while some stall, as a multiple of before"},
		{Name: "p99_ratio", Title: "p99 while some stall, as a multiple of before"},
		{Name: "cut_off", Title: "slow clients that the server cut off"},
		{Name: "cut_untold", Title: "of those, without a close frame"},
		{Name: "slow_delivered", Title: "events that slow clients got"},
		{Name: "told", Title: "events that slow clients were told of as gaps"},
		{Name: "healthy_told", Title: "events that the others were told of as gaps"},
	},
	"fairness": {
		{Name: "flood_deliveries_per_second", Title: "deliveries a second on the large channel"},
		{Name: "flood_events_per_second", Title: "events a second on the large channel"},
	},
}

// Figures returns the figures of a scenario's own, without values.
func Figures(scenario string) []Figure { return append([]Figure(nil), figures[scenario]...) }

// figure notes a figure of the scenario's own.
func (r *run) figure(name string, value float64) {
	for _, f := range figures[r.scenario] {
		if f.Name == name {
			f.Value = value
			r.figures = append(r.figures, f)
			return
		}
	}
	panic("loadtest: the scenario " + r.scenario + " has no figure " + name)
}
