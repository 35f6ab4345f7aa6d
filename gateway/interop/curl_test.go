package interop_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// curl prints what arrives on a ws:// address, where it is built with that.
func TestCurl(t *testing.T) {
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed: its WebSocket is not tested")
	}
	about, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(about)), "ws") {
		version, _, _ := strings.Cut(string(about), " (")
		t.Skipf("%s is built without ws://: it is not tested", version)
	}
	g := startGateway(t)
	cmd := exec.CommandContext(t.Context(), path, "--silent", "--show-error", "--no-buffer", "--max-time", "20", g.url("127.0.0.1", "?by=curl"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var welcome struct {
		Type string `json:"type"`
	}
	if err := json.NewDecoder(out).Decode(&welcome); err != nil || welcome.Type != "welcome" {
		t.Errorf("curl printed %+v, %v; want the welcome", welcome, err)
	}
	cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
}
