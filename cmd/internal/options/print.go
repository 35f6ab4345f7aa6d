package options

import (
	"bufio"
	"fmt"
	"go/doc/comment"
	"io"
	"regexp"
	"strconv"
	"strings"

	"fleetcast/cmd/internal/build"
	"fleetcast/cmd/internal/stdio"
)

// Print writes the options as YAML, explained.
func (o *Options) Print(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "# The effective configuration of fleetcast %s, as fleetcast config prints it.\n", build.Version())
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
		from = " # from " + stdio.Printable(at)
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
