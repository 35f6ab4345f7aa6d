package loadtest

// flow is what a worker keeps of one stream of events.
type flow struct {
	index      int // in the plan
	plan       *flowPlan
	layout     layout
	schedule   *schedule
	origins    [][]origin // by channel, and by the epochs that have been seen of it
	counting   bool       // orderPrepare was given: events are due to clients
	awaited    []int32    // by channel: clients that events wait for
	tracks     []track    // by sequence number; made by prepare
	references [comparedForms]references
	// untaken counts, by channel, the events of a span of its indices that the server
	// did not take.
	untaken []func(span) int64
}

// unknownBase stands for the offset of a channel to which no client of this
// worker had subscribed before the first event.
const unknownBase = -1

func newFlow(index int, plan *flowPlan, schedule *schedule) *flow {
	f := &flow{
		index:    index,
		plan:     plan,
		layout:   layout{int64(len(plan.Channels))},
		schedule: schedule,
		origins:  make([][]origin, len(plan.Channels)),
	}
	for channel := range f.origins {
		f.untaken = append(f.untaken, func(s span) (count int64) {
			for index := s.from; index < s.to; index++ {
				if schedule.untaken.has(f.layout.seq(int32(channel), index)) {
					count++
				}
			}
			return count
		})
	}
	for i := range f.references {
		f.references[i] = newReferences(plan.Payload)
	}
	return f
}

// origin is where the offsets of a channel begin in an epoch.
type origin struct {
	epoch  string
	before int64 // the offset before the first event of the run; unknownBase
}

// maxOrigins bounds the epochs that are told apart; more count as the last.
const maxOrigins = 100

// originOf is the place of an epoch in a channel's origins.
func (f *flow) originOf(channel int32, epoch []byte) int8 {
	known := f.origins[channel]
	for i := range known {
		if known[i].epoch == string(epoch) {
			return int8(i)
		}
	}
	if len(known) == maxOrigins {
		return maxOrigins - 1
	}
	f.origins[channel] = append(known, origin{string(epoch), unknownBase})
	return int8(len(known))
}

// base is the offset before the first event of the run, as the client's offsets count.
func (c *client) base() *int64 { return &c.cohort.flow.origins[c.channel][c.origin].before }

// epoch is that of the client's offsets.
func (c *client) epoch() string { return c.cohort.flow.origins[c.channel][c.origin].epoch }

// published is how many events of a channel are on their way.
func (f *flow) published(channel int32) int64 {
	return f.layout.count(channel, f.schedule.published.Load())
}

// track is how far one event has come among the clients of one worker that are
// awaited.
type track struct {
	first     int64 // when the first of them had it, time of the clock; 0: none has
	remaining int32 // clients that are still to get it, once it is begun
	begun     bool
}

// completion says that all awaited clients of a worker have an event.
type completion struct {
	flow        int32
	seq         int64
	first, last int64 // times of the clock; first is 0 if it reached none of them
}

// nobodyLeft as a completion's first says that the worker has nobody any more
// who waits for the channel whose number is last, from event seq on.
const nobodyLeft = -1

// reference is an event that was verified in full, as it arrived: one frame, or
// its fragments. What other clients of the same form get is compared with it.
type reference struct {
	seq    int64 // -1: empty
	size   int   // of the payload, in bytes
	frames []byte
}

// references keeps the latest events' frames of one form, by sequence number modulo their
// count.
type references struct {
	slots []reference
	mask  int64
}

const (
	maxReferences = 1024
	minReferences = 64
	// maxReferenceBytes bounds the memory of the references of a flow.
	maxReferenceBytes = 16 << 20
)

// newReferences makes room for as many events with data of size bytes as are
// likely to be under way.
func newReferences(size int) references {
	count := maxReferences
	for count > minReferences && count*size > maxReferenceBytes {
		count /= 2
	}
	r := references{make([]reference, count), int64(count - 1)}
	for i := range r.slots {
		r.slots[i].seq = -1
	}
	return r
}

// of returns the reference of event seq; nil if there is none.
func (r *references) of(seq int64) *reference {
	if slot := &r.slots[seq&r.mask]; slot.seq == seq {
		return slot
	}
	return nil
}

// set makes what has arrived the reference of event seq, unless the place
// belongs to a later event.
func (r *references) set(seq int64, w wire) {
	slot := &r.slots[seq&r.mask]
	if slot.seq >= seq {
		return
	}
	slot.seq, slot.size = seq, w.size
	slot.frames = append(slot.frames[:0], w.frames...)
}
