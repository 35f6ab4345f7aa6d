//go:build long

package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web"
	"fleetcast/gateway/web/browsertest"
)

// recipe returns a program of docs/javascript.md, with another URL of the gateway.
func recipe(t *testing.T, name, url string) string {
	t.Helper()
	docs, err := os.ReadFile("../../docs/javascript.md")
	if err != nil {
		t.Fatalf("reading the recipes: %v", err)
	}
	match := regexp.MustCompile("(?s)<!-- recipe: " + name + " -->\n```jsx?\n(.*?)```").FindSubmatch(docs)
	if match == nil {
		t.Fatalf("docs/javascript.md has no recipe %s", name)
	}
	return regexp.MustCompile(`connect\("[^"]*"`).ReplaceAllLiteralString(string(match[1]), `connect("`+url+`"`)
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatalf("writing a program: %v", err)
	}
}

// TestLongRecipes runs the recipes for Node, Bun and Deno until they have printed an
// event, and ends them by SIGTERM.
func TestLongRecipes(t *testing.T) {
	g := startGateway(t)
	url := "ws://" + g.ClientAddrs()[0].String() + gateway.Path
	for _, runtime := range []struct {
		name, tool, program string
		args                []string
	}{
		{"node", "ws@8.18.3", "", nil},
		{"bun", "@oven/bun-linux-x64@1.3.5", "node_modules/@oven/bun-linux-x64/bin/bun", nil},
		{"deno", "@deno/linux-x64-glibc@2.6.3", "node_modules/@deno/linux-x64-glibc/deno", []string{"run", "--no-config", "--allow-net"}},
	} {
		t.Run(runtime.name, func(t *testing.T) {
			dir := installPackage(t)
			installTools(t, dir, runtime.tool)
			writeFile(t, dir, "recipe.mjs", recipe(t, runtime.name, url))
			runIn(t, dir, "cp", "node_modules/fleetcast/fleetcast.js", "fleetcast.js")
			program := node(t)
			if runtime.program != "" {
				program = filepath.Join(dir, runtime.program)
			}
			c := startProgram(t, dir, program, append(runtime.args, "recipe.mjs")...)
			awaitSubscribers(t, g, 1)
			publish(t, g, `"cooked"`)
			if got := c.next(); strings.Trim(got, `"`) != "cooked" {
				t.Errorf("printed %q", got)
			}
			if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for line := range c.lines {
				t.Errorf("it printed %q, too", line)
			}
			if err := c.cmd.Wait(); err != nil {
				t.Errorf("it ended with %v: %s", err, c.stderr)
			}
			awaitSubscribers(t, g, 0)
		})
	}
}

// TestLongPageRecipes runs the recipes for pages: one is loaded again and has missed nothing, the other
// pages back to the first message.
func TestLongPageRecipes(t *testing.T) {
	g := startGateway(t)
	url := "ws://" + g.ClientAddrs()[0].String() + gateway.Path
	pages := map[string]string{}
	for _, name := range []string{"reload", "older"} {
		pages["/"+name] = `<!doctype html><title>test</title><link rel="icon" href="data:,"><button id="older">older</button><ul id="messages"></ul><script type="module">` +
			recipe(t, name, url) + `</script>`
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fleetcast.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(web.JavaScript)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(pages[r.URL.Path]))
	}))
	defer site.Close()
	say := func(from, to int) {
		t.Helper()
		for n := from; n <= to; n++ {
			publishTo(t, g, "chat", fmt.Sprintf(`{"text":"%d"}`, n))
		}
	}
	say(1, 90)
	ctx, console := browsertest.Start(t, "the recipes for pages are")
	shows := func(from, to int) {
		t.Helper()
		want := make([]string, 0, to)
		for n := from; n <= to; n++ {
			want = append(want, fmt.Sprint(n))
		}
		var got string
		defer func() {
			if t.Failed() {
				t.Logf("the page shows %s", got)
			}
		}()
		await(t, fmt.Sprintf("%d to %d", from, to), func() bool {
			var err error
			if got, err = chromedp.Run(ctx, chromedp.Evaluate[string](`[...document.querySelectorAll("li")].map((li) => li.textContent).join()`)); err != nil {
				t.Fatal(err)
			}
			return got == strings.Join(want, ",")
		})
	}
	open := func(page string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+page)); err != nil {
			t.Fatal(err)
		}
	}
	open("/reload")
	shows(71, 90)
	say(91, 95)
	shows(71, 95)
	open("/older")
	shows(76, 95)
	for _, first := range []int{26, 1} {
		if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector("#older").click()`)); err != nil {
			t.Fatal(err)
		}
		shows(first, 95)
	}
	await(t, "the button to go", func() bool {
		hidden, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector("#older").hidden`))
		return err == nil && hidden
	})
	say(96, 125)
	open("/reload")
	shows(71, 125)
	for _, complaint := range console.Take() {
		t.Errorf("the console says: %s", complaint)
	}
}

// app shows the recipes' components, strictly, and lets the test change the symbol.
const app = `
import { createElement as h, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { Connection, Price } from "./recipe.jsx";

function App() {
  const [symbol, setSymbol] = useState("a");
  window.show = setSymbol;
  return h("main", {}, symbol && h(Price, { symbol }), symbol && h(Price, { symbol }), h(Connection));
}
createRoot(document.body).render(h(StrictMode, {}, h(App)));
`

// TestLongReact runs the recipe for React in a browser.
func TestLongReact(t *testing.T) {
	dir := installPackage(t)
	installTools(t, dir, "react@19.2.3", "react-dom@19.2.3", "esbuild@0.27.2")
	g := startGateway(t)
	url := "ws://" + g.ClientAddrs()[0].String() + gateway.Path
	writeFile(t, dir, "fleetcast-react.js", recipe(t, "react", url))
	writeFile(t, dir, "recipe.jsx", recipe(t, "react-use", url))
	writeFile(t, dir, "app.jsx", app)
	runIn(t, dir, "node_modules/.bin/esbuild", "app.jsx", "--bundle", "--jsx=automatic", "--outfile=out/app.js")
	writeFile(t, dir, "out/index.html", `<!doctype html><title>test</title><link rel="icon" href="data:,"><body></body><script src="app.js"></script>`)
	site := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "out"))))
	defer site.Close()

	ctx, console := browsertest.Start(t, "the recipe for React is")
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL)); err != nil {
		t.Fatal(err)
	}
	shows := func(want string) {
		t.Helper()
		var got string
		defer func() {
			if t.Failed() {
				t.Logf("the page shows %q, want %q", got, want)
			}
		}()
		await(t, want, func() bool {
			var err error
			if got, err = chromedp.Run(ctx, chromedp.Evaluate[string](`[...document.querySelectorAll("p")].map((p) => p.textContent).join()`)); err != nil {
				t.Fatal(err)
			}
			return got == want
		})
	}
	show := func(symbol string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](`void window.show("`+symbol+`")`)); err != nil {
			t.Fatal(err)
		}
	}
	shows("no price yet,no price yet,open")
	publishTo(t, g, "price:a", `{"price":7}`)
	shows("7,7,open")
	show("b")
	shows("no price yet,no price yet,open")
	publishTo(t, g, "price:b", `{"price":8}`)
	shows("8,8,open")
	awaitSubscribers(t, g, 1)
	show("")
	shows("open")
	awaitSubscribers(t, g, 0)
	for _, complaint := range console.Take() {
		if complaint != "console call of type info" { // about React's tools
			t.Errorf("the console says: %s", complaint)
		}
	}
}
