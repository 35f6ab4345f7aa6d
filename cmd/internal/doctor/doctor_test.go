package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/cmd/internal/host"
)

var updateDoctor = flag.Bool("update-doctor", false, "write the expected output of doctor")

// TestDiagnosis compares what doctor says of sample machines with what is stored
// beside their files.
func TestDiagnosis(t *testing.T) {
	for _, test := range []struct {
		machine, stored string
		pid             int
		fleet           Fleet
	}{
		{"small", "small", 0, Fleet{Clients: 100000}},
		{"small", "small-process", 41, Fleet{Clients: 10000, Publishers: 5}},
		{"server", "server", 0, Fleet{Clients: 500000}},
		{"container", "container", 0, Fleet{Clients: 50000}},
		{"garbage", "garbage", 0, Fleet{Clients: 1}},
	} {
		t.Run(test.stored, func(t *testing.T) {
			h := host.Host{Root: filepath.Join("testdata", test.machine), Pid: test.pid}
			d := Diagnose(h, test.fleet)
			var page bytes.Buffer
			if err := d.Print(&page, false); err != nil {
				t.Fatal(err)
			}
			compareStored(t, test.stored+".txt", page.String())
			if test.stored == "small" {
				text, err := json.MarshalIndent(d, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				compareStored(t, "small.json", string(text)+"\n")
			}
			for line := range strings.Lines(page.String()) {
				if utf8.RuneCountInString(line) > 101 || strings.ContainsRune(line, '\x1b') {
					t.Errorf("a line is too long, or has control characters: %q", line)
				}
			}
		})
	}
}

func compareStored(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *updateDoctor {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -run Diagnosis -update-doctor writes it); got\n%s", path, got)
	}
}

// TestDoctorOfNothing has no file at all, as the strictest of containers.
func TestDoctorOfNothing(t *testing.T) {
	d := Diagnose(host.Host{Root: t.TempDir()}, Fleet{Clients: 100})
	for _, f := range d.Findings {
		tracking := f.Check == "net.netfilter.nf_conntrack_max" // its absence says something
		if tracking != (f.Status == statusOK) || !tracking && f.Status != statusUnknown {
			t.Errorf("%s is %s: %s", f.Check, f.Status, f.Found)
		}
	}
	if d.Status != statusOK {
		t.Errorf("the whole is %s", d.Status)
	}
}

// TestKernelSettingsSuffice applies docs/deploy/90-fleetcast.conf to a small
// machine: doctor must then have nothing to say against these settings.
func TestKernelSettingsSuffice(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/small")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../../docs/deploy/90-fleetcast.conf")
	if err != nil {
		t.Fatal(err)
	}
	set := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		name = strings.TrimPrefix(name, "-")
		if err := os.WriteFile(filepath.Join(root, host.Sysctl(name)), []byte(value+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		set[name] = true
	}
	checked := 0
	for _, f := range Diagnose(host.Host{Root: root}, Fleet{Clients: 250000}).Findings {
		if !set[f.Check] {
			continue
		}
		checked++
		if f.Status != statusOK {
			t.Errorf("%s is %s: %s", f.Check, f.Status, f.Found)
		}
	}
	if syncookies := 1; checked != len(set)-syncookies {
		t.Errorf("doctor checks %d of the %d settings %v", checked, len(set), set)
	}
}

func TestDoctorColours(t *testing.T) {
	var page bytes.Buffer
	d := Diagnose(host.Host{Root: "testdata/small"}, Fleet{Clients: 1})
	if err := d.Print(&page, true); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile("(?m)^\x1b\\[32mok +\x1b\\[0mkernel$").MatchString(page.String()) {
		t.Errorf("no colour in\n%s", page.String())
	}
	if err := d.Print(failingWriter{}, false); err == nil {
		t.Error("the error of the writer is lost")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestParseRelease(t *testing.T) {
	for release, want := range map[string][2]int{
		"6.1.0-18-amd64": {6, 1}, "3.12": {3, 12}, "5.15+": {5, 15}, "6.18.44-fc": {6, 18},
		"": {}, "6": {}, "six.one": {}, "6.x": {},
	} {
		got, err := parseRelease(release)
		if (err != nil) != (want == [2]int{}) || err == nil && got != want {
			t.Errorf("%q: %v, %v, want %v", release, got, err, want)
		}
	}
}
