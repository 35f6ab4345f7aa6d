// Package shellhelp writes what a command line has beside its program, from the
// model of its parser: completions for bash, zsh and fish, and the manual page.
package shellhelp

import (
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// command is a command with what it takes.
type command struct {
	name, help string
	detail     string
	synopsis   string // of its arguments
	flags      []flag
	arguments  []flag // without a name of their own on the command line
}

// flag is a flag of a command.
type flag struct {
	long  string
	short string // empty if it has none
	value string // what stands for its value; empty if it takes none
	help  string
	words []string // the values that it can have, if they are few
	files bool     // its value is a file's name
}

// program is a parser's model, reduced to what is written here.
type program struct {
	name, help string
	standard   string // the command that is meant where none is named; may be empty
	commands   []command
}

// modelOf reads a model. explain is the text of a flag or an argument; nil stands
// for its help.
func modelOf(app *kong.Application, explain func(*kong.Value) string) program {
	if explain == nil {
		explain = func(v *kong.Value) string { return v.Help }
	}
	p := program{name: app.Name, help: app.Help}
	if app.DefaultCmd != nil {
		p.standard = app.DefaultCmd.Name
	}
	for _, node := range app.Children {
		if node.Hidden {
			continue
		}
		c := command{name: node.Name, help: node.Help, detail: node.Detail}
		var arguments []string
		for _, argument := range node.Positional {
			arguments = append(arguments, argument.Summary())
			c.arguments = append(c.arguments, flag{value: argument.Name, help: explain(argument), words: words(argument)})
		}
		c.synopsis = strings.Join(arguments, " ")
		for _, f := range node.Flags {
			if !f.Hidden {
				c.flags = append(c.flags, flagOf(f, explain(f.Value)))
			}
		}
		c.flags = append(c.flags, flag{long: "help", short: "h", help: "Show help."})
		p.commands = append(p.commands, c)
	}
	return p
}

func flagOf(f *kong.Flag, help string) flag {
	of := flag{long: f.Name, help: help, words: words(f.Value)}
	if f.Short != 0 {
		of.short = string(f.Short)
	}
	if !f.IsBool() {
		of.value = f.FormatPlaceHolder()
		of.files = strings.HasPrefix(of.value, "FILE")
	}
	return of
}

// alternatives is a placeholder that names all values.
var alternatives = regexp.MustCompile(`^[a-z]+(\|[a-z]+)+$`)

// words are the values that a flag or an argument can have, as its enum, its tag
// choices or its placeholder says.
func words(v *kong.Value) (list []string) {
	switch choices := v.Tag.Get("choices"); {
	case choices != "":
		return strings.Split(choices, ",")
	case v.Enum != "":
		for _, word := range v.EnumSlice() {
			if word != "" {
				list = append(list, word)
			}
		}
	case v.Flag != nil && alternatives.MatchString(v.Flag.PlaceHolder):
		return strings.Split(v.Flag.PlaceHolder, "|")
	}
	return list
}

// sentence is the first sentence of a text, without its end.
func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if i := strings.Index(text, ". "); i >= 0 {
		text = text[:i]
	}
	return strings.TrimSuffix(text, ".")
}
