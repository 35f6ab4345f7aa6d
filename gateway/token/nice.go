package token

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// workerNice is how much nicer than others a worker's thread is (setpriority(2)). On a busy
// processor the kernel gives the loop beside it three quarters of the time.
const workerNice = 5

// onNiceThread calls f on a thread that ends with it, and to which the kernel prefers other
// threads. A loop and a worker may have one processor only, and share it evenly without that.
func onNiceThread(f func()) {
	runtime.LockOSThread() // the thread ends with its goroutine, so nothing else becomes nicer
	tid := unix.Gettid()
	if tid == unix.Getpid() { // the main thread stays what it is: it cannot end
		var other sync.WaitGroup
		other.Go(func() { onNiceThread(f) })
		other.Wait()
		runtime.UnlockOSThread()
		return
	}
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil { // 20 less the thread's nice value
		_ = unix.Setpriority(unix.PRIO_PROCESS, tid, 20-raw+workerNice) // without it all is well but slower for others
	}
	f()
}
