//go:build long

package docs_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestLongTutorial follows the tutorial with a browser.
func TestLongTutorial(t *testing.T) {
	r := newTutorial(t)
	b := r.withBrowser("the pages of the tutorial are", "Connection: open", chromedp.Flag("host-resolver-rules", "MAP example.com 127.0.0.1"))
	r.follow()
	for _, complaint := range b.console.Take() {
		if !strings.Contains(complaint, "favicon.ico") && !strings.Contains(complaint, "404") && !strings.Contains(complaint, "WebSocket connection to") {
			t.Errorf("the browser complains: %s", complaint)
		}
	}
}
