package expect_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"fleetcast/loadtest"
	"fleetcast/loadtest/expect"
)

// own are a scenario's figures.
var own = []loadtest.Figure{
	{Name: "seconds_to_full_service", Unit: "s"},
	{Name: "returned", Unit: "clients"},
	{Name: "spare", Unit: "%"},
	{Name: "never_reported", Unit: "ms"},
}

// measured is a result in which every figure has a value of its own.
func measured() *loadtest.Result {
	float := func(f float64) *float64 { return &f }
	integer := func(n int64) *int64 { return &n }
	return &loadtest.Result{
		Clients: 990, Events: 5_000, Delivered: 4_950_000,
		Lost: 1, Duplicated: 2, Reordered: 3, Corrupted: 4, Gaps: 5,
		Seconds: 12.5, EventsPerSecond: 400, DeliveriesPerSecond: 396_000,
		Latency:   loadtest.Percentiles{P50: 1.5, P90: 3, P99: 7.2, P999: 12, Max: 31.25},
		Handshake: loadtest.Percentiles{P50: 101, P90: 102, P99: 103, P999: 104, Max: 105},
		Pong:      loadtest.Percentiles{P50: 61, P90: 62, P99: 63, P999: 64, Max: 65},
		Server: loadtest.ServerCost{
			PID: 1, CPUPerDelivery: float(0.75), CPUPerEvent: float(740), CPUPerConnection: float(35),
			ResidentKB: integer(20_480), ResidentBaseKB: integer(10_240), ResidentPeakKB: integer(30_720),
			ResidentKBPerConnection: float(0.45), SocketKBPerConnection: float(4.5), SocketPeakKB: integer(2_048),
		},
		Harness: loadtest.HarnessCost{CPUPerDelivery: 0.25},
		Phases: []loadtest.Phase{
			{Name: "calm", Seconds: 5, Delivered: 100, Latency: loadtest.Percentiles{P99: 1}},
			{Name: "stalled 1.5", Seconds: 6, Delivered: 200, DeliveriesPerSecond: 33, ServerBusy: float(0.5), ServerSeconds: float(3),
				Latency:   loadtest.Percentiles{P50: 1, P90: 2, P99: 9, P999: 10, Max: 11},
				Handshake: loadtest.Percentiles{Max: 21}, Pong: loadtest.Percentiles{Max: 22}, Recovery: loadtest.Percentiles{Max: 23}},
		},
		Detail: loadtest.Detail{
			Compressing: 600, Declined: 11,
			FramePayloadBytes: 512, CompressedPayloadBytes: 256, PlainPayloadBytes: 1024,
			ClientsWanted: 1_000, Connected: 1_100, Refused: 6, Disconnected: 7, Unexpected: 8, Rejected: 9, Taken: 20, NotTaken: 21,
			TurnedAway: 18, Pings: 1_700, Unanswered: 15,
			GapMessages: 16, GapWrong: 12, GapSplit: 13, NewestDropped: 14,
			Recovery: &loadtest.Recovery{
				Recoveries: 71, Whole: 72, Events: 73, Lost: 74, Resets: 75, ResetEvents: 76, Wrong: 77, LostWrong: 78,
				Time: loadtest.Percentiles{P50: 81, P90: 82, P99: 83, P999: 84, Max: 85},
			},
			FirstLatency: loadtest.Percentiles{P50: 0.1, P90: 0.2, P99: 0.3, P999: 0.4, Max: 0.5},
			LastLatency:  loadtest.Percentiles{P50: 41, P90: 42, P99: 43, P999: 44, Max: 45},
			ServerBusy:   float(0.85), HarnessBusy: 1.25,
			Figures: []loadtest.Figure{
				{Name: "seconds_to_full_service", Value: 4.5, Unit: "s"},
				{Name: "returned", Value: 1_500, Unit: "clients"},
				{Name: "spare", Value: 15, Unit: "%"},
			},
		},
	}
}

