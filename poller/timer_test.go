package poller

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// turnOwner has its turns watched.
type turnOwner struct {
	idleOwner
	turn func()
}

func (o *turnOwner) Turn() bool { o.turn(); return false }

// runTurns runs a loop with nothing to do but what turn asks of it, until turn
// stops it.
func runTurns(t *testing.T, turn func(l *Loop)) {
	t.Helper()
	owner := new(turnOwner)
	l, err := NewLoop(owner, LoopConfig{})
	if err != nil {
		t.Fatal(err)
	}
	owner.turn = func() { turn(l) }
	// The first turn needs a reason.
	l.WakeAt(1)
	guard := time.AfterFunc(10*time.Second, func() {
		t.Error("the loop did not come to its end")
		l.Stop()
	})
	defer guard.Stop()
	l.Run()
}

// maxLate is how late a wake-up may be on a machine that is busy with others.
const maxLate = time.Second

// maxTurns bounds the turns of a loop that sleeps most of the time: signals of
// the runtime interrupt a wait now and then.
const maxTurns = 20

func checkLate(t *testing.T, what string, now, at time.Duration) {
	t.Helper()
	if now < at || now > at+maxLate {
		t.Errorf("%s: the turn that was asked for at %v came at %v", what, at, now)
	}
}

func TestWakeAt(t *testing.T) {
	const step = 3 * time.Millisecond
	var at time.Duration
	wakeUps, turns := 0, 0
	runTurns(t, func(l *Loop) {
		turns++
		if at == 0 {
			at = l.Now() + step
			l.WakeAt(at)
			return
		}
		if l.Now() < at {
			return // a signal
		}
		checkLate(t, "wake-up", l.Now(), at)
		if wakeUps++; wakeUps == 10 {
			l.Stop()
			return
		}
		at += step
		l.WakeAt(at)
	})
	if turns > wakeUps+maxTurns {
		t.Errorf("%d wake-ups took %d turns", wakeUps, turns)
	}
}

// Each case calls WakeAt in the loop's first turn; the loop's next turn at or
// after want is the one that counts, and no timer may be left behind it.
func TestWakeAtReplaced(t *testing.T) {
	const soon, later = 5 * time.Millisecond, time.Hour
	tests := []struct {
		name  string
		calls []time.Duration // relative to the first turn
		want  time.Duration
	}{
		{"by an earlier one", []time.Duration{later, soon}, soon},
		{"by a later one", []time.Duration{soon, 2 * soon}, 2 * soon},
		{"by the past", []time.Duration{later, -1}, -1},
		{"after a cancel", []time.Duration{later, -later, soon}, soon},
		{"by itself", []time.Duration{soon, soon}, soon},
		{"past only", []time.Duration{-1}, 0},
		{"present only", []time.Duration{0}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var first time.Duration
			early := 0
			runTurns(t, func(l *Loop) {
				switch {
				case first == 0:
					first = l.Now()
					for _, call := range test.calls {
						l.WakeAt(first + call)
					}
				case l.Now() < first+test.want:
					early++
				default:
					checkLate(t, test.name, l.Now(), first+test.want)
					l.Stop()
				}
			})
			if early > maxTurns {
				t.Errorf("%d turns before the wake-up", early)
			}
		})
	}
}

// remaining returns how long the loop's alarm timer still has; 0 if it is not
// armed.
func remaining(t *testing.T, l *Loop) time.Duration {
	t.Helper()
	var current unix.ItimerSpec
	if err := unix.TimerfdGettime(l.epoll.alarmFD, &current); err != nil {
		t.Fatal(err)
	}
	return time.Duration(current.Value.Nano())
}

func TestWakeAtSetsTheTimerBeforeAWait(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{})
	if !l.mayBlock(false) || l.epoll.alarmFD >= 0 {
		t.Error("a loop that was never told to wake does not sleep, or has a second timer")
	}
	steps := []struct {
		name     string
		at       time.Duration
		busy     bool
		mayBlock bool
		armed    time.Duration // what the timer has left, rounded up to a minute
	}{
		{"set", time.Hour, false, true, time.Hour},
		{"the same", time.Hour, false, true, time.Hour},
		{"replaced while busy", 2 * time.Hour, true, false, time.Hour},
		{"replaced", 2 * time.Hour, false, true, 2 * time.Hour},
		{"passed", 1, false, false, 2 * time.Hour},
		{"cancelled", 0, false, true, 0},
		{"set again", time.Minute, false, true, time.Minute},
		{"cancelled below 0", -time.Hour, false, true, 0},
		{"never", 1<<63 - 1, false, true, -1},
	}
	for _, s := range steps {
		l.WakeAt(s.at)
		if got := l.mayBlock(s.busy); got != s.mayBlock {
			t.Errorf("%s: may block: %v, want %v", s.name, got, s.mayBlock)
		}
		left := remaining(t, l)
		rounded := (left + time.Minute - 1).Truncate(time.Minute)
		if s.armed < 0 && left < 100*365*24*time.Hour || s.armed >= 0 && rounded != s.armed {
			t.Errorf("%s: the timer has %v left, want just under %v", s.name, left, s.armed)
		}
		l.asleep.Store(false)
	}
}

// What a timer that expired has left behind must not pass for the expiry of the
// wake-up that replaced it.
func TestWakeAtReplacedAfterItsExpiry(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{})
	l.WakeAt(Now() + time.Millisecond)
	if !l.mayBlock(false) {
		t.Skip("the machine held the test up for a millisecond")
	}
	events := l.epoll.wait(true)
	if len(events) != 1 || events[0].Fd != alarmToken {
		t.Fatalf("the wait ended with %v", events)
	}
	l.WakeAt(time.Hour)
	l.mayBlock(false)
	l.dispatch(events) // reported before the replacement
	if l.alarm.at != time.Hour || l.alarm.armed != time.Hour || remaining(t, l) == 0 {
		t.Errorf("a stale expiry changed the wake-up to %v, the timer to %v", l.alarm.at, l.alarm.armed)
	}
	l.WakeAt(0)
	l.mayBlock(false)
	if left := remaining(t, l); left != 0 {
		t.Errorf("a cancelled wake-up comes in %v", left)
	}
}

func TestWakeAtWithoutDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	const delay = 20 * time.Millisecond
	var at, again time.Duration
	turns := 0
	runTurns(t, func(l *Loop) {
		turns++
		switch {
		case at == 0:
			none := limit
			none.Cur = 0
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
				t.Error(err)
			}
			at = l.Now() + delay
			l.WakeAt(at)
		case l.Now() < at:
		case again == 0:
			checkLate(t, "without a descriptor", l.Now(), at)
			if l.epoll.alarmFD >= 0 {
				t.Error("there was a descriptor to be had")
			}
			restore()
			again = l.Now() + delay
			l.WakeAt(again)
		case l.Now() >= again:
			checkLate(t, "with a descriptor", l.Now(), again)
			if l.epoll.alarmFD < 0 || l.epoll.ticking {
				t.Error("the loop did not go back to its timer")
			}
			l.Stop()
		}
	})
	if turns > 2*maxTurns {
		t.Errorf("two wake-ups took %d turns", turns)
	}
}

func TestWakeAtAfterClose(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{})
	l.WakeAt(time.Hour)
	l.mayBlock(false)
	number := l.epoll.alarmFD
	l.Close()
	if _, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the timer is left open: %v", err)
	}
	counter := openAt(t, number)
	l.WakeAt(time.Nanosecond)
	l.WakeAt(0)
	l.Run() // returns at once
	if drain(counter) {
		t.Error("a wake-up after Close reached another's descriptor")
	}
}
