package loadtest

import (
	"slices"
	"sync"
	"time"
)

// mark names a moment at which the server's memory is read.
type mark uint8

const (
	markBase      mark = iota // before the first client
	markThird                 // with a third of the clients, settled
	markConnected             // with all, settled
	marks
)

// samples gathers figures of the swarms and of the machine over a run: a timeline, and
// the parts of it that are compared. A goroutine of its own takes a sample every
// sampleInterval. Because of the lock, the scenario's phases begin and end between two
// samples.
type samples struct {
	run      *run
	start    time.Time
	stopping chan struct{}
	stopped  chan struct{}

	mu                  sync.Mutex
	phases              []*phase
	last                answer // of the latest sample, but for its histograms
	moment              moment // of the latest sample
	marks               [marks]moment
	clients             [marks]int // live at each mark
	compressing         [marks]int // of them, those whose server compresses
	timeline            []Sample
	keep                int // every so many samples one is kept
	ended               bool
	skipped             int
	serverBusy, ownBusy float64 // shares of a processor, as of the latest point
	peakKB              int64   // resident memory of the server
	earlierKB           int64   // its peak before the run
	socketKB            int64   // peak of the TCP buffers
	failed              error   // the first sample that could not be taken
}

// phase is a part of a run.
type phase struct {
	name     string
	from, to moment
	before   []tally // by group, at its begin
	after    []tally // and its end
	times    []times // by group
	// Events published, of all flows, and copies that publishers got, at the
	// begin and at the end.
	eventsBefore, eventsAfter int64
	copiesBefore, copiesAfter int64
}

// maxTimeline bounds the timeline. When it is full, every second sample is dropped, and
// only every second one is kept from then on.
const maxTimeline = 4096

func newSamples(r *run) *samples {
	s := &samples{run: r, start: time.Now(), stopping: make(chan struct{}), stopped: make(chan struct{}), keep: 1}
	go s.loop()
	return s
}

// loop is the goroutine that takes samples.
func (s *samples) loop() {
	defer close(s.stopped)
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.mu.Lock()
			if len(s.phases) > 0 && !s.ended {
				_ = s.take() // kept in failed
			}
			s.mu.Unlock()
		case <-s.stopping:
			return
		}
	}
}

func (s *samples) stop() {
	close(s.stopping)
	<-s.stopped
}

// begin ends the phase under way and begins another.
func (s *samples) begin(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.take() // kept in failed
	groups := len(s.run.plan.Groups)
	p := &phase{name: name, from: s.moment}
	for i := range groups {
		p.times = append(p.times, newTimes())
		p.before = append(p.before, s.last.Groups[i].Tally)
	}
	p.eventsBefore, p.copiesBefore = s.run.published()
	p.eventsAfter, p.copiesAfter = p.eventsBefore, p.copiesBefore
	s.phases = append(s.phases, p)
}

// end takes the last sample. The error is of the first that failed.
func (s *samples) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.take()
	s.ended = true
	return s.failed
}

// mark takes a sample and remembers it.
func (s *samples) mark(which mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.take()
	s.marks[which] = s.moment
	for _, g := range s.last.Groups {
		s.clients[which] += g.Live
		s.compressing[which] += g.Compressing
	}
	return err
}

// take takes a sample, which goes to the phase under way.
func (s *samples) take() error {
	if s.failed != nil {
		return s.failed
	}
	a, err := s.run.crew.do(s.run.life, order{What: orderSample})
	if err == nil {
		var now moment
		if now, err = s.run.meter.sample(a.OwnTime); err == nil {
			s.add(a, now)
			return nil
		}
	}
	s.failed = err
	if s.last.Groups == nil {
		s.last.Groups = make([]groupAnswer, len(s.run.plan.Groups))
	}
	return err
}

