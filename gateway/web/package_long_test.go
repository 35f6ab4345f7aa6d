//go:build long

package web_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"fleetcast/gateway"
	"fleetcast/gateway/web/browsertest"
)

// installTools installs npm packages beside the client's. Without a registry the
// test is skipped.
func installTools(t *testing.T, dir string, names ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), npm(t), append([]string{"install", "--no-audit", "--no-fund", "--fetch-retries=0"}, names...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install %q: %v\n%s", names, err, out)
	}
}

// TestLongPackageTypes compiles programs that use the package with TypeScript.
func TestLongPackageTypes(t *testing.T) {
	dir := installPackage(t)
	installTools(t, dir, "typescript@5.9.3")
	source := filepath.Join(dir, "use.ts")
	for _, copy := range []string{"use.mts", "use.cts"} {
		runIn(t, dir, "cp", source, copy)
	}
	tsc := filepath.Join(dir, "node_modules/.bin/tsc")
	strict := []string{"--noEmit", "--strict", "--exactOptionalPropertyTypes", "--lib", "es2022,dom"}
	for name, args := range map[string][]string{
		"ES module":     {"--module", "nodenext", "use.mts"},
		"CommonJS":      {"--module", "nodenext", "use.cts"},
		"bundler":       {"--module", "esnext", "--moduleResolution", "bundler", "use.ts"},
		"classic page":  {"--module", "esnext", "--moduleResolution", "bundler", "global.ts"},
		"files as such": {"--module", "nodenext", "node_modules/fleetcast/fleetcast.d.ts", "node_modules/fleetcast/fleetcast.d.cts", "node_modules/fleetcast/fleetcast.global.d.ts"},
	} {
		t.Run(name, func(t *testing.T) { runIn(t, dir, tsc, append(strict[:len(strict):len(strict)], args...)...) })
	}
}

// TestLongPackageBundled has two bundlers make one file of a program and the
// package. esbuild's runs in Node, vite's in a browser.
func TestLongPackageBundled(t *testing.T) {
	dir := installPackage(t)
	installTools(t, dir, "vite@7.3.0", "esbuild@0.27.2")
	bin := filepath.Join(dir, "node_modules/.bin")
	runIn(t, dir, filepath.Join(bin, "esbuild"), "use.mjs", "--bundle", "--platform=node", "--format=esm", "--outfile=out/bundle.mjs")
	runIn(t, dir, filepath.Join(bin, "esbuild"), "use.cjs", "--bundle", "--minify", "--platform=node", "--format=cjs", "--outfile=out/bundle.cjs")
	runIn(t, dir, filepath.Join(bin, "vite"), "build", "--outDir", "out/site", "--logLevel", "error")
	runIn(t, dir, "rm", "-r", "node_modules") // all must be in the bundles

	g := startGateway(t)
	url := "ws://" + g.ClientAddrs()[0].String() + gateway.Path
	for _, bundle := range []string{"out/bundle.mjs", "out/bundle.cjs"} {
		if got := runIn(t, dir, node(t), "--experimental-websocket", "--no-warnings", bundle, url); got != wantUsed {
			t.Errorf("%s printed %q, want %q", bundle, got, wantUsed)
		}
	}
	site := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "out/site"))))
	defer site.Close()
	ctx, _ := browsertest.Start(t, "the bundle of vite is")
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/?"+url)); err != nil {
		t.Fatal(err)
	}
	awaitSubscribers(t, g, 1)
	publish(t, g, `"bundled"`)
	expectSeen(t, ctx, `"bundled"`)
}
