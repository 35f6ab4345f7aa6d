package loadtest

import (
	"context"
	"fmt"
	"time"
)

// Churn is the scenario in which clients come and go all the time while events
// flow to those who stay and those who are there.
type Churn struct {
	Common
	Traffic
	Clients  int           // that stay, 1 to MaxClients; default 1
	Churners int           // that come and go; default 1
	Churn    float64       // of them leave per second, and come back at once; default 10
	Duration time.Duration // default DefaultDuration
}

func (c Churn) complete() (*Churn, error) {
	c.Common.complete()
	c.Traffic.complete()
	setDefault(&c.Clients, 1)
	setDefault(&c.Churners, 1)
	setDefault(&c.Churn, 10)
	setDefault(&c.Rate, 10)
	setDefault(&c.Duration, DefaultDuration)
	c.Events = ofRate(c.Rate, c.Duration)
	var checked checks
	checked.common(&c.Common)
	checked.traffic(&c.Traffic)
	checked.within("clients", c.Clients, 1, MaxClients)
	checked.within("churners", c.Churners, 1, MaxClients)
	checked.notNegative("churn", c.Churn)
	checked.notNegative("duration", c.Duration.Seconds())
	if c.Channels > c.Clients {
		checked = append(checked, fmt.Errorf("%d channels need as many clients that stay, not %d", c.Channels, c.Clients))
	}
	return &c, checked.err()
}

// RunChurn makes the run; see RunFanout for its errors.
func RunChurn(ctx context.Context, config Churn) (*Result, error) {
	c, err := config.complete()
	if err != nil {
		return nil, err
	}
	r, err := newRun(ctx, "churn", &c.Common, plan{
		Flows: []flowPlan{c.flow()},
		Groups: []groupPlan{
			{Name: "staying", Clients: c.Clients, Awaited: true},
			{Name: "churning", Clients: c.Churners, Returns: true},
		},
	}, []Traffic{c.Traffic})
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.parameter("clients that stay", c.Clients)
	r.parameter("clients that come and go", c.Churners)
	r.parameter("churn", fmt.Sprintf("%v leave per second, every second one without a word", c.Churn))
	r.trafficParameters(&c.Traffic, c.Duration)
	return r.finished(outcome{[]string{phaseEvents}, 0}, r.churn(c))
}

const churners = 1 // the group

func (r *run) churn(c *Churn) error {
	err := inOrder(
		r.toConnect,
		r.prepare,
		r.toBegin(phaseEvents),
		r.toDo(order{What: orderChurn, Group: churners, Rate: c.Churn}),
		r.toPublish(0),
		func() error { return r.doneWithin(0, c.Duration, true) },
		r.toDo(order{What: orderChurn, Group: churners}),
		r.toDo(order{What: orderReturn, Group: churners}),
		r.conclude,
	)
	if err == nil {
		r.figure("returned", float64(r.samples.tally(churners).Connected)-float64(r.plan.Groups[churners].Clients))
	}
	return err
}