func (s *samples) add(a *answer, now moment) {
	s.takePeaks(&now)
	if len(s.phases) > 0 {
		p := s.phases[len(s.phases)-1]
		p.to, p.after = now, p.after[:0]
		p.eventsAfter, p.copiesAfter = s.run.published()
		for i := range a.Groups {
			p.times[i].merge(&a.Groups[i].Times)
			p.after = append(p.after, a.Groups[i].Tally)
		}
		s.addToTimeline(s.point(a, &now, p.name))
	}
	s.last, s.moment = *a, now
}

// takePeaks notes the most that memory has come to. The kernel knows what the
// server's was between two samples, if it was never more before the run.
func (s *samples) takePeaks(now *moment) {
	s.peakKB, s.socketKB = max(s.peakKB, now.resident), max(s.socketKB, now.sockets)
	if s.earlierKB == 0 {
		s.earlierKB = now.peak
	}
	if now.peak > s.earlierKB {
		s.peakKB = max(s.peakKB, now.peak)
	}
}

// minShare is the least time of which a share means anything.
const minShare = 20 * time.Millisecond

// point is a sample of the timeline.
func (s *samples) point(a *answer, now *moment, phase string) Sample {
	point := Sample{
		At:       now.at.Sub(s.start).Seconds(),
		Phase:    phase,
		ServerKB: now.resident,
		SocketKB: now.sockets,
	}
	latency := newHistogram()
	for i, g := range s.run.plan.Groups {
		got := &a.Groups[i]
		point.Clients += got.Live
		point.Wanted += g.Clients
		point.Delivered += got.Tally.Delivered
		point.Faults += got.Tally.faults()
		point.Missing += got.Tally.Missing
		if !g.Unmeasured {
			latency.merge(got.Times.Latency)
		}
	}
	point.Events, _ = s.run.published()
	point.Planned = s.run.planned()
	point.Latency = latency.percentiles()
	if now.at.Sub(s.moment.at) >= minShare {
		s.serverBusy, s.ownBusy = s.run.meter.busy(&s.moment, now)
	}
	point.ServerBusy, point.OwnBusy = s.serverBusy, s.ownBusy
	return point
}

func (s *samples) addToTimeline(point Sample) {
	if observe := s.run.config.Observe; observe != nil {
		observe(point)
	}
	if s.skipped++; s.skipped < s.keep {
		return
	}
	s.skipped = 0
	if len(s.timeline) == maxTimeline {
		half := s.timeline[:0]
		for i := 1; i < maxTimeline; i += 2 {
			half = append(half, s.timeline[i])
		}
		s.timeline, s.keep = half, 2*s.keep
	}
	s.timeline = append(s.timeline, point)
}

// phase returns the last phase of that name.
func (s *samples) phase(name string) *phase {
	for i := len(s.phases) - 1; i >= 0; i-- {
		if s.phases[i].name == name {
			return s.phases[i]
		}
	}
	return nil
}

// current is the name of the phase under way.
func (s *samples) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phases[len(s.phases)-1].name
}

// measured returns the last of the phases of these names that has begun, or else the
// first phase.
func (s *samples) measured(names []string) *phase {
	for _, name := range slices.Backward(names) {
		if p := s.phase(name); p != nil {
			return p
		}
	}
	return s.phases[0]
}

// delivered is how many events the group has got in the phase; group -1 means
// all.
func (p *phase) delivered(group int) (count int64) {
	for i := range p.after {
		if group == -1 || group == i {
			count += p.after[i].Delivered - p.before[i].Delivered
		}
	}
	return count
}

// all is the times of all groups together.
func (p *phase) all() times {
	sum := newTimes()
	for i := range p.times {
		sum.merge(&p.times[i])
	}
	return sum
}

func (p *phase) seconds() float64 { return p.to.at.Sub(p.from.at).Seconds() }

// tally returns what was counted of a group at the latest sample.
func (s *samples) tally(group int) tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Groups[group].Tally
}

// live returns how many clients of a group were live at the latest sample.
func (s *samples) live(group int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Groups[group].Live
}
