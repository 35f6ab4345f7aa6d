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
}

// Help is shown below the command's help.
func (*configCommand) Help() string {
	return "It takes what serve takes: the same flags, environment and file. What it prints can be saved and given to --config."
}

// Run prints the options, or checks them further than the parser has.
func (c *configCommand) Run(std streams) error {
	logger := newLogger(std.err, c.LogFormat, nil)
	warnOfVariables(logger, c.strange)
	warnOfNoEffect(logger, &c.options)
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
		for _, t := range texts {
			fmt.Fprintf(w, "  - %s\n", yamlText(t))
		}
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
