package progress_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"fleetcast/loadtest"
	"fleetcast/loadtest/progress"
)

// terminal is a pseudo-terminal: what is written to far can be read here.
type terminal struct {
	t         *testing.T
	near, far *os.File
	output    strings.Builder
}

func openTerminal(t *testing.T, columns uint16) *terminal {
	t.Helper()
	near, far, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	t.Cleanup(func() { far.Close() })
	if err := pty.Setsize(near, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TERM", "xterm")
	return &terminal{t: t, near: near, far: far}
}

// read reads until the terminal has shown text, or to the end if text is empty.
func (t *terminal) read(text string) {
	t.t.Helper()
	chunk := make([]byte, 4096)
	for text == "" || !strings.Contains(t.output.String(), text) {
		n, err := t.near.Read(chunk)
		t.output.Write(chunk[:n])
		if err != nil {
			if text != "" {
				t.t.Fatalf("%q was never shown: %v", text, err)
			}
			return
		}
	}
}

// run shows samples, each until it is on the terminal, and returns all output.
func (t *terminal) run(samples ...loadtest.Sample) string {
	t.t.Helper()
	p := progress.New(t.far)
	for _, s := range samples {
		p.Sample(s)
		t.read(s.Phase)
	}
	p.Done()
	t.far.Close()
	t.read("")
	return t.output.String()
}

func TestTerminal(t *testing.T) {
	connect, publish := sample(1, "connect", 150, 0), sample(3, "publish", 2000, 5000)
	publish.ServerBusy, publish.ServerKB = 0.734, 6400
	faulty := publish
	faulty.Faults, faulty.Missing = 3, 1234
	open := publish
	open.Planned = 0

	const bar = "[==================>-------------------]" // a half of 40 columns
	const figures = "5,000,000 deliveries/s  p50 0.31  p99 12.3 ms  "
	for _, test := range []struct {
		name    string
		columns uint16
		last    loadtest.Sample
		want    []string
	}{
		{"wide", 120, publish, []string{
			"publish  clients 2,000/2,000  events 5,000/10,000  " + bar + " 50 %",
			figures + "faults 0  missing 0  server 73 % CPU, 6.2 MiB", "",
		}},
		{"faults", 120, faulty, []string{
			"publish  clients 2,000/2,000  events 5,000/10,000  " + bar + " 50 %",
			figures + "faults 3  missing 1,234  server 73 % CPU, 6.2 MiB", "",
		}},
		{"nothing planned", 120, open, []string{
			"publish  clients 2,000/2,000  events 5,000",
			figures + "faults 0  missing 0  server 73 % CPU, 6.2 MiB", "",
		}},
		{"narrow", 60, faulty, []string{
			"publish  clients 2,000/2,000  events 5,000/10,000  [>-] 50 %",
			"5,000,000 deliveries/s  p50 0.31  p99 12.3 ms  faults 3  mi…", "",
		}},
		{"very narrow", 24, publish, []string{"publish  clients 2,000/…", "5,000,000 deliveries/s", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			output := openTerminal(t, test.columns).run(connect, test.last)
			s := draw(t, output, int(test.columns))
			if got := s.lines(); !slices.Equal(got, test.want) {
				t.Errorf("screen:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if s.row != 2 || s.col != 0 || s.coloured {
				t.Errorf("the cursor is in row %d, column %d, coloured %t", s.row, s.col, s.coloured)
			}
		})
	}
}

func TestColours(t *testing.T) {
	faulty, sound := sample(1, "publish", 2000, 5000), sample(1, "publish", 2000, 5000)
	faulty.Faults = 3
	for _, test := range []struct {
		name, noColour string
		sample         loadtest.Sample
		want           []string // what is red
	}{
		{"faulty", "", faulty, []string{"faults 3  "}},
		{"sound", "", sound, nil},
		{"no colour", "1", faulty, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColour)
			output := openTerminal(t, 120).run(test.sample)
			var got []string
			for _, after := range strings.Split(output, "\x1b[31m")[1:] {
				text, _, _ := strings.Cut(after, "\x1b[0m")
				got = append(got, text)
			}
			if got = slices.Compact(got); !slices.Equal(got, test.want) {
				t.Errorf("red is %q, want %q", got, test.want)
			}
			if got == nil && strings.Contains(output, "\x1b[0m") {
				t.Error("colours are reset without having been set")
			}
		})
	}
}

func TestTerminalsThatCannotBeDrawnOnGetLines(t *testing.T) {
	const want = "   1.0 s  connect  clients 150/2,000  events 0/10,000  faults 0  missing 0\r\n"
	for _, test := range []struct {
		name, term string
		columns    uint16
	}{
		{"dumb", "dumb", 80},
		{"of unknown width", "xterm", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			terminal := openTerminal(t, test.columns)
			t.Setenv("TERM", test.term)
			if got := terminal.run(sample(1, "connect", 150, 0)); got != want {
				t.Errorf("output %q, want %q", got, want)
			}
		})
	}
}

func TestDoneWithoutSampleWritesNothing(t *testing.T) {
	if output := openTerminal(t, 80).run(); output != "" {
		t.Errorf("output %q", output)
	}
}
