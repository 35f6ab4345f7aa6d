package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"fleetcast/loadtest/profile"
)

const (
	// phaseConnect is the phase in which clients connect.
	phaseConnect = "connect"
	// phaseEnd is what is left when the events are through.
	phaseEnd = "end"
	// linger is how long the clients are listened to after the last event, for
	// what comes twice or unasked.
	linger = 100 * time.Millisecond
	// doorTimeout is how long the way to publish may take to open.
	doorTimeout = 10 * time.Second
	// sampleInterval is the grain of the timeline.
	sampleInterval = 250 * time.Millisecond
)

// run is a run under way: what its scenario, in the caller's goroutine, works
// with. Only the methods of samples are called by another goroutine, the one
// that takes them.
type run struct {
	ctx        context.Context // of the scenario: ends with the caller's, and with life
	life       context.Context // of the harness: ends if one of its processes does
	fail       context.CancelCauseFunc
	release    func() bool // of the caller's context
	config     *Common
	scenario   string
	plan       plan
	profile    *profile.Profile
	crew       *crew
	publishing *publishing
	publishAt  string // where events are published; empty if there are none or they go by a WebSocket
	board      *board
	boardFile  *os.File
	publishers sync.WaitGroup // the publishing loop
	watching   sync.WaitGroup // watchReach
	dependent  atomic.Bool    // the scenario needs its clients now
	finishing  atomic.Bool    // the scenario waits for a publisher's end
	meter      *meter
	samples    *samples

	intake     *intake // in the scenario intake
	parameters []Parameter
	figures    []Figure
	ended      error  // why the run ended early
	incomplete string // why the run was cut short; empty if it was not
	warnings   []string
}

// newRun makes all that a run needs. traffic is what is published on each of the
// plan's flows; none, if nothing is. The caller closes it.
func newRun(ctx context.Context, scenario string, config *Common, p plan, traffic []Traffic) (*run, error) {
	r := &run{config: config, scenario: scenario, plan: p}
	// What has been counted when the caller ends the run is still to be gathered.
	r.life, r.fail = context.WithCancelCause(context.WithoutCancel(ctx))
	var end context.CancelCauseFunc
	r.ctx, end = context.WithCancelCause(r.life)
	r.release = context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	r.plan.Profile, r.plan.Sources = config.Profile, config.Sources
	r.plan.Processes, r.plan.Loops, r.plan.Connecting = config.Processes, config.Loops, config.Connecting
	r.plan.Stall, r.plan.Deflate, r.plan.NoYield = config.Stall, config.Deflate, config.NoYield
	clock := newClock()
	r.plan.Base = clock.base
	var err error
	if r.plan.Tokens, err = makeTokens(config, p.Groups); err != nil {
		r.close()
		return nil, err
	}
	if err = r.open(traffic); err != nil {
		r.close()
		return nil, err
	}
	r.samples = newSamples(r)
	if len(p.Groups) > 0 {
		r.watching.Go(func() { r.watchReach(end) })
	}
	return r, nil
}

