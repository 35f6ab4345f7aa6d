package gateway

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

const (
	// watchInterval is how often the watch asks every loop for its counters. It looks
	// watchTicks times as often whether it runs itself.
	watchInterval = time.Second
	watchTicks    = 4
	// heldUp is how long a loop must have served nobody to be logged.
	heldUp = time.Second
	// stuck is after how long a loop is logged that has not answered and still does
	// not.
	stuck = 10 * time.Second
	// shownLoops is how many loops a line names.
	shownLoops = 8
)

// watch looks at all loops once a second: at what they count, for incidents, and at
// whether they answer. It belongs to one goroutine, except its channel of answers.
type watch struct {
	gateway   *Gateway
	every     time.Duration // watchInterval, except in tests
	incidents *incidents
	loops     []watchedLoop
	answers   chan loopAnswer
	held      holdUp
	ticked    time.Duration // when it ran last; the loops' clock
	looked    time.Duration // when it looked at the loops last
}

// watchedLoop is a loop as the watch knows it.
type watchedLoop struct {
	name    string
	ask     func()        // asks the loop to answer soon
	asked   time.Duration // when it was asked; 0 if it has answered
	stats   Stats         // of a shard, as it last answered
	publish PublishStats  // of a loop of the publish port
}

// loopAnswer is what a loop has to say.
type loopAnswer struct {
	loop    int // index in the watch's loops
	at      time.Duration
	longest time.Duration // of its turns since it was last asked
	stats   Stats
	publish PublishStats
	samples stats.Samples
}

// holdUp is a time in which loops served nobody. It ends when all loops answer.
type holdUp struct {
	longest time.Duration
	loops   map[string]bool
	process bool // the watch, which has little to do, was held up as well
	stuck   bool // it was told that loops do not answer
	noted   bool // since the watch looked last
}

func newWatch(g *Gateway) *watch {
	w := &watch{gateway: g, every: watchInterval, incidents: newIncidents(g.logger)}
	for _, s := range g.clients.Shards {
		loop := len(w.loops)
		w.loops = append(w.loops, watchedLoop{name: fmt.Sprint("shard ", s.Port.Index), ask: func() {
			s.Post(func() {
				w.answers <- loopAnswer{loop: loop, at: poller.Now(), longest: s.Longest.Take(), stats: s.Stats(), samples: s.Samples.Take()}
			})
		}})
	}
	for i, in := range g.publish.Loops {
		loop := len(w.loops)
		w.loops = append(w.loops, watchedLoop{name: fmt.Sprint("publish loop ", i), ask: func() {
			in.Post(func() {
				answer := loopAnswer{loop: loop, at: poller.Now(), longest: in.Longest.Take(), publish: stats.NewPublish(), samples: in.Samples.Take()}
				in.AddStats(&answer.publish)
				w.answers <- answer
			})
		}})
	}
	// Each loop has one question at a time, so no answer has to wait.
	w.answers = make(chan loopAnswer, len(w.loops))
	return w
}

// run watches until the gateway ends.
func (w *watch) run() {
	ticker := time.NewTicker(w.every / watchTicks)
	defer ticker.Stop()
	w.ticked, w.looked = poller.Now(), poller.Now()
	w.askAll()
	for {
		select {
		case answer := <-w.answers:
			w.take(answer)
			if w.answered() {
				w.incidents.observe(w.sum(), poller.Now(), false)
			}
		case <-ticker.C:
			w.tick(poller.Now())
		case <-w.gateway.running.Done():
			return
		}
	}
}

// askAll asks the loops that have answered.
func (w *watch) askAll() {
	now := poller.Now()
	for i := range w.loops {
		if l := &w.loops[i]; l.asked == 0 {
			l.asked = now
			l.ask()
		}
	}
}

func (w *watch) take(answer loopAnswer) {
	l := &w.loops[answer.loop]
	w.held.note(l.name, max(answer.longest, answer.at-l.asked))
	l.asked, l.stats, l.publish = 0, answer.stats, answer.publish
	w.incidents.sampled(answer.samples)
}

// tick notes whether the process stood still, and looks at the loops when that is
// due.
func (w *watch) tick(now time.Duration) {
	tick := w.every / watchTicks
	late := now - w.ticked - tick
	w.ticked = now
	if late > heldUp {
		w.held.noteProcess(late)
	}
	if now-w.looked >= w.every-tick/2 {
		w.looked = now
		w.look(now, late > heldUp)
	}
}

