package report

import (
	"fmt"

	"fleetcast/loadtest"
)

// tile is one of the main figures.
type tile struct {
	Name, Value, Unit, Note string
}

// tiles picks the main figures; those not measured are left out.
func tiles(r *loadtest.Result) []tile {
	tiles := []tile{{Name: "Clients", Value: count(int64(r.Clients)), Note: fmt.Sprintf("of %s wanted", count(int64(r.Detail.ClientsWanted)))}}
	if r.Events > 0 {
		tiles = append(tiles, tile{Name: "Events", Value: count(r.Events), Note: quantity(r.EventsPerSecond) + " per second"})
	}
	if r.Delivered > 0 {
		tiles = append(tiles,
			tile{Name: "Delivered", Value: count(r.Delivered), Note: "in " + quantity(r.Seconds) + " s"},
			tile{Name: "Deliveries per second", Value: quantity(r.DeliveriesPerSecond)})
	}
	if measured(r.Latency) {
		tiles = append(tiles,
			tile{"Latency, half within", quantity(r.Latency.P50), "ms", "p50"},
			tile{"Latency, 99 % within", quantity(r.Latency.P99), "ms", "p99"},
			tile{"Slowest delivery", quantity(r.Latency.Max), "ms", "max"})
	}
	if measured(r.Handshake) {
		tiles = append(tiles, tile{"Handshake, 99 % within", quantity(r.Handshake.P99), "ms", "half within " + ms(r.Handshake.P50)})
	}
	optional := func(name string, value *float64, unit, note string) {
		if value != nil {
			tiles = append(tiles, tile{name, quantity(*value), unit, note})
		}
	}
	optional("Server CPU per delivery", r.Server.CPUPerDelivery, "µs", "while events flowed")
	optional("Server CPU per connection", r.Server.CPUPerConnection, "µs", "subscription included")
	optional("Server memory per connection", r.Server.ResidentKBPerConnection, "kB", "resident, slope")
	return tiles
}
