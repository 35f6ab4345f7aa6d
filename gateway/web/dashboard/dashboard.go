// Package dashboard is the page of the admin port. It shows whether the gateway is well,
// and if it is not, what is wrong. While someone looks at it, the page asks the admin API
// of its own origin once a second, and keeps the answers in the browser.
//
// index.html and dashboard.css are what a user sees. figures.js and verdict.js are pure
// functions from answers of /api/stats to rates, quantiles and a verdict. flood.js finds
// the flood behind it in answers of /api/channels and /api/publishers. format.js writes
// numbers and names. key.js keeps the operator's key, and asks for it. plots.js, tables.js and dialogs.js draw. dashboard.js connects them.
//
// The handler keeps no state. Any goroutine may call it.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"

	"fleetcast/gateway/web/look"
)

//go:embed index.html dashboard.css favicon.svg *.js
var files embed.FS

// prefix is where everything but the page itself is found.
const prefix = "/dashboard/"

// policy lets the page load and ask its own origin only. Nobody may frame it: it
// has buttons that end connections and the process.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is one file as it is answered.
type asset struct {
	content     []byte
	contentType string
	tag         string // for If-None-Match
}

// Handler serves the page at / and what it needs below /dashboard/, to GET and
// HEAD. Any other path is answered with 404, any other method with 405. The
// page expects the admin API below /api/ of the same origin.
func Handler() http.Handler {
	assets := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		found, ok := assets[r.URL.Path]
		switch {
		case !ok:
			http.Error(w, "not found: the dashboard is at /", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "the dashboard takes GET and HEAD only", http.StatusMethodNotAllowed)
		default:
			header.Set("Content-Type", found.contentType)
			header.Set("Cache-Control", "no-cache") // ask, so that a new version is used at once
			header.Set("ETag", found.tag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.content))
		}
	})
}

// load reads the embedded files, by the paths at which they are served. They are
// part of the binary, so that none can be missing.
func load() map[string]asset {
	types := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", "": "text/plain; charset=utf-8",
	}
	assets := make(map[string]asset)
	add := func(name string, content []byte) error {
		kind, ok := types[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s has no content type", name)
		}
		if name == "dashboard.css" {
			content = append([]byte(look.Theme), content...)
		}
		sum := sha256.Sum256(content)
		assets[prefix+name] = asset{content, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		return add(name, content)
	})
	for _, name := range look.Plots {
		err = errors.Join(err, add(name, []byte(look.Read(name))))
	}
	if err != nil {
		panic(fmt.Sprintf("dashboard: reading embedded files: %v", err))
	}
	assets["/"] = assets[prefix+"index.html"]
	return assets
}
