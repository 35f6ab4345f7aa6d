package peers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestCompare runs a small comparison by the real harness, which tells whether
// the list of servers, the harness's options and its results fit together.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("a comparison takes ten seconds")
	}
	if runtime.NumCPU() < 2 {
		t.Skip("a comparison needs two processors")
	}
	t.Parallel()
	harness := filepath.Join(bin, "fleetload")
	build := exec.Command("go", "build", "-o", harness, "./cmd/fleetload")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building fleetload: %v\n%s", err, output)
	}
	compare := exec.Command(harness, "compare", "servers.yaml", "--json", "--pairs=1", "--peers=gorilla",
		"--settings=window-1,connect,echo-64k", "--clients=20", "--events=10", "--connections=60")
	compare.Stderr = os.Stderr
	output, err := compare.Output()
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Rows []struct {
			Figure string   `json:"figure"`
			Ours   *float64 `json:"subject_median"`
			Theirs *float64 `json:"peer_median"`
		} `json:"rows"`
		Notes []string `json:"notes"`
	}
	if err := json.Unmarshal(output, &report); err != nil {
		t.Fatalf("%v in\n%s", err, output)
	}
	figures := []string{"cpu_us_per_delivery", "latency_ms_p50", "latency_ms_p99",
		"rss_kb_per_connection", "rss_base_kb", "cpu_us_per_connection", "handshake_ms_p50", "handshake_ms_p99",
		"echo_ms_p50", "echo_ms_p99", "cpu_us_per_echo"}
	if len(report.Rows) != len(figures) {
		t.Fatalf("want %d rows, got\n%s", len(figures), output)
	}
	for i, row := range report.Rows {
		if row.Figure != figures[i] || row.Ours == nil || row.Theirs == nil {
			t.Errorf("row %d is %+v, want %s of both", i, row, figures[i])
		}
	}
	for _, note := range report.Notes {
		if !strings.Contains(note, ": a warning in ") { // a busy machine is no fault
			t.Errorf("note: %s", note)
		}
	}
}
