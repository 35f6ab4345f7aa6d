package ingest

import "fleetcast/gateway/limits"

// publisherWait is why a publisher is not read.
type publisherWait uint8

const (
	waitsForInput   publisherWait = iota // it is read
	waitsForCredit                       // its request found no credit; see starved
	waitsForReplies                      // too many replies wait to be sent
	waitsForShards                       // its request about a user is not answered
	waitsForTurn                         // much of its input was handled in this turn
)

// What a step through a publisher's input costs, in the unit of limits.TurnWork. Each
// byte of a request costs limits.ByteWork.
const (
	stepWork    = 32  // of each, an empty array, say
	requestWork = 256 // of a line or a command
	refusedWork = 512 // of an error, which is worded and counted
	eventWork   = 256 // of an event, for each channel
	lookWork    = 256 // of an argument more than PUBLISH has; it may be a name to look up
)

// leastWork is the least work for one publisher at a time, while many others wait for
// their turn: some 60 microseconds.
const leastWork = limits.TurnWork / 8

// manyPublishers is the number of publishers with input that waits for a later turn
// from which on the others are read only starvedRead bytes at a time.
const manyPublishers = 256

// beginWork starts the work for one publisher. The more publishers wait for their turn,
// the less of each is handled at a time.
func (in *Loop) beginWork() {
	in.work = 0
	in.workLimit = max(limits.TurnWork/(1+in.postponed.Len()), leastWork)
}

// workDone tells whether enough of one publisher was handled.
func (in *Loop) workDone() bool { return in.work > in.workLimit }

// wait stops reading the publisher until resume is called. TCP pushes it back.
func (p *publisher) wait(reason publisherWait) {
	in := p.ingest
	p.waits = reason
	p.conn.PauseReading()
	switch reason {
	case waitsForCredit:
		in.Starved.Add(p, p.account)
	case waitsForTurn:
		in.postpone(p)
	}
}

// postpone lets a publisher go on in a later turn, so that others have theirs.
func (in *Loop) postpone(p *publisher) {
	in.postponed.Push(p)
	in.counters.ReadCuts++
}

// resumePostponed goes on with what publishers had sent too much of, one after the
// other for a while.
func (in *Loop) resumePostponed() {
	if in.postponed.Len() == 0 {
		return
	}
	end := in.Loop.Refresh() + limits.ResumeSlice
	for range in.postponed.Len() {
		// One that has ended meanwhile has dropped its input.
		if p := in.postponed.Pop(); p.closing || p.waits == waitsForTurn {
			p.Resume()
		}
		if in.Loop.Refresh() > end {
			return
		}
	}
}
