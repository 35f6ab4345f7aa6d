package report_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"fleetcast/loadtest"
	"fleetcast/loadtest/report"
)

func TestStructure(t *testing.T) {
	const verified = "Every event that was due to a client reached it once, in order and intact: 6,600 events, 13,200,000 deliveries, 2,000 clients."
	courses := []string{"latency-time", "connections-time", "deliveries-time", "processor-time", "memory-time"}
	distributions := []string{"latency-percentiles", "handshake-percentiles"}
	for _, test := range []struct {
		name     string
		result   *loadtest.Result
		headline string
		text     string
		faults   []string
		tables   []string
		plots    []string
		phases   string // the line that tells of them
	}{
		{
			"full", full(), "Verified", verified, nil,
			[]string{"Latency and handshake, milliseconds", "Events and deliveries", "Connections", "Cost of the server", "Cost of the harness", "What was run"},
			append(distributions, courses...), "Phases: connect until 3.5 s, publish until 20.0 s.",
		},
		{
			"minimal", minimal(), "No events, no faults",
			"0 clients were connected, as many as wanted. Nothing was published, so there was no delivery to verify.", nil,
			[]string{"Connections", "What was run"}, nil, "",
		},
		{
			"faulty", faulty(), "Verification failed", "Something did not go as it should: the figures below are of a run with faults.",
			[]string{
				"The run ended early: no delivery for 5 s", "Clients not connected: 10", "Clients disconnected: 6", "Events lost: 12,345", "Events duplicated: 2",
				"Events reordered: 3", "Events corrupted: 4", "Messages unexpected: 7",
				"Gaps that contradict what came before them: 9", "Gaps split in two: 10", "Events dropped that were the newest of their key: 11", "Pings without a pong: 12",
				"Events rejected by the server: 8",
			},
			[]string{"Latency and handshake, milliseconds", "Events and deliveries", "Connections", "Cost of the harness", "What was run"},
			append(distributions, courses...), "Phases: connect until 3.5 s, publish until 20.0 s.",
		},
		{
			"phased", phased(), "Verified", verified, nil,
			[]string{
				"Phases, side by side", "Figures of this scenario", "Latency and handshake, milliseconds", "Events and deliveries", "Connections",
				"Cost of the server", "Cost of the harness", "What was run",
			},
			append(distributions, courses...), "Phases: connect until 3.5 s, calm until 9.0 s, stalled until 14.5 s, after until 20.0 s.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := write(t, test.result)
			verdict := byID(d.root, "verdict")
			d.expect("headline", textsOf(verdict, tag("h2")), []string{test.headline})
			d.expect("verdict", textsOf(verdict, tag("p")), []string{test.text})
			isFaults := func(n *html.Node) bool { return n.Data == "li" && attribute(n.Parent, "class") == "faults" }
			d.expect("faults", textsOf(verdict, isFaults), test.faults)
			isCaption := func(n *html.Node) bool { return n.Data == "h2" && attribute(n.Parent, "class") == "table" }
			d.expect("tables", textsOf(d.root, isCaption), test.tables)
			d.expect("plots", d.plots(), test.plots)
			if !strings.Contains(textOf(d.root), test.phases) {
				t.Errorf("%q is missing", test.phases)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	gaps, unheard, missed := full(), full(), full()
	missed.Missed = []string{"p99 is 7.2 ms, expected < 5 ms"}
	gaps.Gaps = 1234
	unheard.Delivered = 0
	for _, test := range []struct {
		name           string
		result         *loadtest.Result
		headline, text string
	}{
		{"gaps", gaps, "Verified", "Every event that was due to a client reached it once, in order and intact: 6,600 events, 13,200,000 deliveries, 2,000 clients. " +
			"The server announced 1,234 deliveries that it would not make (gaps): these do not count as lost."},
		{"unheard", unheard, "Nothing was delivered", "6,600 events were published and no fault was seen, but no client got one."},
		{"missed", missed, "Thresholds missed", "No fault was seen, but the run is not as it was asked to be."},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := write(t, test.result)
			verdict := byID(d.root, "verdict")
			d.expect("headline", textsOf(verdict, tag("h2")), []string{test.headline})
			d.expect("text", textsOf(verdict, tag("p")), []string{test.text})
			d.expect("title", textsOf(d.root, tag("title")), []string{"fleetload fanout: " + test.headline})
		})
	}
}

func TestFaultsAreExplained(t *testing.T) {
	d := write(t, faulty())
	isNote := func(n *html.Node) bool { return n.Data == "li" && attribute(n.Parent, "class") == "notes" }
	d.expect("notes", textsOf(byID(d.root, "verdict"), isNote),
		[]string{`client 17: event 93 of channel "c0" came after 94`, "client 20: connection reset by peer"})
	d.expect("warnings", textsOf(byID(d.root, "warnings"), tag("li")),
		[]string{"the harness used 97 % of a processor: it may have been the bottleneck"})
}

// What tells of gaps and of those turned away is shown where there were any.
func TestGapsAndTurnedAway(t *testing.T) {
	quiet, loud := write(t, full()), write(t, faulty())
	rows := map[string][]string{
		"deliveries": {
			"Gap messages that announced them | 13", "Gaps, wrong they contradict what came before them, or tell of what was never published | 9",
			"Gaps, split they follow another without an event between the two | 10", "Newest dropped announced as gaps, and the newest of their key | 11",
		},
		"connections": {"Turned away attempts answered with a time to come back at, which clients obey | 15"},
	}
	for id, want := range rows {
		for _, row := range want {
			if !slices.Contains(loud.rows(id), row) || slices.Contains(quiet.rows(id), row) {
				t.Errorf("%q is not where it should be: %q", row, loud.rows(id))
			}
		}
	}
}

func TestTables(t *testing.T) {
	d := write(t, phased())
	d.expect("tiles", textsOf(byID(d.root, "tiles"), tag("div")), []string{
		"Clients2,000 of 2,000 wanted", "Events6,600 400 per second", "Delivered13,200,000 in 16.5 s", "Deliveries per second800,000",
		"Latency, half within0.300 ms p50", "Latency, 99 % within1.25 ms p99", "Slowest delivery4 ms max",
		"Handshake, 99 % within12.5 ms half within 3 ms", "Server CPU per delivery0.912 µs while events flowed",
		"Server CPU per connection57.2 µs subscription included", "Server memory per connection0.270 kB resident, slope",
	})
	d.expect("phases", d.rows("phases"), []string{
		"Figure | calm | stalled | after",
		"Duration | 5.50 s | 5.50 s | 5.50 s",
		"Deliveries to the clients that are measured | 4,400,000 | 4,400,000 | 4,400,000",
		"Deliveries per second | 800,000 | 800,000 | 800,000",
		"Latency p50 | 0.300 ms | 0.600 ms | 0.900 ms",
		"Latency p90 | 0.700 ms | 1.40 ms | 2.10 ms",
		"Latency p99 | 1.25 ms | 2.50 ms | 3.75 ms",
		"Latency p99.9 | 2.50 ms | 5 ms | 7.50 ms",
		"Latency max | 4 ms | 8 ms | 12 ms",
		"Handshake p50 |  |  | 6 ms", "Handshake p90 |  |  | 14 ms", "Handshake p99 |  |  | 25 ms", "Handshake p99.9 |  |  | 50 ms", "Handshake max |  |  | 80 ms",
		"Ping to pong p50 |  |  | 1.50 ms", "Ping to pong p90 |  |  | 3.50 ms", "Ping to pong p99 |  |  | 6.25 ms", "Ping to pong p99.9 |  |  | 12.5 ms", "Ping to pong max |  |  | 20 ms",
		"Server CPU of one processor | 70 % | 80 % | 90 %",
	})
	d.expect("figures", d.rows("figures"), []string{"Time to full service | 1.23 s"})
	d.expect("latency", d.rows("latency"), []string{
		"Of | p50 | p90 | p99 | p99.9 | max",
		"All deliveries from the moment an event was due to its receipt | 0.300 | 0.700 | 1.25 | 2.50 | 4",
		"First subscriber of each event, the first to get it | 0.0300 | 0.0700 | 0.125 | 0.250 | 0.400",
		"Last subscriber of each event, the last to get it | 0.450 | 1.05 | 1.88 | 3.75 | 6",
		"Handshake from dialling to the subscription's answer | 3 | 7 | 12.5 | 25 | 40",
		"Ping to pong from the moment a ping was due to its answer | 0.900 | 2.10 | 3.75 | 7.50 | 12",
	})
	d.expect("server", d.rows("server"), []string{
		"Process | 4711",
		"CPU per delivery while events flowed | 0.912 µs",
		"CPU per event the same, by events published | 1,824 µs",
		"CPU per connection while clients connected, subscription included | 57.2 µs",
		"CPU share of one processor, while events flowed | 73 %",
		"Memory, base resident, before the first client | 5.57 MiB",
		"Memory, all clients resident, all connected and nothing going on | 6.13 MiB",
		"Memory, peak resident, the most in the run | 7 MiB",
		"Memory per connection slope from a third of the clients to all | 0.270 kB",
		"Kernel socket memory per connection TCP buffers, both ends if both are on this machine, while nothing goes on | 0 kB",
		"Kernel socket memory, peak all TCP buffers of the machine | 1.23 MiB",
	})
	d.expect("run", d.rows("run"), []string{
		"Scenario | slow", "Target | ws://127.0.0.1:8080/ws", "Profile | fleetcast", "Started | 4 March 2026, 05:06:07 UTC",
		"Machine | 2 processors, Linux 6.1.0", "clients | 2000", "payload | 128 bytes", "window | 32",
	})
	d.expect("command", textsOf(d.root, tag("code")), []string{"fleetload fanout --url ws://127.0.0.1:8080/ws --expect 'p99<5ms,lost=0'"})
}

// What compression did is told where it was offered.
func TestCompressionInTables(t *testing.T) {
	compression := func(rows []string) (found []string) {
		for _, r := range rows {
			if strings.Contains(strings.ToLower(r), "compress") || strings.HasPrefix(r, "Frame payload") {
				found = append(found, r)
			}
		}
		return found
	}
	d := write(t, mixed())
	d.expect("connections", compression(d.rows("connections")), []string{
		"Clients compressed of those connected: the server agreed to compress | 1,250",
		"Compression declined handshakes in which it was offered and the server did not agree | 17",
	})
	d.expect("deliveries", compression(d.rows("deliveries")), []string{
		"Frame payload mean, of delivered events, as they arrived | 650 bytes",
		"Frame payload, compressed of clients that agreed on compression | 386 bytes",
		"Frame payload, plain of the others | 1,088 bytes",
	})
	d = write(t, full())
	d.expect("connections", compression(d.rows("connections")), nil)
	d.expect("deliveries", compression(d.rows("deliveries")), []string{
		"Frame payload mean, of delivered events, as they arrived | 182 bytes",
	})
}

func TestRecoveryInTables(t *testing.T) {
	r := phased()
	r.Detail.Recovery = &loadtest.Recovery{
		Recoveries: 71, Whole: 70, Events: 7000, Lost: 74, Resets: 1, ResetEvents: 76, Wrong: 2, LostWrong: 3, Time: percentiles(8),
	}
	r.Phases[1].Recovery, r.Phases[1].ServerSeconds = percentiles(8), ptr(2.5)
	d := write(t, r)
	d.expect("recovery", d.rows("recovery"), []string{
		"Recoveries times that a client came back with the position that it had | 71",
		"Whole of those: the client got, or was told of, all that it had missed | 70",
		"Recovered missed events that clients got | 7,000",
		"Told as lost missed events that the server said it has lost | 74",
		"Resets answers that neither recover nor say what is lost | 1",
		"Missed by resets events that are not lost, because none was promised | 76",
		"Recoveries, wrong they are not what the server said | 2",
		"Losses, wrong what the server said is lost is not what is missing | 3",
	})
	phases, latency := strings.Join(d.rows("phases"), "\n"), strings.Join(d.rows("latency"), "\n")
	for _, want := range []string{"Recovery p50", "Server CPU time |  | 2.50 s |"} {
		if !strings.Contains(phases, want) {
			t.Errorf("%q is missing in %s", want, phases)
		}
	}
	if !strings.Contains(latency, "Recovery from dialling until a client has all that it had missed") {
		t.Errorf("the latencies are %s", latency)
	}
	d = write(t, phased())
	if found := d.rows("recovery"); len(found) > 0 {
		t.Errorf("without recovery there is %q", found)
	}
}

func TestPlotsInWords(t *testing.T) {
	d := write(t, full())
	for id, want := range map[string]string{
		"latency-percentiles": "All deliveries: half within 0.300 ms, 99 % within 1.25 ms, the slowest 4 ms. " +
			"First subscriber: half within 0.0300 ms, 99 % within 0.125 ms, the slowest 0.400 ms. " +
			"Last subscriber: half within 0.450 ms, 99 % within 1.88 ms, the slowest 6 ms.",
		"handshake-percentiles": "All connections: half within 3 ms, 99 % within 12.5 ms, the slowest 40 ms.",
		"latency-time":          "The p99 of an interval was between 0.750 ms and 1.75 ms; the slowest delivery took 5.59 ms, seen at 7.8 s.",
		"connections-time":      "At most 2,000 clients were connected, first at 3.5 s; at the end 2,000 of 2,000 wanted.",
		"deliveries-time":       "The most in an interval was 800,000 deliveries per second, at 3.8 s; in all 13,200,000 deliveries.",
		"processor-time":        "Server: between 34 % and 80 %, 78 % at the end. Harness: between 21 % and 50 %, 49 % at the end.",
		"memory-time": "Server, resident: between 5.86 MiB and 6.13 MiB, 6.13 MiB at the end. " +
			"Kernel, all TCP buffers: between 0.117 MiB and 1.23 MiB, 1.20 MiB at the end.",
	} {
		d.expect(id, []string{textOf(byID(d.root, id+"-text"))}, []string{want})
	}
}

// data is what the script of the page reads.
type data struct {
	Time  []*float64
	Bands []struct {
		Name     string
		From, To float64
	}
	Plots []struct {
		ID     string
		Log    bool
		Series []struct {
			Label  string
			Values []*float64
		}
	}
}

func (d document) data() (v data) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(byID(d.root, "plot-data").FirstChild.Data), &v); err != nil {
		d.t.Fatal(err)
	}
	return v
}