func parse(t *testing.T, text string) expect.Expectations {
	t.Helper()
	e, err := expect.Parse(text, own...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// exact has every figure at its value in the measured result.
var exact = []string{
	"clients=990", "missing_clients=10", "connected=1100", "refused=6", "disconnected=7",
	"compressed_clients=600", "compression_declined=11",
	"frame_bytes=512B", "frame_bytes_compressed=0.25kB", "frame_bytes_plain=1kB",
	"events=5k", "delivered=4_950_000", "lost=1", "duplicated=2", "reordered=3", "corrupted=4", "gaps=5",
	"unexpected=8", "rejected=9", "taken=20", "not_taken=21", "in_flight=0", "turned_away=18", "pings=1700", "unanswered=15", "gap_messages=16", "gap_wrong=12", "gap_split=13", "newest_dropped=14",
	"seconds=12.5", "events_per_second=400", "deliveries_per_second=396k",
	"p50=1.5ms", "p90=3ms", "p99=7.2ms", "p999=12ms", "max=31.25ms",
	"first_p50=100us", "first_p90=0.2ms", "first_p99=0.3ms", "first_p999=0.4ms", "first_max=0.5ms",
	"last_p50=41ms", "last_p90=42ms", "last_p99=43ms", "last_p999=44ms", "last_max=45ms",
	"handshake_p50=101ms", "handshake_p90=102ms", "handshake_p99=103ms", "handshake_p999=104ms", "handshake_max=105ms",
	"pong_p50=61ms", "pong_p90=62ms", "pong_p99=63ms", "pong_p999=64ms", "pong_max=65ms",
	"recoveries=71", "whole=72", "recovered=73", "recovery_lost=74", "resets=75", "reset_events=76", "recovery_wrong=77", "lost_wrong=78",
	"recovery_p50=81ms", "recovery_p90=82ms", "recovery_p99=83ms", "recovery_p999=84ms", "recovery_max=85ms",
	"cpu_per_delivery=0.75us", "cpu_per_event=740us", "cpu_per_connection=35us",
	"rss=20MB", "rss_base=10MiB", "rss_peak=30720KiB", "rss_per_connection=0.45kB",
	"socket_per_connection=4.5KB", "socket_peak=2MB",
	"server_cpu=0.85", "harness_cpu=125%", "harness_cpu_per_delivery=0.25us",
	"stalled 1.5.p50=1ms", "stalled 1.5.p90=2ms", "stalled 1.5.p99=9ms", "stalled 1.5.p999=10ms", "stalled 1.5.max=11ms",
	"stalled 1.5.handshake_max=21ms", "stalled 1.5.pong_max=22ms", "stalled 1.5.recovery_max=23ms", "stalled 1.5.server_cpu_seconds=3s", "stalled 1.5.seconds=6s", "stalled 1.5.delivered=200",
	"stalled 1.5.deliveries_per_second=33", "stalled 1.5.server_cpu=50%", "calm.p99=1ms",
	"seconds_to_full_service=4.5", "seconds_to_full_service=4500ms", "returned=1.5k", "spare=15%", "spare=15",
}

func TestEveryFigure(t *testing.T) {
	r := measured()
	for _, part := range exact {
		if misses := parse(t, part).Check(r); len(misses) > 0 {
			t.Errorf("%s: %v", part, misses)
		}
		if misses := parse(t, strings.Replace(part, "=", "!=", 1)).Check(r); len(misses) != 1 {
			t.Errorf("not %s: %v", part, misses)
		}
	}
	if misses := parse(t, strings.Join(exact, " , ")).Check(r); len(misses) > 0 {
		t.Errorf("all together: %v", misses)
	}
}

// The list of names that an error gives is the list that the test above covers.
func TestEveryNameIsTested(t *testing.T) {
	_, err := expect.Parse("x=1")
	if err == nil {
		t.Fatal("x is a figure")
	}
	_, list, _ := strings.Cut(err.Error(), "Figures: ")
	list, _, _ = strings.Cut(list, ";")
	for name := range strings.SplitSeq(list, ", ") {
		if !slices.ContainsFunc(exact, func(part string) bool { return strings.HasPrefix(part, name+"=") }) {
			t.Errorf("%s is not tested", name)
		}
	}
}

func TestFaultsHaveNames(t *testing.T) {
	faults := measured().Faults()
	if len(faults) < 8 {
		t.Fatalf("only %d kinds of faults", len(faults))
	}
	for _, f := range faults {
		e, err := expect.Parse(f.Name + fmt.Sprintf("=%d", f.Count))
		if err != nil {
			t.Error(err)
		}
		if !e.Has(f.Name) || e.Has("p99") {
			t.Errorf("Has is wrong about %s", f.Name)
		}
		if misses := e.Check(measured()); len(misses) > 0 {
			t.Error(misses)
		}
	}
	if parse(t, "stalled.delivered>1").Has("delivered") {
		t.Error("a threshold of a phase passes for one of the run")
	}
}

func TestOperators(t *testing.T) {
	r := &loadtest.Result{Events: 5}
	for _, test := range []struct {
		operator string
		met      [3]bool // with the bounds 4, 5 and 6
	}{
		{"<", [3]bool{false, false, true}},
		{"<=", [3]bool{false, true, true}},
		{"=", [3]bool{false, true, false}},
		{"==", [3]bool{false, true, false}},
		{"!=", [3]bool{true, false, true}},
		{">=", [3]bool{true, true, false}},
		{">", [3]bool{true, false, false}},
	} {
		for i, met := range test.met {
			text := fmt.Sprintf("events %s %d", test.operator, 4+i)
			if misses := parse(t, text).Check(r); (len(misses) == 0) != met {
				t.Errorf("5 events, %s: %v", text, misses)
			}
		}
	}
}

func TestMisses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"p99<5ms", "p99 is 7.2 ms, expected < 5 ms"},
		{"p99<5000us", "p99 is 7200 us, expected < 5000 us"},
		{"p99 <= 0.005 s", "p99 is 0.0072 s, expected <= 0.005 s"},
		{"p99<7200000ns", "p99 is 7200000 ns, expected < 7200000 ns"},
		{"p99>7.2ms", "p99 is 7.2 ms, expected > 7.2 ms"},
		{"lost=0", "lost is 1, expected = 0"},
		{"deliveries_per_second>=1M", "deliveries_per_second is 0.396M, expected >= 1M"},
		{"deliveries_per_second>=400_000", "deliveries_per_second is 396000, expected >= 400_000"},
		{"rss<10MB", "rss is 20 MB, expected < 10 MB"},
		{"rss_per_connection<400B", "rss_per_connection is 460.8 B, expected < 400 B"},
		{"server_cpu<80%", "server_cpu is 85 %, expected < 80 %"},
		{"server_cpu<0.8", "server_cpu is 0.85, expected < 0.8"},
		{"seconds<10", "seconds is 12.5, expected < 10"},
		{"seconds<10s", "seconds is 12.5 s, expected < 10 s"},
		{"seconds_to_full_service<2", "seconds_to_full_service is 4.5, expected < 2"},
		{"returned>2k", "returned is 1.5k, expected > 2k"},
		{"stalled 1.5.p99<5ms", "stalled 1.5.p99 is 9 ms, expected < 5 ms"},
		{"never_reported<1", "never_reported is not measured, expected < 1"},
		{"calm.server_cpu<1", "calm.server_cpu is not measured, expected < 1"},
		{"calm.handshake_p99<1s", "calm.handshake_p99 is not measured, expected < 1 s"},
		{"none.p99<1ms", `none.p99 is not measured (the run has no phase "none", but "calm", "stalled 1.5"), expected < 1 ms`},
	}
	var all, want []string
	for _, test := range tests {
		misses := parse(t, test.text).Check(measured())
		if len(misses) != 1 || misses[0].String() != test.want {
			t.Errorf("%s: %v, want %s", test.text, misses, test.want)
		}
		all, want = append(all, test.text, "events>0"), append(want, test.want)
	}
	var got []string
	for _, miss := range parse(t, strings.Join(all, ",")).Check(measured()) {
		got = append(got, miss.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("together: %q, want %q", got, want)
	}
}

