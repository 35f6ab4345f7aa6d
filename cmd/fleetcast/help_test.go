package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// serveFlags are the options as the parser has them.
func serveFlags(t testing.TB) (flags []*kong.Flag) {
	t.Helper()
	for _, command := range newParser(new(commands)).Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			if f.Tag.Has("live") {
				flags = append(flags, f)
			}
		}
	}
	if len(flags) == 0 {
		t.Fatal("serve has no options")
	}
	return flags
}

// Both commands take all options, and say so.
func TestHelpOfServeAndConfig(t *testing.T) {
	for _, command := range []string{"serve", "config"} {
		c := start(t, nil, command, "--help")
		if code := c.wait(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
		help := strings.Join(strings.Fields(c.out.String()), " ")
		for _, f := range serveFlags(t) {
			text := "--" + f.Name + "=" + f.FormatPlaceHolder() + " " + strings.TrimSuffix(f.Help, ".")
			if !strings.Contains(help, text) {
				t.Errorf("%s --help has no %q", command, text)
			}
		}
	}
}
