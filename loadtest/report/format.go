package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"fleetcast/loadtest"
)

func count(n int64) string { return humanize.Comma(n) }

// quantity prints v with at least three significant digits, grouped, and
// without an exponent.
func quantity(v float64) string {
	size := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "unknown"
	case v == math.Trunc(v) && size < 1e15, size >= 1000:
		return humanize.CommafWithDigits(math.Round(v), 0)
	default:
		decimals := 2 - int(math.Floor(math.Log10(size)))
		return strconv.FormatFloat(v, 'f', min(max(decimals, 0), 9), 64)
	}
}

// ms prints a latency, which is in milliseconds.
func ms(v float64) string { return quantity(v) + " ms" }

// seconds prints a moment or a duration to a tenth.
func seconds(v float64) string {
	return humanize.CommafWithDigits(math.Round(v*10)/10, 1) + " s"
}

// share prints a share of one processor.
func share(v float64) string {
	return strconv.FormatFloat(100*v, 'f', 0, 64) + " %"
}

// mebibytes prints an amount of memory that is in kB of 1024 bytes.
func mebibytes(kb int64) string {
	return quantity(float64(kb)/1024) + " MiB"
}

// shellLine joins a command line so that a shell takes it apart in the same
// way.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = loadtest.ShellWord(word)
	}
	return strings.Join(quoted, " ")
}

// measured reports whether there was anything to take percentiles of.
func measured(p loadtest.Percentiles) bool { return p.Max > 0 }
