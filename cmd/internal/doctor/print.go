package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Widths of the printed page in columns.
const (
	pageWidth   = 96
	statusWidth = 9
	nameWidth   = 14
)

// statusColours are the terminal's codes.
var statusColours = map[status]string{
	statusOK:      "\x1b[32m",
	statusUnknown: "\x1b[36m",
	statusWarn:    "\x1b[33m",
	StatusBad:     "\x1b[31m",
}

// Print writes the findings for people.
func (d *Diagnosis) Print(w io.Writer, colour bool) error {
	var page strings.Builder
	fmt.Fprintf(&page, "The limits of this machine, for %s and %s\n",
		countedOf(uint64(d.Clients), "client"), countedOf(uint64(d.Publishers), "publisher"))
	for _, f := range d.Findings {
		page.WriteByte('\n')
		mark := fmt.Sprintf("%-*s", statusWidth, f.Status)
		if colour {
			mark = statusColours[f.Status] + mark + "\x1b[0m"
		}
		fmt.Fprintf(&page, "%s%s\n", mark, f.Check)
		row(&page, "found", f.Found)
		row(&page, "in", f.Source)
		row(&page, "allows", f.Allows)
		row(&page, "should be", f.Want)
		row(&page, "because", f.Why)
		row(&page, "change it by", f.Change)
	}
	page.WriteByte('\n')
	d.printSum(&page)
	_, err := io.WriteString(w, page.String())
	return err
}

func (d *Diagnosis) printSum(page *strings.Builder) {
	counts := make(map[status]int)
	for _, f := range d.Findings {
		counts[f.Status]++
	}
	fmt.Fprintf(page, "%d ok, %d warn, %d bad, %d unknown.", counts[statusOK], counts[statusWarn], counts[StatusBad], counts[statusUnknown])
	if f := d.narrowest(); f != nil {
		fmt.Fprintf(page, " The narrowest: %s, %s.", f.Check, countedOf(*f.Clients, "client"))
	}
	page.WriteByte('\n')
}

// row writes a name and its text, which is broken between words.
func row(page *strings.Builder, name, text string) {
	if text == "" {
		return
	}
	indent := statusWidth + nameWidth
	fmt.Fprintf(page, "%*s%-*s", statusWidth, "", nameWidth, name)
	column := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > pageWidth:
			fmt.Fprintf(page, "\n%*s", indent, "")
			column = indent
		default:
			page.WriteByte(' ')
			column++
		}
		page.WriteString(word)
		column += len(word)
	}
	page.WriteByte('\n')
}
