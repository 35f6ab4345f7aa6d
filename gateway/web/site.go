package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"fleetcast/gateway/web/look"
)

// Site is what the client port has for browsers besides WebSocket: the client
// fleetcast.js, and the console page. Every field may be left empty.
type Site struct {
	// Path is where WebSocket clients connect, such as /ws.
	Path string
	// Publish and Admin are the publish port and the admin port, as host:port
	// that a person on the gateway's machine reaches; empty if they are off.
	// The console page names them in the commands that it shows, to whoever
	// opens it.
	Publish string
	Admin   string
	// ClientPublish says to which channels clients without an identity may publish, as
	// the console page is one: the first grant that matches a channel decides, and if
	// none does they may not.
	ClientPublish []Grant
	// PublishKey and AdminKey tell that the ports want keys, which the commands then name.
	PublishKey bool
	AdminKey   bool
	// Tokens tells that clients may show tokens. The console page then asks for one.
	Tokens bool
	// Console adds the console page.
	Console bool
}

// Grant says for the channels of a pattern whether clients without an identity may
// publish to them. In the pattern, ** stands for any characters, and * for any but . :
// and /.
type Grant struct {
	Match   string `json:"match"`
	Clients bool   `json:"clients"`
}

// TestWritten compares what this writes.
//
//go:generate go test . -run TestWritten -update

//go:embed console
var consoleFiles embed.FS

// consoleTypes are the console's files below console/, and their content types.
var consoleTypes = map[string]string{
	"channels.js": typeJavaScript,
	"commands.js": typeJavaScript,
	"console.css": "text/css; charset=utf-8",
	"console.js":  typeJavaScript,
	"format.js":   typeJavaScript,
	"log.js":      typeJavaScript,
	"publish.js":  typeJavaScript,
	"status.js":   typeJavaScript,
}

const (
	typeJavaScript = "text/javascript; charset=utf-8"
	typeText       = "text/plain; charset=utf-8"
	typeHTML       = "text/html; charset=utf-8"
)

// policy lets the console page load its own files, connect to its own host
// (in which browsers count WebSocket), and do nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Handler serves the site. It reads the fields once; changes made later have no
// effect.
func (s Site) Handler() http.Handler {
	routes := s.scripts()
	routes["/favicon.ico"] = newAsset("image/svg+xml", consoleFile("icon.svg"))
	if s.Console {
		maps.Copy(routes, s.console())
	} else {
		routes["/"] = newAsset(typeText, fmt.Appendf(nil, "This is fleetcast, a WebSocket gateway.\n%s\n", s.hint()))
	}
	return &site{routes: routes, hint: s.hint()}
}

// hint says where clients connect.
func (s Site) hint() string {
	return fmt.Sprintf("WebSocket clients connect to %s; the client for browsers is /fleetcast.js.", s.Path)
}

// scripts are what pages of any origin may load.
func (s Site) scripts() map[string]http.Handler {
	routes := make(map[string]http.Handler)
	for path, body := range map[string][]byte{
		"/fleetcast.js":          JavaScript,
		"/fleetcast.classic.js":  Classic,
		"/fleetcast.d.ts":        Types,
		"/fleetcast.global.d.ts": GlobalTypes,
	} {
		contentType := typeJavaScript
		if strings.HasSuffix(path, ".d.ts") {
			contentType = typeText // browsers know no type for it
		}
		asset := newAsset(contentType, body)
		routes[path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			asset.ServeHTTP(w, r)
		})
	}
	return routes
}

func (s Site) console() map[string]http.Handler {
	routes := map[string]http.Handler{
		"/":                    newAsset(typeHTML, consoleFile("index.html")),
		"/console/config.json": newAsset("application/json", s.consoleConfig()),
	}
	for name, contentType := range consoleTypes {
		body := consoleFile(name)
		if name == "console.css" {
			body = append([]byte(look.Theme), body...)
		}
		routes["/console/"+name] = newAsset(contentType, body)
	}
	return routes
}

// consoleConfig is what the console page must know of the gateway.
func (s Site) consoleConfig() []byte {
	config, err := json.Marshal(struct {
		Path          string  `json:"path"`
		Publish       string  `json:"publish"`
		Admin         string  `json:"admin"`
		PublishKey    bool    `json:"publishKey"`
		AdminKey      bool    `json:"adminKey"`
		Tokens        bool    `json:"tokens"`
		ClientPublish []Grant `json:"clientPublish"`
	}{s.Path, s.Publish, s.Admin, s.PublishKey, s.AdminKey, s.Tokens, append([]Grant{}, s.ClientPublish...)})
	if err != nil {
		panic(err) // strings always have a JSON form
	}
	return config
}

func consoleFile(name string) []byte {
	body, err := consoleFiles.ReadFile("console/" + name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return body
}

// site finds the route and sets what all answers have in common.
type site struct {
	routes map[string]http.Handler
	hint   string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	route, ok := s.routes[r.URL.Path]
	switch {
	case !ok:
		answer(w, http.StatusNotFound, "Not found. "+s.hint)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed, "This takes GET and HEAD only.")
	default:
		route.ServeHTTP(w, r)
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", typeText)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client is gone if it fails
}