// A text for people must not read "5 ms, expected < 5 ms" of a value beyond it.
func TestMissShowsTheDifference(t *testing.T) {
	r := &loadtest.Result{Latency: loadtest.Percentiles{P99: 5.00001}}
	misses := parse(t, "p99<=5ms").Check(r)
	if len(misses) != 1 || misses[0].Found != "5.00001 ms" {
		t.Errorf("%v", misses)
	}
}

func TestNotMeasured(t *testing.T) {
	empty := &loadtest.Result{}
	for _, name := range []string{"p50", "p90", "p99", "p999", "max", "first_p99", "last_max", "handshake_p50",
		"cpu_per_delivery", "cpu_per_event", "cpu_per_connection", "harness_cpu_per_delivery"} {
		for _, rest := range []string{"<1s", ">=0ms", "!=1us"} {
			if misses := parse(t, name+rest).Check(empty); len(misses) != 1 || misses[0].Found != "not measured" {
				t.Errorf("%s%s: %v", name, rest, misses)
			}
		}
	}
	for _, name := range []string{"rss", "rss_base", "rss_peak", "rss_per_connection", "socket_per_connection", "socket_peak"} {
		if misses := parse(t, name+"<1GB").Check(empty); len(misses) != 1 || misses[0].Found != "not measured" {
			t.Errorf("%s: %v", name, misses)
		}
	}
	if misses := parse(t, "a.p99<1s").Check(empty); len(misses) != 1 ||
		misses[0].Found != "not measured (the run has no phases)" {
		t.Errorf("a phase of a run without: %v", misses)
	}
	if misses := parse(t, "seconds<1").Check(&loadtest.Result{Seconds: math.NaN()}); len(misses) != 1 ||
		misses[0].Found != "not measured" {
		t.Errorf("not a number: %v", misses)
	}
}

