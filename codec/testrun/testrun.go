// Package testrun decides how the tests of this module run: how many at a time, and
// which of them the race detector leaves out. Its functions are for TestMain and for the
// goroutine of a test.
package testrun

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// atOnce is how many parallel tests of one package run at a time.
const atOnce = "8"

// Waiting lets 8 tests that call t.Parallel run at a time, unless the command line
// has -parallel: such tests wait for timers and peers far longer than they use a
// processor. TestMain calls it before it runs the tests.
func Waiting() {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if chosen {
		return
	}
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err) // the flag exists in every test binary
	}
}

// OtherProcess skips a test with -short. It is for tests whose work happens in other
// programs: a built binary, a browser, a shell, nginx. The race detector watches only
// the test binary (and copies of it that a test starts), so .ci/run gives -short where
// it runs the tests under the race detector.
func OtherProcess(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("the work happens in other programs: not run with -short")
	}
}

// FreeAddress is an address of loopback on which nothing listens. Its port lies below
// those that the kernel gives to connections and to listeners that name none, so that
// nothing takes it by chance before the test does. Until the test ends, no other test of
// this machine gets it, whatever process runs that.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if !reserve(t, port) {
			continue
		}
		l, err := net.Listen("tcp4", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// reserve takes the lock of a port, which the kernel gives back when the test, or its
// process, has ended.
func reserve(t testing.TB, port int) bool {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "fleetcast-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return false // another user's
	}
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		lock.Close()
		return false
	}
	t.Cleanup(func() { lock.Close() })
	return true
}
