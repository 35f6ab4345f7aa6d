package poller_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/poller"
)

type letter struct{ producer, number int }

func TestMailboxKeepsEachProducersOrder(t *testing.T) {
	for _, producers := range []int{1, 2, 8} {
		const each = 10_000
		mailbox := poller.NewMailbox[letter]()
		for p := range producers {
			go func() {
				for n := range each {
					mailbox.Post(letter{p, n})
				}
			}()
		}
		next := make([]int, producers)
		start := time.Now()
		for taken := 0; taken < producers*each; {
			l, ok := mailbox.Take()
			if !ok {
				if time.Since(start) > patience {
					t.Fatalf("%d producers: %d of %d messages arrived", producers, taken, producers*each)
				}
				runtime.Gosched()
				continue
			}
			if l.number != next[l.producer] {
				t.Fatalf("%d producers: producer %d: message %d came, want %d", producers, l.producer, l.number, next[l.producer])
			}
			next[l.producer]++
			taken++
		}
		if l, ok := mailbox.Take(); ok || !mailbox.Empty() {
			t.Errorf("%d producers: %v is left over", producers, l)
		}
	}
}

func TestMailboxEmptyAgreesWithTake(t *testing.T) {
	mailbox := poller.NewMailbox[int]()
	next := 0
	// Batches that end before, at and after the bounds of segments.
	for _, batch := range []int{0, 1, 255, 1, 256, 257, 511, 512, 3} {
		for i := range batch {
			mailbox.Post(next + i)
		}
		for range batch {
			if mailbox.Empty() {
				t.Fatalf("Empty before message %d", next)
			}
			if got, ok := mailbox.Take(); !ok || got != next {
				t.Fatalf("Take: %d, %t; want %d", got, ok, next)
			}
			next++
		}
		if !mailbox.Empty() {
			t.Fatalf("not Empty after message %d", next)
		}
		if got, ok := mailbox.Take(); ok {
			t.Fatalf("Take from an empty mailbox: %d", got)
		}
	}
}

func TestMailboxDropsWhatWasTaken(t *testing.T) {
	mailbox := poller.NewMailbox[*[64]byte]()
	freed := make(chan struct{})
	message := new([64]byte)
	runtime.AddCleanup(message, func(struct{}) { close(freed) }, struct{}{})
	mailbox.Post(message)
	message = nil
	mailbox.Take()
	deadline := time.After(patience)
	for {
		runtime.GC()
		select {
		case <-freed:
			runtime.KeepAlive(mailbox)
			return
		case <-deadline:
			t.Fatal("the mailbox holds on to a message that was taken")
		default:
		}
	}
}

func TestMailboxAllocatesOncePerSegment(t *testing.T) {
	mailbox := poller.NewMailbox[letter]()
	allocations := testing.AllocsPerRun(100, func() {
		for n := range 256 {
			mailbox.Post(letter{0, n})
		}
		for range 256 {
			mailbox.Take()
		}
	})
	if allocations > 1 {
		t.Errorf("%v allocations per 256 messages", allocations)
	}
}

// A loop without connections has no ticks that would hide a missed wake-up.
// The producers answer at once, so that their posts fall into the moments in
// which the loop decides to sleep.
func TestNoWakeUpIsMissed(t *testing.T) { missesNoWakeUp(t, 200) }

// missesNoWakeUp has each producer wait so many times for the loop to wake up.
func missesNoWakeUp(t *testing.T, rounds int64) {
	for _, producers := range []int{1, 3} {
		tl := startLoop(t, poller.LoopConfig{})
		var group sync.WaitGroup
		for range producers {
			group.Go(func() {
				var taken atomic.Int64
				for round := range rounds {
					tl.tasks.Post(func() { taken.Add(1) })
					tl.Wake()
					start := time.Now()
					for spins := 0; taken.Load() <= round; spins++ {
						runtime.Gosched()
						if spins%1024 == 1023 && time.Since(start) > patience {
							t.Errorf("round %d: the loop slept on", round)
							return
						}
					}
				}
			})
		}
		group.Wait()
		tl.stop()
	}
}