func TestParseFails(t *testing.T) {
	tests := []struct {
		text string
		want []string // parts of the error
	}{
		{"p99", []string{`"p99"`, "no operator", "<= >= == != < > ="}},
		{"p99<5ms,,lost=0", []string{`expectation ""`, "no operator"}},
		{"lost=0,", []string{`expectation ""`}},
		{"<5ms", []string{`"<5ms"`, "no figure is named", "p99, p999"}},
		{"lots=0,p99<5ms", []string{`"lots=0"`, `no figure "lots"`, `did you mean "lost"?`, "clients, missing_clients, ", "harness_cpu_per_delivery", "seconds_to_full_service"}},
		{"p99.9<5ms", []string{`did you mean "p999"?`}},
		{"stalled.p9<5ms", []string{`did you mean "stalled.p90"?`, "after the name of a phase and a dot: delivered, "}},
		{"stalled.lost=0", []string{`no figure "stalled.lost"`}},
		{"returnd>1", []string{`did you mean "returned"?`}},
		{".p99<5ms", []string{`did you mean "p99"?`}},
		{"p99<5", []string{`"p99<5"`, `"5" has no unit`, "ns, us, ms or s"}},
		{"p99<5kB", []string{`unit "kB" does not fit`, "a time in ns, us, ms or s"}},
		{"cpu_per_delivery<12", []string{"has no unit", "a time"}},
		{"rss<5", []string{"has no unit", "a size in B, kB, MB or GB"}},
		{"rss<5kb", []string{`unit "kb" does not fit`, "a size"}},
		{"lost=0ms", []string{`unit "ms" does not fit`, "a number"}},
		{"server_cpu<80percent", []string{`unit "percent"`, "a share"}},
		{"returned<5s", []string{`unit "s" does not fit`}},
		{"seconds_to_full_service<5kB", []string{`unit "kB" does not fit`}},
		{"p99<ms", []string{`"ms" is not a time`}},
		{"p99<", []string{`"" is not a time`}},
		{"p99<-5ms", []string{`"-5ms" is not a time`}},
		{"p99<1.2.3ms", []string{`"1.2.3ms" is not a time`}},
		{"lost=_", []string{`"_" is not a number`}},
		{"p99=<5ms", []string{`"<5ms" is not a time`}},
		{"p99!5ms", []string{`"!" is not an operator`}},
		{"lost<" + strings.Repeat("9", 308) + "M", []string{"out of range"}},
		{"lost<" + strings.Repeat("9", 400), []string{"is not a number"}},
	}
	for _, test := range tests {
		_, err := expect.Parse(test.text, own...)
		if err == nil {
			t.Errorf("%s is accepted", test.text)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", test.text, err, want)
			}
		}
	}
}

func TestParseNothing(t *testing.T) {
	for _, text := range []string{"", "  \n"} {
		if misses := parse(t, text).Check(measured()); len(misses) > 0 {
			t.Errorf("%q: %v", text, misses)
		}
	}
}

// FuzzParse checks that what is accepted can be checked, that a threshold and
// its contrary are never both met, and that misses name the figure.
func FuzzParse(f *testing.F) {
	for _, part := range exact {
		f.Add(part)
	}
	f.Add("p99<5ms, lost=0 ,stalled.p99<10ms,server_cpu<80%")
	f.Add("p99.9<5ms")
	contrary := strings.NewReplacer("<=", ">", ">=", "<", "==", "!=", "!=", "==", "<", ">=", ">", "<=", "=", "!=")
	r := measured()
	f.Fuzz(func(t *testing.T, text string) {
		e, err := expect.Parse(text, own...)
		if err != nil {
			return
		}
		for _, miss := range e.Check(r) {
			if !e.Has(miss.Name) || miss.Found == "" || miss.Expected == "" {
				t.Errorf("%q: %+v", text, miss)
			}
		}
		if strings.Contains(text, ",") || strings.TrimSpace(text) == "" {
			return
		}
		other, err := expect.Parse(contrary.Replace(text), own...)
		if err != nil {
			t.Fatalf("%q is accepted, its contrary is not: %v", text, err)
		}
		if len(e.Check(r)) == 0 && len(other.Check(r)) == 0 {
			t.Errorf("%q and its contrary are both met", text)
		}
	})
}
