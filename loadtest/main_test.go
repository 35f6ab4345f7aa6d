package loadtest_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"

	"fleetcast/loadtest"
)

// memberVariable tells the test binary that a run has started it as a member.
const memberVariable = "LOADTEST_MEMBER"

// atOnce is how many tests run at a time unless -parallel says otherwise: they
// wait for time to pass far longer than they use a processor.
const atOnce = "8"

// slots is how many goroutines may run at a time, whatever there is of processors: a
// busy loop does not share its slot, and tests that run at a time have several each.
const slots = 32

func TestMain(m *testing.M) {
	if os.Getenv(memberVariable) != "" {
		if err := loadtest.ServeMember(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), slots))
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
