package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway/publisher"
	"fleetcast/gateway/web/browsertest"
)

var update = flag.Bool("update", false, "write docs/pictures instead of checking them")

// pictures is where the pictures that the README shows are kept.
const pictures = "../../docs/pictures"

// The size of a picture in CSS pixels, and how many pixels of the file one of
// them is.
const (
	pictureWidth, pictureHeight = 1200, 720
	pictureScale                = 1.25
)

// TestPictures shows the console page and the dashboard of a gateway with
// traffic in a real browser. With -update it writes the pictures that the README
// shows.
func TestPictures(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "the pictures of the README")
	browser := browserPage{t, ctx}
	_, url, publish, admin := startGateway(t)
	site := "http://" + hostOf(t, url) + "/"
	browser.size(pictureWidth, pictureHeight)

	browser.open(site)
	browser.awaits("connected")
	stop := publishPrices(t, publish, admin)
	defer stop()
	browser.awaits(`"bid":1.0719`) // of the 20th event, and of each 40th behind it
	browser.picture("console.png")

	subscriber := start(t, nil, "subscribe", "--url="+url, "prices.fx", "chat.lobby")
	subscriber.out.await(t, "EURUSD")
	browser.open("http://" + admin + "/")
	browser.awaits("All is well", "news", "prices.fx")
	browser.curves()
	browser.picture("dashboard.png")
	if complaints := console.Take(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// publishPrices publishes made-up prices at a steady rate until stop is called.
// It begins when news has its subscriber.
func publishPrices(t *testing.T, addr, admin string) (stop func()) {
	t.Helper()
	awaitSubscription(t, "http://"+admin+"/")
	ctx, cancel := context.WithCancel(t.Context())
	p, err := publisher.Dial(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			event := fmt.Appendf(nil, `{"pair":"EURUSD","bid":%.4f,"ask":%.4f}`, 1.07+float64(i%40)/1e4, 1.0702+float64(i%40)/1e4)
			for _, channel := range []string{"news", "prices.fx"} {
				if p.Send(ctx, channel, event) != nil {
					return
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		p.Close()
	}
}

// size makes the tab as large as a picture.
func (p browserPage) size(width, height int64) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(pictureScale))); err != nil {
		p.Fatal(err)
	}
}

// curves waits until the dashboard has drawn some seconds.
func (p browserPage) curves() {
	p.Helper()
	if !*update {
		return
	}
	select {
	case <-time.After(20 * time.Second):
	case <-p.ctx.Done():
	}
}

// picture checks what the tab shows, and with -update keeps it.
func (p browserPage) picture(name string) {
	p.Helper()
	shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.Fatal(err)
	}
	path := filepath.Join(pictures, name)
	if *update {
		if err := os.MkdirAll(pictures, 0o755); err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(path, shot, 0o644); err != nil {
			p.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		p.Fatalf("%v; write it with: go test ./cmd/fleetcast -run Pictures -update", err)
	}
	now, err := png.DecodeConfig(bytes.NewReader(shot))
	if err != nil {
		p.Fatal(err)
	}
	then, err := png.DecodeConfig(bytes.NewReader(kept))
	if err != nil {
		p.Fatalf("%s: %v", path, err)
	}
	if then.Width != now.Width || then.Height != now.Height {
		p.Errorf("%s has %d x %d pixels, the page %d x %d", path, then.Width, then.Height, now.Width, now.Height)
	}
}
