package compare

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	cases := []struct {
		value float64
		want  string
	}{
		{0, "0.000"}, {0.0004, "0.000"}, {0.2804, "0.280"}, {0.9996, "1.00"}, {1, "1.00"}, {9.57, "9.57"}, {9.996, "10.0"},
		{57.04, "57.0"}, {99.96, "100"}, {999.6, "1,000"}, {12345.6, "12,346"}, {-0.5, "-0.500"}, {-1234.4, "-1,234"},
	}
	for _, c := range cases {
		if got := number(c.value); got != c.want {
			t.Errorf("%v is %s, want %s", c.value, got, c.want)
		}
	}
}

// sample is a report with all that a table can show.
func sample() *Report {
	value := func(v float64) *float64 { return &v }
	return &Report{
		Subject: "a", Pairs: 5, Clients: 2000, Connections: 15000, Payload: 128,
		Machine: Machine{4, "Linux 6.1.0", "go1.26.0"},
		Rows: []Row{
			{"window-1", "cpu_us_per_delivery", "CPU per delivery, 1 in flight", "µs", "b", value(9.57), value(9.04), &Spread{1.07, 0.96, 1.09}, 0},
			{"window-1", "cpu_us_per_delivery", "CPU per delivery, 1 in flight", "µs", "c", value(9.5), value(19), &Spread{0.5, 0.25, 0.75}, 2},
			{"connect", "rss_kb_per_connection", "memory per connection", "kB", "b", value(0.28), nil, nil, 0},
		},
		Notes: []string{"window-1, c: faults in 2 of 5 runs: 1 events lost 3 events reordered"},
	}
}

func TestWriteTable(t *testing.T) {
	var got strings.Builder
	if err := sample().WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	want := `a beside each peer in 5 alternating pairs of runs. Events: 2,000 subscribers, 128 bytes of data,
frames of the same size. Memory and connecting: 15,000 clients. Servers on one core, the harness on
another, of 4; Linux 6.1.0, go1.26.0. Medians; the ratio is a by peer, the median of the pairs, the
spread their least and greatest.

figure                         peer                        a         peer's   ratio  spread
CPU per delivery, 1 in flight  b                           9.57 µs   9.04 µs  1.07   0.960 to 1.09
                               c (faults in 2 of 5 pairs)  9.50 µs   19.0 µs  0.500  0.250 to 0.750
memory per connection          b                           0.280 kB  –        –      –
note: window-1, c: faults in 2 of 5 runs: 1 events lost 3 events reordered
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

const sampleMarkdown = `a beside each peer in 5 alternating pairs of runs. Events: 2,000 subscribers, 128 bytes of data,
frames of the same size. Memory and connecting: 15,000 clients. Servers on one core, the harness on
another, of 4; Linux 6.1.0, go1.26.0. Medians; the ratio is a by peer, the median of the pairs, the
spread their least and greatest.

| figure | peer | a | peer's | ratio | spread |
| --- | --- | --- | --- | --- | --- |
| CPU per delivery, 1 in flight | b | 9.57 µs | 9.04 µs | 1.07 | 0.960 to 1.09 |
|  | c (faults in 2 of 5 pairs) | 9.50 µs | 19.0 µs | 0.500 | 0.250 to 0.750 |
| memory per connection | b | 0.280 kB | – | – | – |

- window-1, c: faults in 2 of 5 runs: 1 events lost 3 events reordered
`

func TestMarkdown(t *testing.T) {
	if got := sample().Markdown(); got != sampleMarkdown {
		t.Errorf("got\n%s\nwant\n%s", got, sampleMarkdown)
	}
}

// What was not measured is not spoken of.
func TestHeaderOfAPart(t *testing.T) {
	r := sample()
	r.Rows = r.Rows[:2]
	if got := r.header(); strings.Contains(got, "15,000") || !strings.Contains(got, "2,000") {
		t.Errorf("without connect: %s", got)
	}
	r.Rows = sample().Rows[2:]
	if got := r.header(); !strings.Contains(got, "15,000") || strings.Contains(got, "2,000") {
		t.Errorf("with connect only: %s", got)
	}
}

func TestDocument(t *testing.T) {
	const noMarks = "want one <!-- compare:begin --> and one <!-- compare:end -->, with what a comparison may replace between them"
	cases := []struct{ name, text, want, err string }{
		{"replaced", "# A\n\n<!-- compare:begin -->\nold\n<!-- compare:end -->\nmore\n",
			"# A\n\n<!-- compare:begin -->\n" + sampleMarkdown + "<!-- compare:end -->\nmore\n", ""},
		{"filled", "<!-- compare:begin --><!-- compare:end -->", "<!-- compare:begin -->\n" + sampleMarkdown + "<!-- compare:end -->", ""},
		{"no marks", "# A\n", "", noMarks},
		{"no end", "<!-- compare:begin -->\n", "", noMarks},
		{"two parts", strings.Repeat("<!-- compare:begin --><!-- compare:end -->", 2), "", noMarks},
		{"wrong order", "<!-- compare:end --><!-- compare:begin -->", "", "<!-- compare:end --> is before <!-- compare:begin -->"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "doc.md")
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			checked, err := CheckDocument(path), sample().WriteDocument(path)
			got, readErr := os.ReadFile(path)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if c.err != "" {
				want := path + ": " + c.err
				if checked == nil || checked.Error() != want || err == nil || err.Error() != want || string(got) != c.text {
					t.Errorf("got %v and %v, want %s; the file is %q", checked, err, want, got)
				}
				return
			}
			if checked != nil || err != nil || string(got) != c.want {
				t.Errorf("got %v, %v and\n%s\nwant\n%s", checked, err, got, c.want)
			}
			// Writing it again changes nothing.
			if err := sample().WriteDocument(path); err != nil {
				t.Fatal(err)
			}
			if again, _ := os.ReadFile(path); string(again) != c.want {
				t.Errorf("written again it is\n%s", again)
			}
		})
	}
	if err := CheckDocument(filepath.Join(t.TempDir(), "missing.md")); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}
