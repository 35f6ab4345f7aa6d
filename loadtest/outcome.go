package loadtest

import (
	"errors"
	"fmt"
	"time"

	"fleetcast/loadtest/proc"
)

// outcome says which part of a run a scenario's result is about.
type outcome struct {
	measured []string // phases, the last of which the figures are of; the others are beside it
	flow     int      // whose publisher's times count; -1: there is none
}

// result adds up what is known of the run. Counts are of the whole run, costs and
// latencies of the phase that is measured.
func (r *run) result(o outcome) *Result {
	s := r.samples
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.total()
	rejected, untaken, described := r.refusals()
	// An event that was refused has a place in our count and no offset.
	if rejected+untaken == 0 {
		total.Corrupted += total.Misplaced
		total.Delivered -= total.Misplaced
	} else {
		total.GapWrong, total.GapSplit, total.NewestDropped = 0, 0, 0
		total.RecoveryWrong, total.LostWrong = 0, 0
	}
	// What the publish port refuses is the cause of what clients miss.
	described.add(total.Examples)
	total.Examples = described
	p := s.measured(o.measured)
	result := &Result{
		Scenario:   r.scenario,
		Clients:    s.clients[markConnected],
		Delivered:  total.Delivered,
		Lost:       total.Lost,
		Duplicated: total.Duplicated,
		Reordered:  total.Reordered,
		Corrupted:  total.Corrupted,
		Gaps:       total.Told,
		InFlight:   total.InFlight,
		Incomplete: r.incomplete,
		Latency:    r.latency(p).percentiles(),
		Timeline:   s.timeline,
		Phases:     []Phase{},
		Missed:     []string{},
	}
	handshake := newHistogram()
	for _, phase := range s.phases {
		handshake.merge(phase.all().Handshake)
	}
	result.Handshake, result.Pong = handshake.percentiles(), p.all().Pong.percentiles()
	result.Run = r.info()
	r.describe(result, &total)
	r.publisherTimes(result, o.flow)
	d := &result.Detail
	d.Rejected, d.NotTaken, d.Taken = rejected, untaken, max(result.Events-rejected-untaken, 0)
	r.cost(result, p)
	if len(o.measured) > 1 {
		for _, name := range o.measured {
			if compared := s.phase(name); compared != nil {
				result.Phases = append(result.Phases, r.phaseResult(compared))
			}
		}
	}
	r.warn(result)
	return result
}

// refusals is what the publishers were refused, and what was not taken.
func (r *run) refusals() (rejected, untaken int64, described examples) {
	if r.publishing == nil {
		return 0, 0, nil
	}
	r.publishing.call(func() {
		for _, p := range r.publishing.publishers {
			rejected, untaken = rejected+p.rejected, untaken+p.untaken
			described.add(p.examples)
		}
	})
	return rejected, untaken, described
}

// total is the counts of all groups.
func (s *samples) total() (total tally) {
	for i := range s.last.Groups {
		total.add(&s.last.Groups[i].Tally)
	}
	return total
}

// latency merges the latencies of the groups that are measured.
func (r *run) latency(p *phase) histogram {
	merged := newHistogram()
	for i, g := range r.plan.Groups {
		if !g.Unmeasured {
			merged.merge(p.times[i].Latency)
		}
	}
	return merged
}

// percentiles are the latencies of the clients measured in the last phase of that
// name.
func (r *run) percentiles(phase string) Percentiles {
	r.samples.mu.Lock()
	defer r.samples.mu.Unlock()
	return r.latency(r.samples.phase(phase)).percentiles()
}

// measuredDelivered is how many events those groups got in the phase.
func (r *run) measuredDelivered(p *phase) (count int64) {
	for i, g := range r.plan.Groups {
		if !g.Unmeasured {
			count += p.delivered(i)
		}
	}
	return count
}

// describe fills in what is said beside the figures.
func (r *run) describe(result *Result, total *tally) {
	d := &result.Detail
	for _, g := range r.plan.Groups {
		d.ClientsWanted += g.Clients
	}
	d.Compressing, d.Declined = r.samples.compressing[markConnected], total.Declined
	d.Connected, d.Refused, d.TurnedAway = total.Connected, total.Refused, total.TurnedAway
	d.Disconnected, d.Unexpected = total.Disconnected, total.Unexpected
	d.Pings, d.Unanswered = total.Pings, total.Unanswered
	d.GapMessages, d.GapWrong, d.GapSplit, d.NewestDropped = total.GapMessages, total.GapWrong, total.GapSplit, total.NewestDropped
	d.Figures = r.ownFigures()
	d.Examples, d.Notes = []Example{}, []string{}
	for _, e := range total.Examples {
		if e.Kind == kindReset {
			r.warnings = append(r.warnings, fmt.Sprintf("%d of %d recoveries are resets, without %d missed events; the first: %s", total.Resets, total.Recoveries, total.ResetEvents, e))
			continue
		}
		if e.Kind == kindRewritten {
			r.warnings = append(r.warnings, fmt.Sprintf("the server writes the JSON of events anew (%d of those taken apart): the same values in other bytes; %s", total.Rewritten, e))
			continue
		}
		d.Examples = append(d.Examples, e)
		d.Notes = append(d.Notes, e.String())
	}
	d.Warnings = []string{}
	r.describeRecovery(d, total)
	d.FramePayloadBytes = mean(total.FrameBytes, result.Delivered)
	d.CompressedPayloadBytes = mean(total.InflatedBytes, total.Inflated)
	d.PlainPayloadBytes = mean(total.FrameBytes-total.InflatedBytes, total.Delivered-total.Inflated)
	if ended := errors.Join(r.ended, r.meter.gone); ended != nil {
		d.Ended = ended.Error()
	}
}

