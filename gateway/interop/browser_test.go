package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway/web/browsertest"
)

// browserClient is a page's WebSocket in Chromium.
type browserClient struct {
	ctx                     context.Context
	subprotocol, extensions string
}

// chromium starts one browser for all connections of the test.
func chromium(t *testing.T) dialer {
	ctx, _ := browsertest.Start(t, "its WebSocket is")
	return func(t *testing.T, o options) client {
		if err := chromedp.Do(ctx, chromedp.Navigate(o.page)); err != nil {
			t.Fatalf("opening %s: %v", o.page, err)
		}
		c := &browserClient{ctx: ctx}
		argument, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := c.next("open", fmt.Sprintf(browserOpen, argument))
		if err != nil {
			t.Fatal(err)
		}
		c.subprotocol, c.extensions = opened.Subprotocol, opened.Extensions
		return c
	}
}

// browserOpen opens a connection whose happenings next() gives one after the
// other.
const browserOpen = `(() => {
	const options = %s, happened = [], waiting = [];
	const tell = (h) => waiting.length ? waiting.shift()(h) : happened.push(h);
	window.next = () => happened.length ? Promise.resolve(happened.shift()) : new Promise((resolve) => waiting.push(resolve));
	window.socket = new WebSocket(options.url, options.subprotocols ?? []);
	socket.binaryType = "arraybuffer";
	socket.onopen = () => tell({ event: "open", subprotocol: socket.protocol, extensions: socket.extensions });
	socket.onmessage = ({ data }) => typeof data === "string" ? tell({ event: "text", data }) :
		tell({ event: "binary", data: new TextDecoder().decode(data) });
	socket.onclose = ({ code, reason, wasClean }) => tell({ event: wasClean ? "close" : "broken", code, data: reason });
	return next();
})()`

// next evaluates an expression that gives the next happening, which must be
// event.
func (c *browserClient) next(event, expression string) (happening, error) {
	h, err := chromedp.Run(c.ctx, chromedp.Evaluate[happening](expression, chromedp.EvalAwaitPromise))
	if err == nil && h.Event != event && (event != "" || h.Event == "close" || h.Event == "broken") {
		err = fmt.Errorf("%s (%d %.200q), want %s", h.Event, h.Code, h.Data, event)
	}
	return h, err
}

func (c *browserClient) negotiated() (subprotocol, extensions string) {
	return c.subprotocol, c.extensions
}

func (c *browserClient) send(m message) error {
	text, err := json.Marshal(m.data)
	if err != nil {
		return err
	}
	expression := fmt.Sprintf("socket.send(%s)", text)
	if m.binary {
		expression = fmt.Sprintf("socket.send(new TextEncoder().encode(%s))", text)
	}
	return chromedp.Do(c.ctx, chromedp.Evaluate[chromedp.Void](expression))
}

func (c *browserClient) receive() (message, error) {
	h, err := c.next("", "next()")
	return message{h.Event == "binary", h.Data}, err
}

// ping does nothing: pages cannot.
func (c *browserClient) ping() error { return nil }

func (c *browserClient) close() (int, error) {
	h, err := c.next("close", `socket.close(1000, "done"), next()`)
	return h.Code, err
}
