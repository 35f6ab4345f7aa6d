package loadtest

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pace wakes the publisher's loop when the next event is due. It is a goroutine
// of its own, on a thread of its own: the runtime's timers are coarser than the
// gaps between events, and a loop that spun instead would make the harness's
// own processor time meaningless.
func (p *publisher) pace() {
	// The thread is not unlocked: it ends with the goroutine, and its timer
	// slack with it.
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	s := p.worker.swarm
	for !s.stopped.Load() {
		next := s.schedule.published.Load()
		if next == p.events {
			return
		}
		now := s.clock.now()
		due := p.dueAt(next)
		if due <= now {
			// It is out as soon as the loop has had a turn; until then the one
			// after it tells when to look again.
			p.worker.loop.Wake()
			due = now + max(int64(p.interval), int64(50*time.Microsecond))
		}
		sleep := unix.NsecToTimespec(min(due-now, int64(100*time.Millisecond)))
		_ = unix.Nanosleep(&sleep, nil) // an interruption is as good as the end
	}
}
