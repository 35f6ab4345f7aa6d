package report_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"fleetcast/loadtest"
	"fleetcast/loadtest/report"
)

// document is a report as a reader's browser parses it.
type document struct {
	t    *testing.T
	text string
	root *html.Node
}

func write(t *testing.T, r *loadtest.Result) document {
	t.Helper()
	var out bytes.Buffer
	if err := report.Write(&out, r); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return document{t, out.String(), root}
}

// all returns the elements that match, in the order of the document.
func all(root *html.Node, match func(n *html.Node) bool) (found []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && match(n) {
			found = append(found, n)
		}
	}
	return found
}

func tag(name string) func(n *html.Node) bool {
	return func(n *html.Node) bool { return n.Data == name }
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func byID(root *html.Node, id string) *html.Node {
	found := all(root, func(n *html.Node) bool { return attribute(n, "id") == id })
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// textOf is the text of a node, spaces collapsed; empty without a node.
func textOf(n *html.Node) string {
	var text strings.Builder
	if n != nil {
		for child := range n.Descendants() {
			if child.Type == html.TextNode {
				text.WriteString(child.Data)
			}
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

func textsOf(root *html.Node, match func(n *html.Node) bool) (texts []string) {
	if root == nil {
		return nil
	}
	for _, n := range all(root, match) {
		texts = append(texts, textOf(n))
	}
	return texts
}

// rows are the lines of a table, cells joined.
func (d document) rows(id string) (rows []string) {
	section := byID(d.root, id)
	if section == nil {
		return nil
	}
	for _, tr := range all(section, tag("tr")) {
		cells := textsOf(tr, func(n *html.Node) bool { return n.Data == "th" || n.Data == "td" })
		rows = append(rows, strings.Join(cells, " | "))
	}
	return rows
}

func (d document) plots() (ids []string) {
	for _, n := range all(d.root, func(n *html.Node) bool { return attribute(n, "class") == "plot" }) {
		ids = append(ids, attribute(n, "id"))
	}
	return ids
}

func (d document) expect(what string, got, want []string) {
	d.t.Helper()
	if !slices.Equal(got, want) {
		d.t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// voids are the elements of this page that have no end tag.
var voids = []string{"meta", "br", "img", "link", "input"}

func TestEveryReportIsWellFormedAndStandsAlone(t *testing.T) {
	for name, result := range map[string]*loadtest.Result{
		"full": full(), "minimal": minimal(), "faulty": faulty(), "phased": phased(), "hostile": hostile(),
	} {
		t.Run(name, func(t *testing.T) {
			d := write(t, result)
			checkBalance(t, d.text)
			seen := map[string]bool{}
			for _, n := range all(d.root, func(*html.Node) bool { return true }) {
				id := attribute(n, "id")
				if id != "" && seen[id] {
					t.Errorf("id %q occurs twice", id)
				}
				seen[id] = true
				for _, a := range n.Attr {
					if slices.Contains([]string{"src", "href", "srcset", "style", "onclick", "onload", "onerror"}, a.Key) {
						t.Errorf("element %s has attribute %s", n.Data, a.Key)
					}
				}
				for _, label := range []string{"aria-labelledby", "aria-describedby"} {
					if of := attribute(n, label); of != "" && textOf(byID(d.root, of)) == "" {
						t.Errorf("%s is %s, which has no text", label, of)
					}
				}
			}
		})
	}
}

func checkBalance(t *testing.T, text string) {
	t.Helper()
	var open []string
	for z := html.NewTokenizer(strings.NewReader(text)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				t.Error(z.Err())
			}
			if len(open) > 0 {
				t.Errorf("not closed: %v", open)
			}
			return
		case html.StartTagToken:
			if name := z.Token().Data; !slices.Contains(voids, name) {
				open = append(open, name)
			}
		case html.EndTagToken:
			name := z.Token().Data
			if len(open) == 0 || open[len(open)-1] != name {
				t.Fatalf("</%s> closes %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}
