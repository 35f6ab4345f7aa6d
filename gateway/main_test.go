package gateway_test

import (
	"os"
	"testing"

	"fleetcast/codec/testrun"
)

func TestMain(m *testing.M) {
	testrun.Waiting()
	os.Exit(m.Run())
}
