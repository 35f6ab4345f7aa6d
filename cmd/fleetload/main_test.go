package main

import (
	"errors"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	cases := map[string]string{
		"fanout": "",
		"fanout --url ws://h:1/ws --publish h:2 --clients 3 --channels 2 --payload 100 --events 5 --window 2 --pid 7 --json": "",
		"fanout --rate 100 --duration 3s --profile raw":                                                                      "",
		"fanout --clients 0":     "must be at least 1",
		"fanout --profile other": "must be one of",
		"fanout --window many":   "--window",
		"fanout --nonsense":      "unknown flag",
		"compare":                "expected \"<gateway> <floor>\"",
		"compare --pairs 0 main_test.go main_test.go":                      "must be at least 1",
		"compare --server-cpu 2 --harness-cpu 3 main_test.go main_test.go": "",
		"": "expected one of",
	}
	for line, want := range cases {
		_, err := newParser(t.Context(), new(commands)).Parse(strings.Fields(line))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q gives %v, want %q", line, err, want)
		}
	}
}

func TestFaultIsAnError(t *testing.T) {
	// Nobody listens on port 1, so no client gets connected.
	command, err := newParser(t.Context(), new(commands)).Parse(strings.Fields("fanout --url ws://127.0.0.1:1/ --clients 2 --json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Run(); !errors.Is(err, errFault) {
		t.Errorf("got %v", err)
	}
}
