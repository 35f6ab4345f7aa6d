package options

import (
	"slices"
	"strings"
	"testing"
)

// Values that are wrong are reported with the place where they stand.
func TestWhereAValueCameFrom(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "f.yaml", "max-event: 0\n")
	t.Setenv("FLEETCAST_CLIENT_CHANNELS", "0")
	_, err := parseOptions("--config=f.yaml", "--max-channels=0")
	want := "--max-channels is 0, must be from 1 to 1000000000\nFLEETCAST_CLIENT_CHANNELS is 0, must be from 1 to 1000000\nf.yaml:1: max-event is 0, must be from 1 to 32MiB"
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestBadVariables(t *testing.T) {
	t.Setenv("FLEETCAST_PING_INTERVAL", "25")
	t.Setenv("FLEETCAST_ALLOW_ORIGIN", "https://a b")
	t.Setenv("FLEETCAST_MAX_CLIENTS", "")
	t.Setenv("FLEETCAST_CONFIG", "missing.yaml")
	_, err := parseOptions()
	want := `FLEETCAST_ALLOW_ORIGIN: "b" is not an origin; write for example https://example.com, http://localhost:3000 or *
FLEETCAST_PING_INTERVAL: "25" has no unit; write 25s for seconds, or for example 500ms or 5m
missing.yaml: there is no such file`
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestVariablesThatAreNoOptions(t *testing.T) {
	for name, value := range map[string]string{
		"FLEETCAST_SERVICE_HOST":               "10.0.0.1",
		"FLEETCAST_SERVICE_PORT":               "8080",
		"FLEETCAST_SERVICE_PORT_CLIENTS":       "8080",
		"FLEETCAST_PORT":                       "tcp://10.0.0.1:8080",
		"FLEETCAST_PORT_8080_TCP":              "tcp://10.0.0.1:8080",
		"FLEETCAST_PORT_8080_TCP_PROTO":        "tcp",
		"FLEETCAST_PORT_8080_TCP_PORT":         "8080",
		"FLEETCAST_PORT_8080_TCP_ADDR":         "10.0.0.1",
		"FLEETCAST_PUBLISH_SERVICE_HOST":       "10.0.0.2",
		"FLEETCAST_PUBLISH_PORT":               "tcp://10.0.0.2:8082",
		"FLEETCAST_PUBLISH_PORT_8082_TCP":      "tcp://10.0.0.2:8082",
		"FLEETCAST_TEST_SOMETHING":             "1",
		"FLEETCAST_MAX_CLIENTS":                "5",
		"FLEETCAST_CONFIG":                     "",
		"FLEETCAST_MAX_CLEINTS":                "5",
		"FLEETCAST_LISTEN_PORT":                "8080",
		"FLEETCAST_COLOUR":                     "red",
		"FLEETCAST_" + strings.Repeat("X", 99): "1",
	} {
		t.Setenv(name, value)
	}
	o, err := parseOptions()
	if err != nil {
		t.Fatal(err)
	}
	want := []variable{
		{"FLEETCAST_COLOUR", ""},
		{"FLEETCAST_LISTEN_PORT", "FLEETCAST_LISTEN"},
		{"FLEETCAST_MAX_CLEINTS", "FLEETCAST_MAX_CLIENTS"},
		{"FLEETCAST_" + strings.Repeat("X", 99), ""},
	}
	if !slices.Equal(o.strange, want) {
		t.Errorf("strange variables %q, want %q", o.strange, want)
	}
}
