// Package shellhelp writes completions for bash, zsh and fish, and the manual page, from
// the parser's model of a command line. It keeps no state. Any goroutine may call its
// functions.
package shellhelp

import (
	"regexp"
	"slices"
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
	// within are the commands within this one. They take its flags.
	within []command
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
		c := commandOf(node, node.Name, explain)
		c.flags = append(c.flags, flag{long: "help", short: "h", help: "Show help."})
		for _, child := range node.Children {
			if !child.Hidden {
				c.within = append(c.within, commandOf(child, node.Name+" "+child.Name, explain))
			}
		}
		p.commands = append(p.commands, c)
	}
	return p
}

// commandOf is a command with the flags that it does not have from one above it.
func commandOf(node *kong.Node, name string, explain func(*kong.Value) string) command {
	c := command{name: name, help: node.Help, detail: node.Detail}
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
	return c
}

// all are the commands, each followed by those within it.
func (p *program) all() (commands []command) {
	for _, c := range p.commands {
		commands = append(append(commands, c), c.within...)
	}
	return commands
}

// offered are the flags of a command and of its subcommands, and the possible values of
// its arguments, with the names of the subcommands.
func (c *command) offered() (flags, arguments []flag) {
	flags, arguments = slices.Clone(c.flags), slices.Clone(c.arguments)
	var names []string
	for _, w := range c.within {
		flags, arguments = append(flags, w.flags...), append(arguments, w.arguments...)
		names = append(names, strings.TrimPrefix(w.name, c.name+" "))
	}
	if len(names) > 0 {
		arguments = append(arguments, flag{value: "command", words: names})
	}
	return flags, arguments
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
