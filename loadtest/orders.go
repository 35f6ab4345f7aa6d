package loadtest

import "time"

// order is what a scenario has all swarms do. Its fields are exported for the
// way between processes.
type order struct {
	What  orderKind
	Group int
	Count int     // orderConnect: clients of the group that are to be connected by now
	Rate  float64 // orderConnect, orderChurn, orderPing: per second, of the whole group; 0: as fast as it goes
	// Served has orderReturn wait until all have got an event, too.
	Served bool
	Cut    bool // orderFinish: the run was cut short
	// Over is the time over which the clients come back, each when it likes, of orderReturn. Of
	// orderChurn it is how long each is away.
	Over time.Duration
}

type orderKind uint8

const (
	orderConnect  orderKind = iota // connect clients, and wait until each is subscribed or given up
	orderPrepare                   // count events from here on; the answer says who is awaited
	orderSample                    // say what was counted, and begin latencies anew
	orderDrop                      // the whole group vanishes at once
	orderReturn                    // dropped clients come back; wait until each has or is given up
	orderChurn                     // clients of the group leave and come back at a rate; 0 ends it
	orderPing                      // clients of the group ping at a rate; 0 ends it
	orderPause                     // the group does not read any more
	orderResume                    // it does again
	orderEcho                      // clients send, and wait until all is back or given up
	orderLeave                     // the group says goodbye; wait until the server has answered
	orderBehind                    // say how many clients of the group have not got all that is due to them
	orderUnproved                  // say how many clients have not seen a probe
	orderWhole                     // say how many clients of the group are not whole since they came back
	orderFinish                    // count what never came
)

// isQuestion tells whether a swarm has something to say to the order.
func (k orderKind) isQuestion() bool {
	switch k {
	case orderPrepare, orderSample, orderBehind, orderUnproved, orderWhole:
		return true
	}
	return false
}

// answer is what a swarm says to an order.
type answer struct {
	Groups  []groupAnswer
	Absent  [][]int32     // orderPrepare: by flow and channel, workers without a client for it
	OwnTime time.Duration // processor time that the process has used
	// Last is when the latest event arrived, of orderSample; when the latest client was whole, of
	// orderWhole. It is a time of the clock.
	Last   int64
	Behind int // orderBehind, orderUnproved, orderWhole; orderPrepare: clients that need a position and have none
	// Recovered is missed events and clients that are whole, of orderWhole.
	Recovered int64
}

// groupAnswer is what is known of one group.
type groupAnswer struct {
	Live        int
	Compressing int // of them, those whose server agreed to compress
	Tally       tally
	Times       times // since the last orderSample
}

// add adds what another swarm has answered.
func (a *answer) add(other *answer) {
	if a.Groups == nil {
		a.Groups, a.Absent = other.Groups, other.Absent
	} else {
		a.merge(other)
	}
	a.OwnTime += other.OwnTime
	a.Last = max(a.Last, other.Last)
	a.Behind += other.Behind
	a.Recovered += other.Recovered
}

// merge adds what is by group or flow.
func (a *answer) merge(other *answer) {
	for i := range a.Groups {
		a.Groups[i].add(&other.Groups[i])
	}
	for flow := range a.Absent {
		for channel := range a.Absent[flow] {
			a.Absent[flow][channel] += other.Absent[flow][channel]
		}
	}
}

func (g *groupAnswer) add(other *groupAnswer) {
	g.Live += other.Live
	g.Compressing += other.Compressing
	g.Tally.add(&other.Tally)
	g.Times.merge(&other.Times)
}