// open opens the parts; those that it did open are closed by close.
func (r *run) open(traffic []Traffic) (err error) {
	if r.profile, err = r.config.loadProfile(); err != nil {
		return err
	}
	to := &r.plan.Target
	if *to, err = parseTarget(r.config.URL, r.profile.Path()); err != nil {
		return err
	}
	if len(r.plan.Sources) == 0 {
		r.plan.Sources = usualSources(to.Addr.Addr(), r.plan.clients())
	}
	if len(r.plan.Flows) > 1 && !r.profile.ManyChannels() {
		return fmt.Errorf("a server of profile %s has no channels: the scenario %s needs two", r.profile.Name(), r.scenario)
	}
	if r.plan.recovers() && !r.profile.Recovers() {
		return fmt.Errorf("profile %s cannot recover: it does not say how a client subscribes with a position (subscribe.recover)", r.profile.Name())
	}
	for _, f := range r.plan.Flows {
		switch {
		case len(f.Channels) > 1 && !r.profile.ManyChannels():
			return fmt.Errorf("a server of profile %s has no channels: want 1, not %d", r.profile.Name(), len(f.Channels))
		case f.Keys > 0 && !r.profile.Keys():
			return fmt.Errorf("profile %s cannot give events keys: that takes a publish port with JSON lines", r.profile.Name())
		}
	}
	if r.meter, err = newMeter(r.config.serverPIDs(), to.Addr); err != nil {
		return err
	}
	r.meter.name()
	if r.board, r.boardFile, err = newBoard(r.plan.shape()); err != nil {
		return err
	}
	completed := func([]completion) {}
	if len(traffic) > 0 {
		if r.publishAt, err = publishAt(r.config.Publish, r.profile, to); err != nil {
			return err
		}
		r.publishing, err = newPublishing(&r.plan, r.board, traffic, r.profile, r.publishAt, r.config.Key)
		if err != nil {
			return err
		}
		if warning := r.meter.stranger(r.publishAt); warning != "" {
			r.warnings = append(r.warnings, warning)
		}
		r.publishers.Go(r.publishing.loop.Run)
		completed = r.publishing.completed
	}
	return r.gather(completed)
}

// gather makes the crew.
func (r *run) gather(completed func([]completion)) error {
	local, err := newSwarm(&r.plan, r.board, completed)
	if err != nil {
		return err
	}
	local.start()
	r.crew = &crew{local: local}
	for i := 1; i < r.plan.Processes; i++ {
		p := r.plan
		p.Process = i
		p.Tokens = p.ownTokens()
		m, err := startMember(r.life, r.config.Member, p, r.boardFile, completed, r.fail)
		if m != nil {
			r.crew.members = append(r.crew.members, m)
		}
		if err != nil {
			return fmt.Errorf("process %d of the harness: %w", i+1, err)
		}
	}
	return nil
}

// close ends whatever was opened, those first who know of others.
func (r *run) close() {
	if r.samples != nil {
		r.samples.stop()
	}
	if r.crew != nil {
		r.crew.stop()
	}
	if r.publishing != nil {
		r.publishing.close()
		r.publishers.Wait()
	}
	r.release()
	r.fail(nil)
	r.watching.Wait()
	if r.board != nil {
		r.board.close()
		r.boardFile.Close()
	}
}

// published is how many events there are, on all flows, and how many copies of
// them the publishers got.
func (r *run) published() (events, copies int64) {
	if r.intake != nil {
		return r.intake.sent.Load(), 0
	}
	for i := range r.board.schedules {
		events += r.board.schedules[i].published.Load()
	}
	if r.publishing != nil {
		for _, p := range r.publishing.publishers {
			copies += int64(p.doors.sum(door.copies))
		}
	}
	return events, copies
}

// planned is how many events there are to be; 0 if that is not known.
func (r *run) planned() (events int64) {
	if r.intake != nil {
		return r.intake.planned
	}
	for i := range r.plan.Flows {
		if r.plan.Flows[i].Open {
			return 0
		}
		events += int64(r.plan.Flows[i].Events)
	}
	return events
}

// parameter notes a setting for the report.
func (r *run) parameter(name string, value any) {
	r.parameters = append(r.parameters, Parameter{name, fmt.Sprint(value)})
}

// do gives an order to all swarms and waits for it.
func (r *run) do(o order) error {
	_, err := r.crew.do(r.ctx, o)
	return err
}

// connectAll connects a third of every group and then the rest, and reads the
// server's memory after each. rate is of connections per second, of every group;
// 0 is as fast as it goes.
func (r *run) connectAll(rate float64) error {
	r.samples.begin(phaseConnect)
	if err := r.samples.mark(markBase); err != nil {
		return err
	}
	if r.meter.server != nil {
		if err := r.connectShare(1, 3, rate); err != nil {
			return err
		}
		if err := r.settled(markThird); err != nil {
			return err
		}
	}
	if err := r.connectShare(1, 1, rate); err != nil {
		return err
	}
	r.dependent.Store(true)
	return r.settled(markConnected)
}

