package progress_test

import (
	"os"
	"path/filepath"
	"testing"

	"fleetcast/loadtest"
	"fleetcast/loadtest/progress"
)

func sample(at float64, phase string, clients int, events int64) loadtest.Sample {
	s := loadtest.Sample{At: at, Phase: phase, Clients: clients, Wanted: 2000, Planned: 10_000, Events: events, Delivered: 2000 * events}
	if events > 0 {
		s.Latency = loadtest.Percentiles{P50: 0.3125, P90: 1, P99: 12.34, P999: 200, Max: 1234}
	}
	return s
}

func TestPlainLines(t *testing.T) {
	measured := sample(2, "publish", 2000, 4)
	measured.ServerBusy, measured.ServerKB = 0.734, 6400
	faulty := sample(4, "publish", 1999, 4000)
	faulty.Faults, faulty.Missing, faulty.Latency.P99 = 1234, 5, 1234.5
	open := sample(1, "publish", 10, 7)
	open.Planned, open.Wanted = 0, 0

	for _, test := range []struct {
		name    string
		samples []loadtest.Sample
		want    string
	}{
		{"nothing", nil, ""},
		{
			"first and last", []loadtest.Sample{sample(0.25, "connect", 150, 0), sample(0.5, "connect", 300, 0), sample(0.75, "connect", 450, 0)},
			"   0.2 s  connect  clients 150/2,000  events 0/10,000  faults 0  missing 0\n" +
				"   0.8 s  connect  clients 450/2,000  events 0/10,000  faults 0  missing 0\n",
		},
		{
			"one a second", []loadtest.Sample{sample(0, "connect", 1, 0), sample(0.5, "connect", 2, 0), sample(1, "connect", 3, 0), sample(1.5, "connect", 4, 0), sample(2, "connect", 5, 0)},
			"   0.0 s  connect  clients 1/2,000  events 0/10,000  faults 0  missing 0\n" +
				"   1.0 s  connect  clients 3/2,000  events 0/10,000  faults 0  missing 0\n" +
				"   2.0 s  connect  clients 5/2,000  events 0/10,000  faults 0  missing 0\n",
		},
		{
			"a new phase", []loadtest.Sample{sample(1.75, "connect", 2000, 0), measured, faulty},
			"   1.8 s  connect  clients 2,000/2,000  events 0/10,000  faults 0  missing 0\n" +
				"   2.0 s  publish  clients 2,000/2,000  events 4/10,000  32,000 deliveries/s  p50 0.31  p99 12.3 ms  faults 0  missing 0  server 73 % CPU, 6.2 MiB\n" +
				"   4.0 s  publish  clients 1,999/2,000  events 4,000/10,000  3,996,000 deliveries/s  p50 0.31  p99 1,234 ms  faults 1,234  missing 5\n",
		},
		{
			"nothing planned", []loadtest.Sample{open},
			"   1.0 s  publish  clients 10  events 7  14,000 deliveries/s  p50 0.31  p99 12.3 ms  faults 0  missing 0\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			p := progress.New(file)
			for _, s := range test.samples {
				p.Sample(s)
			}
			p.Done()
			p.Done()
			got, err := os.ReadFile(file.Name())
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("lines:\n%swant:\n%s", got, test.want)
			}
		})
	}
}
