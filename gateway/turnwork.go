package gateway

import "time"

// What is handled of one client at a time is bounded by the work that it makes, so
// that no mixture of messages keeps the loop from others for longer: some half
// a millisecond, in units of about two nanoseconds. A message is handled whole;
// the costs below are those of the worst of their kind (BenchmarkInput).
const (
	turnWork = 256 << 10

	byteWork    = 4       // of a message; JSON of many small numbers takes longest to check
	messageWork = 256     // of each, which may be refused with an error
	controlWork = 64      // of a ping, say
	nameWork    = 512     // of a channel in a command, which may be opened or closed
	inflateWork = 4 << 10 // of a compressed message, beside what becomes of it
)

// resumeSlice is how long a turn goes on with input that waits: of clients that
// sent too much, and of who had no credit. It may be exceeded by what one of them
// is handled at a time.
const resumeSlice = 500 * time.Microsecond
