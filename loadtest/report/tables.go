package report

import (
	"strconv"
	"time"

	"fleetcast/loadtest"
)

// table is a table whose first column heads its rows.
type table struct {
	ID      string
	Caption string
	Head    []string // of all columns; none for a table of names and values
	Words   bool     // the values are words, which may be broken into lines
	Rows    []row
}

type row struct {
	Name  string
	Hint  string // what the figure means, where its name does not say it
	Cells []string
}

func (t *table) add(name, hint string, cells ...string) {
	t.Rows = append(t.Rows, row{name, hint, cells})
}

// addIf adds a figure that may not have been measured.
func addIf[T int64 | float64](t *table, name, hint string, value *T, print func(T) string) {
	if value != nil {
		t.add(name, hint, print(*value))
	}
}

// tables are those that follow the plots.
func tables(r *loadtest.Result) []table {
	all := []table{latencyTable(r), deliveryTable(r), connectionTable(r), recoveryTable(r), serverTable(r), harnessTable(r)}
	shown := all[:0]
	for _, t := range all {
		if len(t.Rows) > 0 {
			shown = append(shown, t)
		}
	}
	return shown
}

var percentileNames = []string{"p50", "p90", "p99", "p99.9", "max"}

func percentileValues(p loadtest.Percentiles) []float64 {
	return []float64{p.P50, p.P90, p.P99, p.P999, p.Max}
}

func latencyTable(r *loadtest.Result) table {
	t := table{ID: "latency", Caption: "Latency and handshake, milliseconds", Head: append([]string{"Of"}, percentileNames...)}
	add := func(name, hint string, p loadtest.Percentiles) {
		if !measured(p) {
			return
		}
		var cells []string
		for _, v := range percentileValues(p) {
			cells = append(cells, quantity(v))
		}
		t.add(name, hint, cells...)
	}
	add("All deliveries", "from the moment an event was due to its receipt", r.Latency)
	add("First subscriber", "of each event, the first to get it", r.Detail.FirstLatency)
	add("Last subscriber", "of each event, the last to get it", r.Detail.LastLatency)
	add("Handshake", "from dialling to the subscription's answer", r.Handshake)
	add("Ping to pong", "from the moment a ping was due to its answer", r.Pong)
	if r.Detail.Recovery != nil {
		add("Recovery", "from dialling until a client has all that it had missed", r.Detail.Recovery.Time)
	}
	return t
}

func deliveryTable(r *loadtest.Result) table {
	t := table{ID: "deliveries", Caption: "Events and deliveries"}
	if r.Events == 0 && r.Delivered == 0 {
		return t
	}
	t.add("Events published", "", count(r.Events))
	t.add("Events per second", "", quantity(r.EventsPerSecond))
	t.add("Deliveries", "each intact event once per subscriber", count(r.Delivered))
	t.add("Deliveries per second", "", quantity(r.DeliveriesPerSecond))
	t.add("Duration", "from the first event's due time to the last arrival", quantity(r.Seconds)+" s")
	if r.Detail.FramePayloadBytes > 0 {
		t.add("Frame payload", "mean, of delivered events, as they arrived", quantity(r.Detail.FramePayloadBytes)+" bytes")
	}
	if r.Detail.CompressedPayloadBytes > 0 {
		t.add("Frame payload, compressed", "of clients that agreed on compression", quantity(r.Detail.CompressedPayloadBytes)+" bytes")
		if r.Detail.PlainPayloadBytes > 0 {
			t.add("Frame payload, plain", "of the others", quantity(r.Detail.PlainPayloadBytes)+" bytes")
		}
	}
	t.add("Lost", "never arrived at a subscriber", count(r.Lost))
	t.add("Duplicated", "arrived again", count(r.Duplicated))
	t.add("Reordered", "came after a later event of their channel", count(r.Reordered))
	t.add("Corrupted", "data or offset differ from what was published", count(r.Corrupted))
	t.add("Announced as gaps", "the server said that it would not deliver them", count(r.Gaps))
	if d := &r.Detail; d.GapMessages > 0 {
		t.add("Gap messages", "that announced them", count(d.GapMessages))
		t.add("Gaps, wrong", "they contradict what came before them, or tell of what was never published", count(d.GapWrong))
		t.add("Gaps, split", "they follow another without an event between the two", count(d.GapSplit))
		t.add("Newest dropped", "announced as gaps, and the newest of their key", count(d.NewestDropped))
	}
	t.add("Unexpected messages", "nobody asked for or published them", count(r.Detail.Unexpected))
	if r.Incomplete != "" {
		t.add("In flight", "deliveries under way when the run was cut short", count(r.InFlight))
	}
	t.add("Taken", "events that the server took, as far as is known", count(r.Detail.Taken))
	t.add("Rejected", "events that the server answered with an error", count(r.Detail.Rejected))
	t.add("Not taken", "events that did not reach the server or were never answered, and that no client got", count(r.Detail.NotTaken))
	return t
}

