package options

import (
	"io"
	"os"
	"testing"

	"github.com/alecthomas/kong"
)

// parseOptions reads options as serve does, from arguments, the environment and the
// file.
func parseOptions(args ...string) (*Options, error) {
	o := new(Options)
	parser, err := kong.New(o, append(Parsing(), kong.Name("fleetcast"), kong.Writers(io.Discard, io.Discard))...)
	if err != nil {
		return nil, err
	}
	_, err = parser.Parse(args)
	return o, err
}

// flagsOf are the options as the parser has them.
func flagsOf(t testing.TB) (flags []*kong.Flag) {
	t.Helper()
	parser, err := kong.New(new(Options), Parsing()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range parser.Model.Flags {
		if isOption(f) {
			flags = append(flags, f)
		}
	}
	if len(flags) == 0 {
		t.Fatal("there are no options")
	}
	return flags
}

// fileHere writes fleetcast.yaml into a directory of its own, which
// becomes the working directory.
func fileHere(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeFile(t, "fleetcast.yaml", text)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// find returns an option of o.
func find(t *testing.T, o *Options, name string) setting {
	t.Helper()
	for _, s := range o.settings {
		if s.name() == name {
			return s
		}
	}
	t.Fatalf("there is no option %s", name)
	return setting{}
}
