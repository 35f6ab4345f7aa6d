package main

import (
	"bufio"
	"fmt"
	"go/doc/comment"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// configCommand shows or checks the options of serve.
type configCommand struct {
	options
	Check bool `help:"Print nothing but errors; the exit status is 0 if there are none, else 2."`

	Show    showCommand    `cmd:"" default:"1" help:"Print the effective configuration of serve as YAML, or check it; config alone does the same."`
	Explain explainCommand `cmd:"" help:"Print what holds for a channel, and which rule says so."`
}

// showCommand is what config does without a further word.
type showCommand struct{}

// Help is shown below the command's help.
func (*configCommand) Help() string {
	return "It takes what serve takes: the same flags, environment and file. Without a command of its own it is show. What show prints can be saved and given to --config."
}

// Run prints the options, or checks them further than the parser has.
func (showCommand) Run(c *configCommand, std streams) error {
	c.warn(std.err)
	if !c.Check {
		return c.print(std.out)
	}
	connections, err := raiseDescriptorLimit(c.loops())
	if err != nil {
		return usageError{err}
	}
	if _, err := c.config(connections); err != nil {
		return usageError{err}
	}
	return nil
}

// warn says what has no effect.
func (o *options) warn(to io.Writer) {
	logger := newLogger(to, o.LogFormat, nil)
	warnOfVariables(logger, o.strange)
	warnOfNoEffect(logger, o)
}

// print writes the options as YAML, explained.
func (o *options) print(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "# The effective configuration of fleetcast %s, as fleetcast config prints it.\n", version())
	if o.Config != "" {
		fmt.Fprintf(w, "# Configuration file: %s\n", strconv.Quote(o.Config))
	}
	for _, group := range groups {
		fmt.Fprintf(w, "\n#\n# %s\n#\n", group.Title)
		for _, s := range o.settings {
			if s.flag.Group.Key == group.Key {
				s.print(w)
			}
		}
	}
	return w.Flush()
}

// commentWidth is where comments are wrapped, in characters.
const commentWidth = 90

func (s setting) print(w io.Writer) {
	change := "a change takes effect with SIGHUP"
	if !s.live() {
		change = "a change takes a restart"
	}
	fmt.Fprintln(w)
	printComment(w, explanation(s.flag))
	printComment(w, "Default: "+fallback(s.flag)+"; "+change+".")
	from := ""
	if at := s.source.at(s.name()); at != "" {
		from = " # from " + printable(at)
	}
	switch texts := s.texts(); {
	case !s.list():
		fmt.Fprintf(w, "%s: %s%s\n", s.name(), yamlText(texts[0]), from)
	case len(texts) == 0:
		fmt.Fprintf(w, "%s: []%s\n", s.name(), from)
	default:
		fmt.Fprintf(w, "%s:%s\n", s.name(), from)
		for i, t := range texts {
			if m, ok := s.flag.Target.Index(i).Interface().(interface{ members() [][2]string }); ok {
				printMembers(w, m.members())
				continue
			}
			fmt.Fprintf(w, "  - %s\n", yamlText(t))
		}
	}
}

// printMembers writes an element of a list that is a mapping.
func printMembers(w io.Writer, members [][2]string) {
	mark := "-"
	for _, m := range members {
		fmt.Fprintf(w, "  %s %s: %s\n", mark, m[0], yamlText(m[1]))
		mark = " "
	}
}

func printComment(w io.Writer, text string) {
	printer := comment.Printer{TextPrefix: "# ", TextWidth: commentWidth}
	_, _ = w.Write(printer.Text(new(comment.Parser).Parse(text))) // the writer keeps the error
}

// plainText needs no quotes in YAML.
var plainText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9./-]*(:[A-Za-z0-9./-]+)*$`)

// yamlText writes a text as YAML.
func yamlText(text string) string {
	switch strings.ToLower(text) {
	case "null", "true", "false", "yes", "no":
		return strconv.Quote(text)
	}
	if plainText.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}