func TestSeriesWithoutDataAreLeftOut(t *testing.T) {
	r := faulty() // whose server was not measured
	for i := range r.Timeline {
		r.Timeline[i].Latency = loadtest.Percentiles{}
		r.Timeline[i].SocketKB = 0
	}
	r.Timeline[3].OwnBusy = math.Inf(1)
	d := write(t, r)
	d.expect("plots", d.plots(), []string{"latency-percentiles", "handshake-percentiles", "connections-time", "deliveries-time", "processor-time"})
	for _, p := range d.data().Plots {
		if p.ID == "processor-time" && (len(p.Series) != 1 || p.Series[0].Label != "harness" || p.Series[0].Values[3] != nil) {
			t.Errorf("the processor's series are %+v", p.Series)
		}
	}
}

func TestLogScalesGetNoZeros(t *testing.T) {
	for _, p := range write(t, full()).data().Plots {
		for _, s := range p.Series {
			for i, v := range s.Values {
				if p.Log && v != nil && *v <= 0 {
					t.Errorf("%s, %s: value %d is %v", p.ID, s.Label, i, *v)
				}
			}
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	calm, attacked := write(t, hostileBut("x")), write(t, hostile())
	everything := func(*html.Node) bool { return true }
	if got, want := len(all(attacked.root, everything)), len(all(calm.root, everything)); got != want {
		t.Errorf("%d elements, %d with harmless text", got, want)
	}
	text := textOf(byID(attacked.root, "verdict")) + textOf(byID(attacked.root, "run")) + textOf(byID(attacked.root, "figures")) +
		textOf(byID(attacked.root, "phases")) + textOf(byID(attacked.root, "warnings"))
	for _, place := range []string{"ended", "note", "scenario", "profile", "machine", "parameter", "value", "Title", "unit", "phase", "warning"} {
		if !strings.Contains(text, place+" "+attack) {
			t.Errorf("the text of %s is not shown as it is", place)
		}
	}
	if got := attacked.data().Bands[0].Name; got != "connect "+attack {
		t.Errorf("the first phase of the plots is %q", got)
	}
	if code := textsOf(attacked.root, tag("code"))[0]; !strings.HasPrefix(code, "fleetload 'command </script>") {
		t.Errorf("the command line is %q", code)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrorIsReported(t *testing.T) {
	if err := report.Write(brokenWriter{}, full()); err == nil || err.Error() != "writing the page: disk full" {
		t.Errorf("the error is %v", err)
	}
}