// connectShare connects dividend/divisor of every group.
func (r *run) connectShare(dividend, divisor int, rate float64) error {
	outcomes := make(chan error, len(r.plan.Groups))
	for i, g := range r.plan.Groups {
		o := order{What: orderConnect, Group: i, Count: g.Clients * dividend / divisor, Rate: rate}
		go func() { outcomes <- r.do(o) }()
	}
	var failed error
	for range r.plan.Groups {
		failed = errors.Join(failed, <-outcomes)
	}
	if failed != nil {
		return fmt.Errorf("connecting: %w", failed)
	}
	if a := r.board.attempts(); dividend == divisor && a.failed > 0 && a.connected == 0 {
		return errUnreachable
	}
	return nil
}

// settled samples after some idle time. Without a server to measure nothing is
// waited for.
func (r *run) settled(which mark) error {
	if r.meter.server != nil {
		if err := r.sleep(r.config.Settle); err != nil {
			return err
		}
	}
	return r.samples.mark(which)
}

// sleep waits, unless the run is ended.
func (r *run) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// prepare opens the doors, waits until events reach the clients and has everybody
// count them from here on.
func (r *run) prepare() error {
	for _, p := range r.publishing.publishers {
		r.publishing.call(p.open)
	}
	for _, p := range r.publishing.publishers {
		if err := r.await(p, doorTimeout); err != nil {
			return err
		}
	}
	if err := r.prove(); err != nil {
		return err
	}
	a, err := r.crew.do(r.ctx, order{What: orderPrepare})
	if err != nil {
		return err
	}
	if a.Behind > 0 {
		return fmt.Errorf("%d clients cannot recover: the answer to their subscription has no position (does the server keep a history of the channel?)", a.Behind)
	}
	for i, p := range r.publishing.publishers {
		p.absent = a.Absent[i]
	}
	return nil
}

// await waits until p is ready, or, with no limit, done.
func (r *run) await(p *publisher, limit time.Duration) error {
	var late <-chan time.Time
	if limit > 0 {
		late = time.After(limit)
	}
	select {
	case err := <-p.result:
		return err
	case <-late:
		return fmt.Errorf("publishing: no connection within %v", limit)
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// publish lets the events of a flow out.
func (r *run) publish(flow int) {
	p := r.publishing.publishers[flow]
	r.publishing.call(p.run)
}

// finish makes what a flow has published its last, and waits until it is done.
func (r *run) finish(flow int) error {
	p := r.publishing.publishers[flow]
	r.publishing.call(p.finish)
	return r.done(flow)
}

// done waits until the last event of a flow has reached every client. If the server has
// failed, that is noted and is no error.
func (r *run) done(flow int) error {
	r.finishing.Store(true)
	err := r.await(r.publishing.publishers[flow], 0)
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if err != nil {
		r.ended = errors.Join(r.ended, err)
		return r.arrive(flow)
	}
	return nil
}

// conclude has everybody count what never came, after a while for what comes
// twice or unasked.
func (r *run) conclude() error {
	r.dependent.Store(false)
	r.samples.begin(phaseEnd)
	if err := r.sleep(linger); err != nil {
		return err
	}
	if err := r.settle(false); err != nil {
		return err
	}
	cut := r.serverGone()
	if cut {
		r.incomplete = "the server ended all connections"
	}
	return r.count(cut)
}

// count has everybody count what never came. cut tells that it may still have been
// under way.
func (r *run) count(cut bool) error {
	if _, err := r.crew.do(r.life, order{What: orderFinish, Cut: cut}); err != nil {
		return err
	}
	return r.samples.end()
}

// channelNames makes names that no other run uses, so that what is left of an
// earlier run cannot be mistaken for this one's.
func channelNames(count int) []string {
	run := strconv.FormatUint(uint64(rand.Uint32())|1<<31, 36)
	names := make([]string, count)
	for i := range names {
		names[i] = "load-" + run + "-" + strconv.Itoa(i)
	}
	return names
}
