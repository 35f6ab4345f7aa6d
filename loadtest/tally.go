package loadtest

import "reflect"

// tally counts what the clients of one cohort saw. Its fields are exported for
// the way between processes.
type tally struct {
	Connected   int64 // connections that got as far as a subscription
	Refused     int64 // attempts that did not
	TurnedAway  int64 // attempts that the server answered with a time to come back at; these are not refused
	Delivered   int64 // events that arrived intact, each once per subscriber
	Missing     int64 // events that were skipped and have not come since
	Lost        int64 // events that a subscriber never got; known only in the end
	InFlight    int64 // events that it may still have got when the run was cut short; known only in the end
	Duplicated  int64 // arrivals of an event that had arrived before
	Reordered   int64 // events that came after a later one
	Corrupted   int64 // events that are not what was published
	Misplaced   int64 // of those delivered: events whose offset is not theirs, if none was refused
	Unexpected  int64 // messages that no client asked for or nobody published
	Told        int64 // events that the server said it would not deliver
	GapMessages int64 // messages in which it said so
	GapWrong    int64 // of those, the ones that contradict what came before, or tell of what was never published
	GapSplit    int64 // of those, the ones that follow another without an event between the two
	// NewestDropped is how many of the events told of were the newest of their
	// key, if events have keys.
	NewestDropped int64
	Recoveries    int64 // answers to clients that came back with a position
	Whole         int64 // of those, the ones after which a client had, or was told of, all that it had missed
	Recovered     int64 // missed events that clients got
	RecoveryLost  int64 // missed events that the server said it has lost
	Resets        int64 // answers that neither recover nor say what is lost
	ResetEvents   int64 // missed events of those
	RecoveryWrong int64 // recoveries that are not what the answer said
	LostWrong     int64 // losses in answers that are not what is missing
	Disconnected  int64 // connections that the server ended unasked
	Pings         int64 // that were sent
	Unanswered    int64 // of those, the ones that got no pong; known only in the end
	CutOff        int64 // connections that the server ended because the client lagged
	CutUntold     int64 // of those, the ones that got no close frame

	FrameBytes    int64 // payload of the frames of delivered events, as it arrived
	Inflated      int64 // of those delivered, the ones to clients whose server compresses
	InflatedBytes int64 // payload of their frames
	Declined      int64 // handshakes in which the server declined to compress
	// Rewritten is how many events that were taken apart had the right data in another
	// spelling. They count as delivered.
	Rewritten int64
	Examples  examples
}

// deliver counts an event that arrived intact in frames with a payload of size
// bytes.
func (t *tally) deliver(f form, size int) {
	t.Delivered++
	if f != formPlain {
		t.Inflated++
	}
	t.addFrame(f, size)
}

// addFrame adds the payload of a frame that held delivered events.
func (t *tally) addFrame(f form, size int) {
	t.FrameBytes += int64(size)
	if f != formPlain {
		t.InflatedBytes += int64(size)
	}
}

// faults are those that are known as they occur.
func (t *tally) faults() int64 {
	return t.Duplicated + t.Reordered + t.Corrupted + t.Unexpected + t.Disconnected + t.GapWrong + t.GapSplit + t.NewestDropped +
		t.RecoveryWrong + t.LostWrong
}

// add adds the counts of other: each of the numbers.
func (t *tally) add(other *tally) {
	sum, more := reflect.ValueOf(t).Elem(), reflect.ValueOf(other).Elem()
	for i := range sum.NumField() {
		if field := sum.Field(i); field.CanInt() {
			field.SetInt(field.Int() + more.Field(i).Int())
		}
	}
	t.Examples.add(other.Examples)
}