// look is what the watch does once per interval. late tells that it should have
// done it long ago.
func (w *watch) look(now time.Duration, late bool) {
	for taken := true; taken; { // what was answered while the process stood still
		select {
		case answer := <-w.answers:
			w.take(answer)
		default:
			taken = false
		}
	}
	w.tellHeld(now, late)
	if !w.answered() { // those that have are not to wait for the others
		w.incidents.observe(w.sum(), now, false)
	}
	w.askAll()
}

// answered tells whether every loop has.
func (w *watch) answered() bool {
	return !slices.ContainsFunc(w.loops, func(l watchedLoop) bool { return l.asked != 0 })
}

// sum adds what the loops have last told.
func (w *watch) sum() *GatewayStats {
	sum := &GatewayStats{Total: stats.NewShard(), Publish: stats.NewPublish(), AdminRefused: make(map[string]uint64)}
	for i := range w.loops {
		sum.Total.Add(&w.loops[i].stats)
		sum.Publish.Add(&w.loops[i].publish)
	}
	w.gateway.streams.AddStats(&sum.Publish)
	w.incidents.sampled(w.gateway.publish.API.TakeSamples())
	w.gateway.publish.API.AddStats(&sum.Publish)
	w.incidents.sampled(w.gateway.adminRefusals.TakeSamples())
	w.gateway.adminRefusals.AddTo(sum.AdminRefused)
	return sum
}

// finish logs what was not logged yet. The loops have ended.
func (w *watch) finish() {
	for i, s := range w.gateway.clients.Shards {
		w.loops[i].stats = s.Stats()
		w.incidents.sampled(s.Samples.Take())
	}
	for i, in := range w.gateway.publish.Loops {
		l := &w.loops[len(w.gateway.clients.Shards)+i]
		l.publish = stats.NewPublish()
		in.AddStats(&l.publish)
		w.incidents.sampled(in.Samples.Take())
	}
	w.incidents.observe(w.sum(), poller.Now(), true)
}

// note records that a loop has served nobody for some time, if that time is long.
func (h *holdUp) note(loop string, took time.Duration) {
	if took <= heldUp {
		return
	}
	if h.loops == nil {
		h.loops = make(map[string]bool)
	}
	h.loops[loop] = true
	h.longest = max(h.longest, took)
	h.noted = true
}

// noteProcess notes that the whole process stood still.
func (h *holdUp) noteProcess(took time.Duration) {
	h.longest = max(h.longest, took)
	h.process, h.noted = true, true
}

// tellHeld logs a hold-up when it is over, in one line for all loops. It is over when
// each loop has answered and none of the last answers reports it. Before that, tellHeld
// logs loops that do not answer for long, unless the watch itself was late: then they
// have had no time to answer.
func (w *watch) tellHeld(now time.Duration, late bool) {
	h := &w.held
	var waiting []string
	var most time.Duration
	for i := range w.loops {
		if l := &w.loops[i]; l.asked != 0 && now-l.asked > heldUp {
			waiting = append(waiting, l.name)
			most = max(most, now-l.asked)
		}
	}
	switch {
	case len(waiting) > 0:
		if most >= stuck && !h.stuck && !late {
			h.stuck = true
			w.gateway.logger.Warn("loops do not answer: their clients and publishers are not served",
				"for", most.Round(time.Second/10), "loops", listLoops(waiting))
		}
	case h.noted: // more may be on its way
		h.noted = false
	case h.longest > 0:
		message := "loops were held up and serve again: their clients and publishers waited"
		if h.process {
			message = "the process was held up and serves again: it was stopped, or the machine has no processor time or memory for it"
		}
		attrs := []any{"longest", h.longest.Round(time.Second / 10)}
		if !h.process {
			var names []string
			for i := range w.loops {
				if name := w.loops[i].name; h.loops[name] {
					names = append(names, name)
				}
			}
			attrs = append(attrs, "loops", listLoops(names))
		}
		w.gateway.logger.Warn(message, attrs...)
		*h = holdUp{}
	}
}

// listLoops names the first of some loops.
func listLoops(names []string) slog.Value {
	text := strings.Join(names[:min(len(names), shownLoops)], ", ")
	if more := len(names) - shownLoops; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return slog.StringValue(text)
}
