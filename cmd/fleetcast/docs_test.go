package main

import (
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestConfigurationIsDocumented compares docs/configuration.md with the flags of
// serve: each must have a row with its default.
func TestConfigurationIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) > 3 && strings.HasPrefix(cells[1], " `--") {
			rows[strings.Trim(cells[1], " `")] = strings.Trim(cells[2], " `")
		}
	}
	parser, err := kong.New(new(commands), kong.Vars{"shards": "one per processor"})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			name := "--" + flag.Name
			documented, ok := rows[name]
			delete(rows, name)
			switch {
			case !ok:
				t.Errorf("%s is not documented", name)
			case flag.Default != "" && flag.Default != "0" && documented != flag.Default:
				t.Errorf("%s: documented default %q, is %q", name, documented, flag.Default)
			}
		}
	}
	for name := range rows {
		t.Errorf("%s is documented and does not exist", name)
	}
}
