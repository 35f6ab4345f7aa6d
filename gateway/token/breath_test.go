package token

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
)

// TestBreathLetsLoopsLook has one processor, a goroutine that waits for a pipe as a loop
// does for its sockets, and one that never stops but to take breath: the first has its
// turn whenever the other has taken one.
func TestBreathLetsLoopsLook(t *testing.T) {
	b, err := newBreath()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var seen atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1)
		for {
			if _, err := r.Read(buffer); err != nil {
				return
			}
			seen.Add(1)
		}
	}()
	late := 0
	const rounds = 1000
	for i := range rounds {
		if _, err := w.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if err := b.take(); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched() // both are ready now, in any order
		if seen.Load() != int64(i+1) {
			late++
		}
		for seen.Load() != int64(i+1) {
			runtime.Gosched()
		}
	}
	if late > rounds/10 { // the runtime runs something else now and then
		t.Errorf("%d times of %d it had to wait", late, rounds)
	}
	w.Close()
	<-done
}
