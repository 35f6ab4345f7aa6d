// Package web holds the JavaScript client of a fleetcast gateway, and serves it. [Site]
// answers plain HTTP on the client port: the client, and the console page, which uses it.
//
// fleetcast.js is the source, an ES module without dependencies. fleetcast.classic.js is
// the same for pages that load plain scripts; it sets the global Fleetcast. fleetcast.cjs
// is the same for CommonJS, with its types in fleetcast.d.cts. go generate writes these
// three from fleetcast.js and fleetcast.d.ts. The directory is also an npm package: see
// package.json.
//
// The package's variables are the bytes of the files. Any goroutine may read them, and
// none may change them.
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
