package loadtest

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"fleetcast/loadtest/profile"
)

// Intake is the scenario that measures the publish port alone: events to
// channels that nobody has subscribed to, as fast as the port takes them.
type Intake struct {
	Common
	Events      int // in all, 1 to MaxIntake; default 5,000,000
	Connections int // 1 to 1,000; default 1; each publishes to a channel of its own
	Payload     int // bytes of an event's data; default 128
}

// MaxIntake is the largest number of events of the scenario intake.
const MaxIntake = 1 << 30

func (i Intake) complete() (*Intake, error) {
	i.Common.complete()
	setDefault(&i.Events, 5_000_000)
	setDefault(&i.Connections, 1)
	setDefault(&i.Payload, DefaultPayload)
	var c checks
	c.common(&i.Common)
	c.within("events", i.Events, 1, MaxIntake)
	c.within("connections", i.Connections, 1, min(1000, max(i.Events, 1)))
	c.within("payload", i.Payload, MinPayload, MaxPayload)
	return &i, c.err()
}

// RunIntake makes the run; see RunFanout for its errors. That every event was
// taken is known from the port's answers: in RESP from one for each, in NDJSON
// from the offset of the last one.
func RunIntake(ctx context.Context, config Intake) (*Result, error) {
	i, err := config.complete()
	if err != nil {
		return nil, err
	}
	if _, _, err := net.SplitHostPort(i.Publish); err != nil || strings.Contains(i.Publish, "/") {
		return nil, fmt.Errorf("publish port %q: want HOST:PORT", i.Publish)
	}
	i.Processes, i.Loops = 1, 1
	i.URL = "ws://" + i.Publish // the process to measure is the one that has the publish port
	r, err := newRun(ctx, "intake", &i.Common, plan{}, nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if via := r.profile.PublishVia(); via != profile.NDJSON && via != profile.RESP {
		return nil, fmt.Errorf("profile %s has no publish port: intake needs one", r.profile.Name())
	}
	r.parameter("publish port", i.Publish)
	r.parameter("connections", i.Connections)
	r.parameter("events", i.Events)
	r.parameter("payload", fmt.Sprintf("%d bytes", i.Payload))
	in, err := newIntake(r.profile, r.plan.Target.Addr, i, clockAt(r.plan.Base))
	if err != nil {
		return nil, err
	}
	r.intake = in
	var running sync.WaitGroup
	running.Go(in.loop.Run)
	defer running.Wait()
	defer in.loop.Stop()
	result, err := r.finished(outcome{[]string{phaseEvents}, -1}, r.takeIn(in))
	if err != nil {
		return nil, err
	}
	r.addIntake(result, in)
	return result, nil
}

func (r *run) takeIn(in *intake) error {
	in.call(in.connect)
	select {
	case err := <-in.ready:
		if err != nil {
			return err
		}
	case <-time.After(doorTimeout):
		return fmt.Errorf("publishing: no connection within %v", doorTimeout)
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	r.samples.begin(phaseEvents)
	in.call(in.start)
	select {
	case <-in.done:
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	return r.samples.end()
}

// addIntake adds what the connections know.
func (r *run) addIntake(result *Result, in *intake) {
	d := &result.Detail
	var described examples
	in.call(func() {
		for _, c := range in.conns {
			result.Events += c.sent
			d.Rejected += c.refused
			result.Lost += c.lost
			switch open := max(c.sent-c.replies.good-c.refused, 0); {
			case c.confirmed:
			case r.incomplete != "":
				result.InFlight += open
			default:
				d.NotTaken += open
			}
			described.add(c.examples)
			if c.err != nil && d.Ended == "" {
				d.Ended = c.err.Error()
			}
		}
	})
	d.Examples, d.Notes = append(d.Examples, described...), append(d.Notes, described.texts()...)
	d.Taken = result.Events - d.Rejected - d.NotTaken - result.InFlight
	result.spread(r.samples.measured([]string{phaseEvents}).seconds())
}

// confirmation is the answer to the last request of a connection.
var confirmation = regexp.MustCompile(`^\{"id":0,"results":\[\{.*"offset":([0-9]{1,15})[,}]`)

// isConfirmation tells whether an answer is to the request with an id.
func isConfirmation(text string) bool { return strings.HasPrefix(text, `{"id":0,`) }

// confirmedOffset reads the offset from it.
func confirmedOffset(line string) (offset int64, ok bool) {
	found := confirmation.FindStringSubmatch(line)
	if found == nil {
		return 0, false
	}
	offset, err := strconv.ParseInt(found[1], 10, 64)
	return offset, err == nil
}
