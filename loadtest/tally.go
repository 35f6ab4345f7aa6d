package loadtest

import "fmt"

// maxNotes is how many faults a worker describes; it counts them all.
const maxNotes = 8

// tally counts what the clients of one worker saw.
type tally struct {
	delivered  int64 // events that arrived intact, each once per subscriber
	lost       int64 // events that a subscriber never got
	duplicated int64 // arrivals of an event that had arrived before
	reordered  int64 // events that came after a later one
	corrupted  int64 // events whose data is not what was published
	unexpected int64 // messages that no client asked for or nobody published
	told       int64 // events that the server said it would not deliver
	closed     int64 // clients whose connection ended before the run did
	refused    int64 // clients that never got as far as a subscription

	frameBytes int64 // payload of the frames of delivered events
	notes      []string
}

// note describes a fault, as long as there is room.
func (t *tally) note(format string, arguments ...any) {
	if len(t.notes) < maxNotes {
		t.notes = append(t.notes, fmt.Sprintf(format, arguments...))
	}
}

// add adds the counts of other.
func (t *tally) add(other *tally) {
	t.delivered += other.delivered
	t.lost += other.lost
	t.duplicated += other.duplicated
	t.reordered += other.reordered
	t.corrupted += other.corrupted
	t.unexpected += other.unexpected
	t.told += other.told
	t.closed += other.closed
	t.refused += other.refused
	t.frameBytes += other.frameBytes
	t.notes = append(t.notes, other.notes[:min(len(other.notes), maxNotes-len(t.notes))]...)
}
