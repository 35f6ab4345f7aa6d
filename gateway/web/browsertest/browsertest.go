// Package browsertest starts a real browser for tests: a headless Chromium that
// the machine has installed. A session belongs to the test that started it.
package browsertest

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"fleetcast/codec/testrun"
)

// Limit is how long a whole session with a browser may take.
const Limit = 3 * time.Minute

// Console is what a browser's console has to say against its pages. Any
// goroutine may use it.
type Console struct {
	mu    sync.Mutex
	lines []string
}

func (c *Console) hear(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		c.lines = append(c.lines, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		c.lines = append(c.lines, fmt.Sprintf("%s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		c.lines = append(c.lines, fmt.Sprintf("console call of type %s", e.Type))
	}
}

// Take returns what was said since the last call.
func (c *Console) Take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines
	c.lines = nil
	return lines
}

// Start starts a browser with one empty tab, for chromedp's functions, and ends
// it with the test. Without a browser, and with -short, the test is skipped; untested is what it
// then says is not tested. flags are for the browser's command line, besides the
// usual.
func Start(t *testing.T, untested string, flags ...chromedp.ExecAllocatorOption) (context.Context, *Console) {
	t.Helper()
	testrun.OtherProcess(t)
	path := find()
	if path == "" {
		t.Skipf("neither Chromium nor Chrome is installed: %s not tested", untested)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	t.Cleanup(cancel)
	for attempt := 1; ; attempt++ {
		session, console, stop, err := open(ctx, path, flags)
		if err == nil {
			t.Cleanup(func() {
				if err := stop(); err != nil {
					t.Errorf("closing the browser: %v", err)
				}
			})
			return session, console
		}
		_ = stop() // of what has failed already
		if attempt == attempts {
			t.Fatalf("starting the browser, %d times: %v", attempts, err)
		}
		t.Logf("starting the browser once more: %.300s", err)
	}
}

// attempts is how often a browser is started: Chromium crashes at its start now
// and then.
const attempts = 3

// open starts a browser. stop ends it and waits until it has gone.
func open(ctx context.Context, path string, flags []chromedp.ExecAllocatorOption) (session context.Context, console *Console, stop func() error, err error) {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, cancel := chromedp.NewExecAllocator(ctx, append(options, flags...)...)
	session, _ = chromedp.NewContext(allocator)
	stop = func() error {
		defer cancel()
		return chromedp.Cancel(session)
	}
	console = &Console{}
	if err = chromedp.Listen(session, console.hear); err == nil {
		_, err = chromedp.Call(session, log.Enable, cdp.Empty{})
	}
	return session, console, stop, err
}

// find returns the path of a browser; empty if there is none.
func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
