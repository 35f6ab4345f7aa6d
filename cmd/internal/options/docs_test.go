package options

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

const configurationDocs = "../../../docs/configuration.md"

// TestConfigurationIsDocumented compares docs/configuration.md with what the
// options say of themselves.
func TestConfigurationIsDocumented(t *testing.T) {
	flags := flagsOf(t)
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
		t.Error("docs/configuration.md is not what the options say; write it with: go generate ./cmd/internal/options")
	}
}

// optionTable is a table of Markdown, and below it what is too long for its cells.
func optionTable(flags []*kong.Flag, group string) string {
	var b, notes strings.Builder
	b.WriteString("| option | default | live | what |\n| --- | --- | --- | --- |\n")
	for _, f := range flags {
		if f.Group == nil || f.Group.Key != group {
			continue
		}
		otherwise := fallback(f)
		if otherwise == f.Default {
			otherwise = "`" + otherwise + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s | %s |\n", f.Name, otherwise, f.Tag.Get("live"), markdown(strings.TrimSpace(f.Help+" "+possible(f))))
		if detail := f.Tag.Get("detail"); detail != "" {
			fmt.Fprintf(&notes, "- `--%s`: %s\n", f.Name, markdown(detail))
		}
	}
	if notes.Len() > 0 {
		b.WriteString("\n" + notes.String())
	}
	return b.String()
}

var markdown = strings.NewReplacer(`*`, `\*`, `|`, `\|`, `<`, `\<`).Replace

// Every option has the tags and the type that the rest depends on.
func TestOptionsAreComplete(t *testing.T) {
	for _, f := range flagsOf(t) {
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
	var out strings.Builder
	parser, err := kong.New(new(Options), append(Parsing(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Writers(&out, &out), kong.Exit(func(int) {}))...)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = parser.Parse([]string{"--help"}) // goes on where a program would exit
	help := strings.Join(strings.Fields(out.String()), " ")
	for _, f := range flagsOf(t) {
		text := "--" + f.Name + "=" + f.FormatPlaceHolder() + " " + helpFor(f.Value)
		if !strings.Contains(help, text) {
			t.Errorf("--help has no %q", text)
		}
	}
}
