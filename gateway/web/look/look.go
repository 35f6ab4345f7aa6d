// Package look is what the pages of the gateway and the reports of the harness share:
// their colours and base style, and the library that draws plots (uPlot, MIT licence).
// Its variables are read only; any goroutine may use them.
package look

import (
	"embed"
	"fmt"
)

//go:embed theme.css uplot
var files embed.FS

// Theme is the style that stands before a page's own.
var Theme = Read("theme.css")

// Plots are the files of the library: its script, style and licence.
var Plots = []string{"uplot/uPlot.iife.min.js", "uplot/uPlot.min.css", "uplot/LICENSE"}

// Read is the text of a file of this package. It panics if there is none.
func Read(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("look: %v", err)) // it is part of the binary
	}
	return string(text)
}
