package shellhelp

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Section is a section of a manual page that the parser does not know.
type Section struct{ Title, Text string } // paragraphs are parted by empty lines

// Manual is what a manual page needs besides the model of the parser.
type Manual struct {
	Version string
	Day     time.Time
	// Explain is the text of a flag or an argument; nil stands for its help.
	Explain  func(*kong.Value) string
	Sections []Section
}

// Day is the day of a manual page: what SOURCE_DATE_EPOCH says, so that a build
// can be repeated, or today.
func Day() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, must be a number of seconds", text)
	}
	return time.Unix(seconds, 0), nil
}

// Write writes the manual page of a program, in the macros of man(7).
func (m *Manual) Write(w io.Writer, app *kong.Application) error {
	p := modelOf(app, m.Explain)
	summary, rest, _ := strings.Cut(p.help, "\n\n")
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 %s %s\n", strings.ToUpper(p.name), m.Day.UTC().Format("2006-01-02"), macro(p.name+" "+m.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(p.name), roff(lowerFirst(sentence(summary))))
	b.WriteString(".SH SYNOPSIS\n")
	all := p.all()
	for i, c := range all {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, ".B %s\n%s\n", macro(p.name+" "+c.name), roff(strings.TrimSpace("[flags] "+c.synopsis)))
	}
	b.WriteString(".SH DESCRIPTION\n" + paragraphs(summary+"\n\n"+rest))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range all {
		fmt.Fprintf(&b, ".SS %s\n%s", macro(p.name+" "+strings.TrimSpace(c.name+" "+c.synopsis)), paragraphs(c.help+"\n\n"+c.detail))
		for _, a := range c.arguments {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", macro(a.value), roff(a.help))
		}
		for _, f := range c.flags {
			b.WriteString(".TP\n" + f.roff() + roff(f.help) + "\n")
		}
	}
	for _, s := range m.Sections {
		fmt.Fprintf(&b, ".SH %s\n%s", macro(strings.ToUpper(s.Title)), paragraphs(s.Text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *flag) roff() string {
	names := "--" + f.long
	if f.short != "" {
		names = "-" + f.short + ", " + names
	}
	if f.value == "" {
		return ".B " + macro(names) + "\n"
	}
	return ".BI " + macro(names+"=") + " " + macro(f.value) + "\n"
}

// paragraphs writes a text whose paragraphs are parted by empty lines.
func paragraphs(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if b.Len() > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(roff(strings.Join(strings.Fields(paragraph), " ")) + "\n")
	}
	return b.String()
}

// roff writes a text so that it stands as it is.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// macro writes a text as one argument of a macro.
func macro(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }

func lowerFirst(text string) string {
	if text == "" {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}
