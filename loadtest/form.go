package loadtest

import (
	"math"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
)

// form is how a server lays out what it sends to a client. Clients of one form should
// get the same bytes, unless the form has context: then the bytes depend on what each
// client got before.
type form uint8

const (
	formPlain   form = iota
	formDeflate      // compressed, each message for itself; behind it, compressed with context, by its bits
	formCount   = formDeflate + deflate.MaxWindowBits + 1

	comparedForms = formDeflate + 1 // those without context
)

// formOf is the form of the messages after a handshake.
func formOf(h *websocket.Handshake) form {
	if !h.Deflates {
		return formPlain
	}
	return formDeflate + form(h.Deflate.ServerContext())
}

// reader is how messages of the form are read.
func (f form) reader() *websocket.ReaderConfig { return &formReaders[f] }

var formReaders = newFormReaders()

func newFormReaders() (readers [formCount]websocket.ReaderConfig) {
	for f := range readers {
		readers[f] = clientReader
		readers[f].Deflate = form(f) != formPlain
		readers[f].ContextBits = max(f-int(formDeflate), 0)
	}
	return readers
}

// offer is what clients offer that can inflate: what browsers do.
var offer = deflate.Params{ClientBits: deflate.AnyBits}

// offers tells whether the client of that number offers compression, if its group is
// spread over so many channels. Each combination of channel and loop has its share of
// clients that offer it, as exactly as its size allows.
func (p *plan) offers(number, channels int) bool {
	if p.Deflate <= 0 {
		return false
	}
	// Clients whose numbers differ by a multiple of kinds have channel and loop in
	// common. Among those of a kind, every 1/Deflate-th one offers; kinds begin at
	// phases that lie evenly however many there are (multiples of the golden ratio).
	kinds := leastCommonMultiple(channels, p.Processes*p.Loops)
	_, phase := math.Modf(float64(number%kinds) * math.Phi)
	const rounding = 1e-9
	until := func(k int) float64 { return math.Floor(p.Deflate*float64(k) + phase + rounding) }
	row := number / kinds
	return until(row+1) > until(row)
}

func leastCommonMultiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}
