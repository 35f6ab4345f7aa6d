package loadtest

import "slices"

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

// recoveryFigures are those that a scenario has if clients recover.
var recoveryFigures = map[string][]Figure{
	"fanout": {
		{Name: "p99_ratio", Title: "p99 while clients recover, as a multiple of before"},
		{Name: "catch_ups", Title: "times that one client recovered all that it had missed"},
		{Name: "seconds_to_catch_up", Title: "the longest of these", Unit: "s"},
	},
	"storm": {
		{Name: "seconds_to_whole", Title: "time until the last client that came back had all that it had missed", Unit: "s"},
		{Name: "recoveries_per_second", Title: "clients that recovered, a second"},
	},
}

// Figures returns the figures of a scenario's own, without values. Some are only there if its
// clients recover.
func Figures(scenario string, recovers bool) []Figure {
	own := append([]Figure(nil), figures[scenario]...)
	if recovers {
		own = append(own, recoveryFigures[scenario]...)
	}
	return own
}

// ownFigures are those that were noted, in the order of their declaration.
func (r *run) ownFigures() []Figure {
	noted := []Figure{}
	for _, f := range Figures(r.scenario, true) {
		at := slices.IndexFunc(r.figures, func(one Figure) bool { return one.Name == f.Name })
		if at >= 0 {
			noted = append(noted, r.figures[at])
		}
	}
	return noted
}

// figure notes a figure of the scenario's own.
func (r *run) figure(name string, value float64) {
	for _, f := range Figures(r.scenario, true) {
		if f.Name == name {
			f.Value = value
			r.figures = append(r.figures, f)
			return
		}
	}
	panic("loadtest: the scenario " + r.scenario + " has no figure " + name)
}
