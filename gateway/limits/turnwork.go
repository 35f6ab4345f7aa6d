package limits

import "time"

// The work for one client in a turn is bounded to half a millisecond, so that no
// mixture of messages keeps the loop from others for longer. The unit is about two
// nanoseconds. A message is handled whole. The costs below are those of the worst
// message of each kind (BenchmarkInput).
const (
	TurnWork = 256 << 10

	ByteWork    = 4       // for each byte of a message; JSON of many small numbers takes longest to check
	MessageWork = 256     // of each, which may be refused with an error
	ControlWork = 64      // of a ping, for example
	NameWork    = 512     // of a channel in a command, which may be opened or closed
	RuleWork    = 8       // for each rule for channels that is looked through for a name
	KeptWork    = 64      // for each event of a history that is read
	KeptBytes   = 4       // of its data that are copied are 1
	PassedWork  = 4       // for each event of a history that is passed on the way to others
	InflateWork = 4 << 10 // of a compressed message, besides the work for what is inflated
)

// ResumeSlice is how long a turn handles input that has waited: of clients that sent
// too much, and of peers that had no credit. The work for one of them may exceed it.
const ResumeSlice = 500 * time.Microsecond

// EndsPerTurn bounds how many clients of a kind a turn ends because their time is over.
// The time of thousands may be over at the same moment.
const EndsPerTurn = 16
