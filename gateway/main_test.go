package gateway_test

import (
	"os"
	"testing"

	"fleetcast/internal/testrun"
)

func TestMain(m *testing.M) {
	testrun.Waiting()
	os.Exit(m.Run())
}
