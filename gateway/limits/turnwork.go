package limits

import "time"

// What is handled of one client at a time is bounded by the work that it makes, so
// that no mixture of messages keeps the loop from others for longer: some half
// a millisecond, in units of about two nanoseconds. A message is handled whole;
// the costs below are those of the worst of their kind (BenchmarkInput).
const (
	TurnWork = 256 << 10

	ByteWork    = 4       // of a message; JSON of many small numbers takes longest to check
	MessageWork = 256     // of each, which may be refused with an error
	ControlWork = 64      // of a ping, say
	NameWork    = 512     // of a channel in a command, which may be opened or closed
	InflateWork = 4 << 10 // of a compressed message, beside what becomes of it
)

// ResumeSlice is how long a turn goes on with input that waits: of clients that
// sent too much, and of who had no credit. It may be exceeded by what one of them
// is handled at a time.
const ResumeSlice = 500 * time.Microsecond

// EndsPerTurn bounds how many clients of a kind a turn ends because their time is
// over: that of very many may be over at the same moment.
const EndsPerTurn = 16
