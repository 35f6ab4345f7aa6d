package report_test

import (
	"fmt"
	"math"
	"time"

	"fleetcast/loadtest"
)

func ptr[T any](v T) *T { return &v }

func percentiles(scale float64) loadtest.Percentiles {
	return loadtest.Percentiles{P50: 0.3 * scale, P90: 0.7 * scale, P99: 1.25 * scale, P999: 2.5 * scale, Max: 4 * scale}
}

// timeline is a run of 2,000 clients: they connect, then events flow through
// the given phases, in equal parts.
func timeline(phases ...string) []loadtest.Sample {
	var samples []loadtest.Sample
	for i := range 80 {
		at := float64(i+1) / 4
		s := loadtest.Sample{At: at, Phase: "connect", Clients: min(2000, (i+1)*150), Wanted: 2000, Planned: 6600, ServerBusy: 0.4, ServerKB: int64(6000 + 20*min(i, 14)), SocketKB: 120, OwnBusy: 0.3}
		if i >= 14 {
			s.Phase = phases[(i-14)*len(phases)/66]
			s.Events = int64(100 * (i - 13))
			s.Delivered = 2000 * s.Events
			wave := 1 + 0.4*math.Sin(at)
			s.Latency = percentiles(wave)
			s.ServerBusy, s.OwnBusy, s.SocketKB = 0.8*wave/1.4, 0.5*wave/1.4, int64(900*wave)
		}
		samples = append(samples, s)
	}
	return samples
}

// full has every figure that one process under test can give, but no phases.
func full() *loadtest.Result {
	return &loadtest.Result{
		Scenario: "fanout", Clients: 2000, Events: 6600, Delivered: 13_200_000,
		Seconds: 16.5, EventsPerSecond: 400, DeliveriesPerSecond: 800_000,
		Latency: percentiles(1), Handshake: percentiles(10),
		Server: loadtest.ServerCost{
			PID: 4711, CPUPerDelivery: ptr(0.912), CPUPerEvent: ptr(1824.0), CPUPerConnection: ptr(57.25),
			ResidentKB: ptr(int64(6280)), ResidentBaseKB: ptr(int64(5700)), ResidentPeakKB: ptr(int64(7168)), ResidentKBPerConnection: ptr(0.27),
			SocketKBPerConnection: ptr(0.0), SocketPeakKB: ptr(int64(1260)),
		},
		Harness: loadtest.HarnessCost{CPUPerDelivery: 0.625},
		Detail: loadtest.Detail{
			ClientsWanted: 2000, Connected: 2000, FramePayloadBytes: 181.5,
			FirstLatency: percentiles(0.1), LastLatency: percentiles(1.5), ServerBusy: ptr(0.73), HarnessBusy: 0.5,
		},
		Run: loadtest.RunInfo{
			Command: []string{"fleetload", "fanout", "--url", "ws://127.0.0.1:8080/ws", "--expect", "p99<5ms,lost=0"},
			Started: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), URL: "ws://127.0.0.1:8080/ws", Profile: "fleetcast",
			Parameters: []loadtest.Parameter{{Name: "clients", Value: "2000"}, {Name: "payload", Value: "128 bytes"}, {Name: "window", Value: "32"}},
			Machine:    "2 processors, Linux 6.1.0",
		},
		Timeline: timeline("publish"),
	}
}

// mixed has clients of which some are compressed.
func mixed() *loadtest.Result {
	r := full()
	d := &r.Detail
	d.Compressing, d.Declined = 1250, 17
	d.FramePayloadBytes, d.CompressedPayloadBytes, d.PlainPayloadBytes = 650, 386, 1088
	return r
}

// minimal is a result with nothing in it but its scenario.
func minimal() *loadtest.Result { return &loadtest.Result{Scenario: "connect"} }

// faulty has every kind of fault, and a server that was not measured.
func faulty() *loadtest.Result {
	r := full()
	r.Clients, r.Lost, r.Duplicated, r.Reordered, r.Corrupted, r.Gaps = 1990, 12_345, 2, 3, 4, 5
	r.Server = loadtest.ServerCost{}
	d := &r.Detail
	d.Disconnected, d.Unexpected, d.Rejected, d.ServerBusy = 6, 7, 8, nil
	d.GapMessages, d.GapWrong, d.GapSplit, d.NewestDropped, d.Pings, d.Unanswered, d.TurnedAway = 13, 9, 10, 11, 14, 12, 15
	d.Ended = "no delivery for 5 s"
	d.Notes = []string{`client 17: event 93 of channel "c0" came after 94`, "client 20: connection reset by peer"}
	d.Warnings = []string{"the harness used 97 % of a processor: it may have been the bottleneck"}
	for i := range r.Timeline {
		r.Timeline[i].ServerBusy, r.Timeline[i].ServerKB = 0, 0
	}
	return r
}

// phased compares three phases and has figures of its own.
func phased() *loadtest.Result {
	r := full()
	r.Scenario = "slow"
	for i, name := range []string{"calm", "stalled", "after"} {
		r.Phases = append(r.Phases, loadtest.Phase{
			Name: name, Seconds: 5.5, Delivered: 4_400_000, DeliveriesPerSecond: 800_000,
			Latency: percentiles(float64(i + 1)), ServerBusy: ptr(0.7 + 0.1*float64(i)),
		})
	}
	r.Phases[2].Handshake, r.Phases[2].Pong, r.Pong = percentiles(20), percentiles(5), percentiles(3)
	r.Detail.Figures = []loadtest.Figure{{Name: "seconds_to_full_service", Title: "time to full service", Value: 1.2345, Unit: "s"}}
	r.Timeline = timeline("calm", "stalled", "after")
	return r
}

const attack = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&<!--`

// hostile holds markup wherever a result holds text.
func hostile() *loadtest.Result { return hostileBut(attack) }

// hostileBut is hostile with other words for the attack.
func hostileBut(words string) *loadtest.Result {
	r := phased()
	text := func(place string) string { return fmt.Sprintf("%s %s", place, words) }
	r.Scenario, r.Lost = text("scenario"), 1
	r.Run = loadtest.RunInfo{
		Command: []string{"fleetload", text("command")}, URL: "javascript:" + text("url"), Profile: text("profile"), Machine: text("machine"),
		Parameters: []loadtest.Parameter{{Name: text("parameter"), Value: text("value")}},
	}
	d := &r.Detail
	d.Ended, d.Notes, d.Warnings = text("ended"), []string{text("note")}, []string{text("warning")}
	d.Figures = []loadtest.Figure{{Name: text("figure"), Title: text("title"), Value: 1, Unit: text("unit")}}
	r.Phases[0].Name = text("phase")
	for i := range r.Timeline {
		r.Timeline[i].Phase = text(r.Timeline[i].Phase)
	}
	return r
}