func connectionTable(r *loadtest.Result) table {
	t := table{ID: "connections", Caption: "Connections"}
	t.add("Clients wanted", "", count(int64(r.Detail.ClientsWanted)))
	t.add("Clients connected", "and subscribed", count(int64(r.Clients)))
	if r.Detail.Compressing > 0 || r.Detail.Declined > 0 {
		t.add("Clients compressed", "of those connected: the server agreed to compress", count(int64(r.Detail.Compressing)))
		t.add("Compression declined", "handshakes in which it was offered and the server did not agree", count(r.Detail.Declined))
	}
	t.add("Connections made", "in all; more than clients if some came back", count(r.Detail.Connected))
	t.add("Attempts that failed", "", count(r.Detail.Refused))
	if r.Detail.TurnedAway > 0 {
		t.add("Turned away", "attempts answered with a time to come back at, which clients obey", count(r.Detail.TurnedAway))
	}
	t.add("Disconnected", "by the server, unasked", count(r.Detail.Disconnected))
	return t
}

func recoveryTable(r *loadtest.Result) table {
	t := table{ID: "recovery", Caption: "Recovery"}
	v := r.Detail.Recovery
	if v == nil {
		return t
	}
	t.add("Recoveries", "times that a client came back with the position that it had", count(v.Recoveries))
	t.add("Whole", "of those: the client got, or was told of, all that it had missed", count(v.Whole))
	t.add("Recovered", "missed events that clients got", count(v.Events))
	t.add("Told as lost", "missed events that the server said it has lost", count(v.Lost))
	t.add("Resets", "answers that neither recover nor say what is lost", count(v.Resets))
	t.add("Missed by resets", "events that are not lost, because none was promised", count(v.ResetEvents))
	t.add("Recoveries, wrong", "they are not what the server said", count(v.Wrong))
	t.add("Losses, wrong", "what the server said is lost is not what is missing", count(v.LostWrong))
	return t
}

func serverTable(r *loadtest.Result) table {
	s := r.Server
	t := table{ID: "server", Caption: "Cost of the server"}
	if s.PID != 0 {
		t.add("Process", s.Found, strconv.Itoa(s.PID))
		for _, p := range s.Processes {
			t.add("Command", "of process "+strconv.Itoa(p.PID), p.Command)
		}
	}
	addIf(&t, "CPU per delivery", "while events flowed", s.CPUPerDelivery, microseconds)
	addIf(&t, "CPU per event", "the same, by events published", s.CPUPerEvent, microseconds)
	addIf(&t, "CPU per connection", "while clients connected, subscription included", s.CPUPerConnection, microseconds)
	addIf(&t, "CPU share", "of one processor, while events flowed", r.Detail.ServerBusy, share)
	addIf(&t, "Memory, base", "resident, before the first client", s.ResidentBaseKB, mebibytes)
	addIf(&t, "Memory, all clients", "resident, all connected and nothing going on", s.ResidentKB, mebibytes)
	addIf(&t, "Memory, peak", "resident, the most in the run", s.ResidentPeakKB, mebibytes)
	addIf(&t, "Memory per connection", "slope from a third of the clients to all", s.ResidentKBPerConnection, kilobytes)
	addIf(&t, "Kernel socket memory per connection", "TCP buffers, both ends if both are on this machine, while nothing goes on", s.SocketKBPerConnection, kilobytes)
	addIf(&t, "Kernel socket memory, peak", "all TCP buffers of the machine", s.SocketPeakKB, mebibytes)
	return t
}

func harnessTable(r *loadtest.Result) table {
	t := table{ID: "harness", Caption: "Cost of the harness"}
	if r.Harness.CPUPerDelivery > 0 {
		t.add("CPU per delivery", "all of its processes together", microseconds(r.Harness.CPUPerDelivery))
	}
	if r.Detail.HarnessBusy > 0 {
		t.add("CPU share", "of one processor, while events flowed", share(r.Detail.HarnessBusy))
	}
	return t
}

func figureTable(figures []loadtest.Figure) *table {
	if len(figures) == 0 {
		return nil
	}
	t := &table{ID: "figures", Caption: "Figures of this scenario"}
	for _, f := range figures {
		value := quantity(f.Value)
		if f.Unit != "" {
			value += " " + f.Unit
		}
		t.add(capitalised(f.Title), "", value)
	}
	return t
}

func runTable(r *loadtest.Result) table {
	t := table{ID: "run", Caption: "What was run", Words: true}
	t.add("Scenario", "", r.Scenario)
	add := func(name, value string) {
		if value != "" {
			t.add(name, "", value)
		}
	}
	add("Target", r.Run.URL)
	add("Published to", r.Run.Publish)
	add("Profile", r.Run.Profile)
	add("Started", date(r.Run.Started))
	add("Machine", r.Run.Machine)
	for _, p := range r.Run.Parameters {
		t.add(p.Name, "", p.Value)
	}
	return t
}

func subtitle(run *loadtest.RunInfo) (parts []string) {
	for _, part := range []string{run.URL, date(run.Started), run.Machine} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2 January 2006, 15:04:05 MST")
}

func microseconds(v float64) string { return quantity(v) + " µs" }

func kilobytes(v float64) string { return quantity(v) + " kB" }
