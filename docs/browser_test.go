package docs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway/web/browsertest"
)

// fillIn fills in and sends the form of a page, as its reader would.
const fillIn = `(fields) => {
	const form = document.querySelector("form");
	for (const [name, text] of Object.entries(fields)) form.elements[name].value = text;
	form.querySelector("button").click();
}`

// tab is the one tab of a reader's browser.
type tab struct {
	*testing.T
	ctx     context.Context
	console *browsertest.Console
	at      string // the page that it shows
}

// withBrowser gives the reader a browser, and skips the test where there is none. A form
// is filled in when its page shows the line ready. flags are for the browser's command
// line.
func (r *reader) withBrowser(untested, ready string, flags ...chromedp.ExecAllocatorOption) *tab {
	r.Helper()
	b := &tab{T: r.T}
	b.ctx, b.console = browsertest.Start(r.T, untested, flags...)
	r.browse = func(url string, s step) {
		if url != b.at {
			if err := chromedp.Do(b.ctx, chromedp.Navigate(url)); err != nil {
				r.Fatalf("open %s: %v", url, err)
			}
			b.at = url
		}
		if fields := s.fields(); len(fields) > 0 {
			until(r.T, url, shownLines(ready+"\n", false), b.shown)
			text, err := json.Marshal(fields)
			if err != nil {
				r.Fatal(err)
			}
			b.evaluate(fmt.Sprintf(`(%s)(%s), ""`, fillIn, text))
		}
		until(r.T, url, shownLines(s.block, true), b.shown)
	}
	return b
}

// evaluate returns what a text in the page is, or an error while the page is loaded.
func (b *tab) evaluate(expression string) string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		return err.Error()
	}
	return text
}

// shown are the lines of the page that are not empty.
func (b *tab) shown() string {
	var lines []string
	for line := range strings.Lines(b.evaluate(`document.body.innerText`)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
