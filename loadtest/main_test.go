package loadtest_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"fleetcast/codec/testrun"
	"fleetcast/loadtest"
)

// memberVariable tells the test binary that a run has started it as a member.
const memberVariable = "LOADTEST_MEMBER"

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
	testrun.Waiting()
	os.Exit(m.Run())
}
