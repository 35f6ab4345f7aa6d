package testrun_test

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/codec/testrun"
)

// judged is a test that is told of failures.
type judged struct {
	testing.TB
	said string
}

func (j *judged) Errorf(format string, args ...any) { j.said += fmt.Sprintf(format, args...) }

// TestSecrets are found by their forms, and fail the test whose log has one.
func TestSecrets(t *testing.T) {
	const pem = "-----BEGIN EC PRIVATE KEY-----"
	for text, secret := range map[string]bool{
		testrun.Secret + "x": true, "fck_" + strings.Repeat("x", 43): true, "fct1." + strings.Repeat("x", 20): true, "eyJhbGciOiJIUzI1NiJ9.e30.x": true,
		pem + "\nMHcCAQEEIObtRRQZ7Y8x": true, pem + "\\nMHcCAQEEIObtRRQZ7Y8x": true,
		"": false, "keys begin with fck_": false, "fck_…": false, "there is no private key in PEM (" + pem + ")": false, "eyJabc": false, "fct1.abc": false,
	} {
		if found := testrun.FindSecret("a line with " + text + "\n"); (found != "") != secret {
			t.Errorf("in %q: %q", text, found)
		}
		j := new(judged)
		testrun.Log(j).Debug("something", "text", text)
		if (j.said != "") != secret {
			t.Errorf("logging %q: the test is told %q", text, j.said)
		}
	}
}
