//go:build long

package docs_test

import (
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

// TestLongTutorial follows the tutorial with a browser.
func TestLongTutorial(t *testing.T) {
	r := newReader(t)
	ctx, console := browsertest.Start(t, "the pages of the tutorial are",
		chromedp.Flag("host-resolver-rules", "MAP example.com 127.0.0.1"))
	evaluate := func(expression string) string {
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
		if err != nil {
			return err.Error() // while the page is loaded
		}
		return text
	}
	shown := func() string {
		var lines []string
		for line := range strings.Lines(evaluate(`document.body.innerText`)) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n") + "\n"
	}
	at := ""
	r.browse = func(url string, s step) {
		if url != at {
			if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
				t.Fatalf("open %s: %v", url, err)
			}
			at = url
		}
		if fields := s.fields(); len(fields) > 0 {
			until(t, url, shownLines("Connection: open\n", false), shown)
			text, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			evaluate(fmt.Sprintf(`(%s)(%s), ""`, fillIn, text))
		}
		until(t, url, shownLines(s.block, true), shown)
	}
	r.follow()
	for _, complaint := range console.Take() {
		if !strings.Contains(complaint, "favicon.ico") && !strings.Contains(complaint, "404") && !strings.Contains(complaint, "WebSocket connection to") {
			t.Errorf("the browser complains: %s", complaint)
		}
	}
}
