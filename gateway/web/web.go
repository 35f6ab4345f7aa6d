// Package web holds the client of a fleetcast gateway for browsers and Node, and
// serves it: [Site] is what the client port answers to plain HTTP, with the console
// page, which uses the client.
//
// fleetcast.js is the source, an ES module without dependencies.
// fleetcast.classic.js is the same for pages that load plain scripts: it sets the
// global Fleetcast. fleetcast.cjs is the same for CommonJS, and fleetcast.d.cts are
// its types. These three are written from fleetcast.js and fleetcast.d.ts by
//
//	go test ./gateway/web -run Written -update
//
// The directory is an npm package, too: see package.json.
//
// The package's variables are the files' bytes. Any goroutine may read them; nobody
// may change them.
package web

import _ "embed"

// JavaScript is the client as an ES module.
//
//go:embed fleetcast.js
var JavaScript []byte

// Classic is the client as a classic script.
//
//go:embed fleetcast.classic.js
var Classic []byte

// Types are the TypeScript declarations of JavaScript.
//
//go:embed fleetcast.d.ts
var Types []byte

// GlobalTypes are the TypeScript declarations of the global that Classic sets.
//
//go:embed fleetcast.global.d.ts
var GlobalTypes []byte
