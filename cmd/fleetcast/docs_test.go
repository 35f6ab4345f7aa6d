package main

import (
	"bytes"
	"encoding"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/configuration.md instead of comparing it")

const configurationDocs = "../../docs/configuration.md"

// serveFlags are the options as the parser has them.
func serveFlags(t testing.TB) (flags []*kong.Flag) {
	t.Helper()
	for _, command := range newParser(new(commands)).Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			if isOption(f) {
				flags = append(flags, f)
			}
		}
	}
	if len(flags) == 0 {
		t.Fatal("serve has no options")
	}
	return flags
}

// TestConfigurationIsDocumented compares docs/configuration.md with what the
// options say of themselves.
func TestConfigurationIsDocumented(t *testing.T) {
	flags := serveFlags(t)
	tables := map[string]bool{}
	page, err := template.New("configuration.md.tmpl").Funcs(template.FuncMap{
		"table": func(group string) string {
			tables[group] = true
			return optionTable(flags, group)
		},
	}).ParseFiles("configuration.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := page.Execute(&want, nil); err != nil {
		t.Fatal(err)
	}
	for _, f := range flags {
		if f.Group == nil || !tables[f.Group.Key] {
			t.Errorf("--%s is in no table of the page", f.Name)
		}
	}
	if *update {
		if err := os.WriteFile(configurationDocs, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configurationDocs)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/configuration.md is not what the options say; write it with: go test ./cmd/fleetcast -run Configuration -update")
	}
}

// optionTable is a table of Markdown.
func optionTable(flags []*kong.Flag, group string) string {
	var b strings.Builder
	b.WriteString("| option | default | live | what |\n| --- | --- | --- | --- |\n")
	for _, f := range flags {
		if f.Group == nil || f.Group.Key != group {
			continue
		}
		otherwise := fallback(f)
		if otherwise == f.Default {
			otherwise = "`" + otherwise + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s | %s |\n", f.Name, otherwise, f.Tag.Get("live"), markdown(explanation(f)))
	}
	return b.String()
}

var markdown = strings.NewReplacer(`*`, `\*`, `|`, `\|`, `<`, `\<`).Replace

// Every option has the tags and the type that the rest depends on.
func TestOptionsAreComplete(t *testing.T) {
	for _, f := range serveFlags(t) {
		if live := f.Tag.Get("live"); live != "yes" && live != "no" {
			t.Errorf("--%s: live is %q", f.Name, live)
		}
		if f.Help == "" || f.PlaceHolder == "" || !f.IsSlice() && !f.HasDefault {
			t.Errorf("--%s lacks help, placeholder or default", f.Name)
		}
		value := f.Target.Type()
		if f.IsSlice() {
			value = value.Elem()
		}
		if _, ok := reflect.New(value).Interface().(encoding.TextUnmarshaler); !ok {
			t.Errorf("--%s: %v does not read text", f.Name, value)
		}
		if _, ok := reflect.Zero(value).Interface().(fmt.Stringer); !ok {
			t.Errorf("--%s: %v does not write text", f.Name, value)
		}
		if f.HasDefault {
			if err := checkText(f, f.Default); err != nil {
				t.Errorf("--%s: default: %v", f.Name, err)
			}
		}
	}
}

// --help says the same as the page.
func TestHelpHasEveryOption(t *testing.T) {
	for _, command := range []string{"serve", "config"} {
		c := start(t, nil, command, "--help")
		if code := c.wait(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
		help := strings.Join(strings.Fields(c.out.String()), " ")
		for _, f := range serveFlags(t) {
			text := "--" + f.Name + "=" + f.FormatPlaceHolder() + " " + helpFor(f.Value)
			if !strings.Contains(help, text) {
				t.Errorf("%s --help has no %q", command, text)
			}
		}
	}
}