// mean is 0 of nothing.
func mean(sum, count int64) float64 {
	if count <= 0 {
		return 0
	}
	return float64(sum) / float64(count)
}

// publisherTimes fills in what the publishers know. flow is whose first and last
// deliveries are wanted; -1 if there is none.
func (r *run) publisherTimes(result *Result, flow int) {
	if flow < 0 {
		return
	}
	d := &result.Detail
	start := int64(-1)
	r.publishing.call(func() {
		for _, p := range r.publishing.publishers {
			if p.published() > 0 && (start < 0 || p.start < start) {
				start = p.start
			}
			result.Events += p.published()
		}
		p := r.publishing.publishers[flow]
		d.FirstLatency, d.LastLatency = p.first.percentiles(), p.last.percentiles()
	})
	if result.Delivered > 0 {
		result.spread(time.Duration(r.samples.last.Last - start).Seconds())
	}
}

// spread fills in what follows from the number of events and the time that they took.
func (result *Result) spread(seconds float64) {
	result.Seconds = seconds
	if seconds <= 0 {
		return // it was cut short before
	}
	result.EventsPerSecond = float64(result.Events) / seconds
	result.DeliveriesPerSecond = float64(result.Delivered) / seconds
}

// cost fills in what the server and the harness used.
func (r *run) cost(result *Result, p *phase) {
	s, d := r.samples, &result.Detail
	delivered := p.delivered(-1)
	result.Harness.CPUPerDelivery = perItem(p.to.own-p.from.own, delivered)
	server, own := r.meter.busy(&p.from, &p.to)
	d.HarnessBusy = own
	if r.meter.server == nil {
		return
	}
	d.ServerBusy = &server
	c := &result.Server
	c.PID, c.Processes, c.Found = r.meter.server.PIDs()[0], r.meter.processes(), r.meter.how
	base, third, connected := &s.marks[markBase], &s.marks[markThird], &s.marks[markConnected]
	used := p.to.server.Since(p.from.server)
	c.CPUPerDelivery = measured(perItem(used, delivered+p.copiesAfter-p.copiesBefore))
	c.CPUPerEvent = measured(perItem(used, r.messages(p)))
	c.ResidentPeakKB, c.SocketPeakKB = &s.peakKB, &s.socketKB
	if connected.at.IsZero() {
		return // no clients belong to the scenario
	}
	all := s.clients[markConnected]
	c.CPUPerConnection = measured(perItem(connected.server.Since(base.server), int64(all)))
	c.ResidentKB, c.ResidentBaseKB = &connected.resident, &base.resident
	if more := all - s.clients[markThird]; more > 0 && !third.at.IsZero() {
		c.ResidentKBPerConnection = measured(float64(connected.resident-third.resident) / float64(more))
	}
	if all > 0 {
		c.SocketKBPerConnection = measured(float64(connected.sockets-base.sockets) / float64(all))
	}
}

// messages is how many events were published in the phase; in the scenario echo,
// how many messages came back.
func (r *run) messages(p *phase) int64 {
	if r.plan.Echo != nil {
		return p.delivered(-1)
	}
	return p.eventsAfter - p.eventsBefore
}

func measured(value float64) *float64 { return &value }

// phaseResult is what is known of one phase, of the groups that are measured.
func (r *run) phaseResult(p *phase) Phase {
	all := p.all()
	result := Phase{
		Name:      p.name,
		Seconds:   p.seconds(),
		Delivered: r.measuredDelivered(p),
		Latency:   r.latency(p).percentiles(),
		Handshake: all.Handshake.percentiles(),
		Pong:      all.Pong.percentiles(),
		Recovery:  all.Recovery.percentiles(),
	}
	if result.Seconds > 0 {
		result.DeliveriesPerSecond = float64(result.Delivered) / result.Seconds
	}
	if r.meter.server != nil {
		server, _ := r.meter.busy(&p.from, &p.to)
		result.ServerBusy = &server
		result.ServerSeconds = measured(p.to.server.Since(p.from.server).Seconds())
	}
	return result
}

func (r *run) info() RunInfo {
	if share := r.config.Deflate; share > 0 {
		r.parameter("compression", fmt.Sprintf("offered by %v %% of the clients", 100*share))
	}
	return RunInfo{
		Command:    append(Words{}, r.config.Command...),
		Started:    r.samples.start,
		URL:        r.config.URL,
		Publish:    r.publishAt,
		Profile:    r.profile.Name(),
		Parameters: r.parameters,
		Machine:    proc.Machine(),
	}
}

// busyShare is the share of a processor beyond which the harness may have been
// what limited the run.
const busyShare = 0.9

// warn adds reasons to doubt the figures.
func (r *run) warn(result *Result) {
	d := &result.Detail
	d.Warnings = append(d.Warnings, r.warnings...)
	if d.Declined > 0 {
		d.Warnings = append(d.Warnings, fmt.Sprintf("the server declined compression in %d handshakes in which it was offered", d.Declined))
	}
	for i := range r.plan.Flows {
		if f := &r.plan.Flows[i]; f.Open && r.board.schedules[i].published.Load() == int64(f.Events) {
			d.Warnings = append(d.Warnings, fmt.Sprintf("the events ran out after %d: the last part of the run was without", f.Events))
		}
	}
	worked := result.Clients > 0 || result.Events > 0
	if loops := r.plan.allWorkers(); worked && d.HarnessBusy > busyShare*float64(loops) {
		d.Warnings = append(d.Warnings, fmt.Sprintf(
			"the harness used %.0f %% of a processor: it may have been the bottleneck, and latencies hold its own delays",
			100*d.HarnessBusy))
	}
}
