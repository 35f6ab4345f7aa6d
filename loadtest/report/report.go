// Package report writes the result of a run as one HTML file, for people who were not
// there: what was run, whether every event arrived, the figures, and plots. The file
// contains everything that it needs and works offline. uPlot, which is part of the file,
// draws the plots.
//
// [Write] keeps no state. Any goroutine may call it, if none changes the result meanwhile.
//
// # Hostile text
//
// Notes hold text that a server sent, and the command line may hold any text. All text
// goes through html/template, which escapes by context. The page's content security
// policy admits only the page's own script and style, by hash.
package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"fleetcast/gateway/web/look"
	"fleetcast/loadtest"
)

//go:embed page.html.tmpl page.css page.js
var files embed.FS

var (
	pageTemplate = template.Must(template.ParseFS(files, "page.html.tmpl"))
	style        = look.Read("uplot/uPlot.min.css") + look.Theme + file("page.css")
	script       = look.Read("uplot/uPlot.iife.min.js") + file("page.js")
	license      = look.Read("uplot/LICENSE")
	policy       = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; base-uri 'none'; form-action 'none'",
		hash(script), hash(style))
)

// page is what the template shows.
type page struct {
	Policy  string
	Style   template.CSS
	Script  template.JS
	License string

	Title     string
	Scenario  string
	Subtitle  []string // target, date, machine: those that are known
	Command   string   // as a shell would take it; empty if there was none
	Verdict   verdict
	Warnings  []string
	Tiles     []tile
	Phases    *table // nil if the scenario compares none
	Figures   *table // nil if the scenario has none of its own
	PhaseLine string // when each phase was, for readers of the plots
	Plots     []plot
	Tables    []table
	Run       table
	Data      plotData
}

// Write writes the report on r to w.
func Write(w io.Writer, r *loadtest.Result) error {
	bands := phaseBands(r.Timeline)
	plots := plotsOf(r)
	p := page{
		Policy: policy, Style: template.CSS(style), Script: template.JS(script), License: license,
		Scenario:  r.Scenario,
		Subtitle:  subtitle(&r.Run),
		Command:   shellLine(r.Run.Command),
		Verdict:   judge(r),
		Warnings:  r.Detail.Warnings,
		Tiles:     tiles(r),
		Phases:    phaseTable(r.Phases),
		Figures:   figureTable(r.Detail.Figures),
		PhaseLine: phaseLine(bands),
		Plots:     plots,
		Tables:    tables(r),
		Run:       runTable(r),
		Data:      plotData{Time: times(r.Timeline), Bands: bands, Plots: plots},
	}
	p.Title = fmt.Sprintf("fleetload %s: %s", p.Scenario, p.Verdict.Headline)
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

func file(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the file is part of the binary
	}
	return string(text)
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
