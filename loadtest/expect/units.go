package expect

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// kind is what figures of one sort are measured in.
type kind struct {
	units  []unit
	plain  float64 // factor of a bound without unit; 0: it must have one
	wanted string  // for people
}

// unit is a name with its size in the base unit of its kind.
type unit struct {
	name   string
	factor float64
}

var (
	timeUnits  = []unit{{"ns", 1e-6}, {"us", 1e-3}, {"µs", 1e-3}, {"μs", 1e-3}, {"ms", 1}, {"s", 1e3}} // two signs pass for micro
	sizeUnits  = []unit{{"B", 1.0 / 1024}, {"kB", 1}, {"KB", 1}, {"KiB", 1}, {"MB", 1 << 10}, {"MiB", 1 << 10}, {"GB", 1 << 20}, {"GiB", 1 << 20}}
	shareUnits = []unit{{"%", 0.01}}
	countUnits = []unit{{"k", 1e3}, {"M", 1e6}}
)

const (
	timeWanted  = "a time in ns, us, ms or s"
	sizeWanted  = "a size in B, kB, MB or GB"
	shareWanted = "a share, plain or in %"
	countWanted = "a number, with k or M if you like"
)

var (
	duration = kind{timeUnits, 0, timeWanted}       // base ms
	seconds  = kind{timeUnits, 1e3, timeWanted}     // base ms
	size     = kind{sizeUnits, 0, sizeWanted}       // base kB
	share    = kind{shareUnits, 1, shareWanted}     // base one processor
	count    = kind{countUnits, 1, countWanted}     // base 1
	kinds    = []kind{duration, size, share, count} // what units tell apart
)

// kindOf returns the kind of a figure that is reported in a unit, with that
// unit as the one of plain numbers. What is no unit of ours is something to
// count.
func kindOf(name string) kind {
	for _, k := range kinds {
		for _, u := range k.units {
			if u.name == name {
				k.plain = u.factor
				return k
			}
		}
	}
	return count
}

// quantity is a bound, as it was written and in the base unit of its kind.
type quantity struct {
	number string
	unit   string
	factor float64
	value  float64
}

func (k kind) parse(text string) (quantity, error) {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '_' })
	if end < 0 {
		end = len(text)
	}
	q := quantity{number: text[:end], unit: strings.TrimSpace(text[end:])}
	number, err := strconv.ParseFloat(strings.ReplaceAll(q.number, "_", ""), 64)
	if err != nil {
		return quantity{}, fmt.Errorf("%q is not %s", text, k.wanted)
	}
	if q.factor, err = k.factorOf(q); err != nil {
		return quantity{}, err
	}
	if q.value = number * q.factor; math.IsInf(q.value, 0) {
		return quantity{}, fmt.Errorf("%q is out of range", text)
	}
	return q, nil
}

func (k kind) factorOf(q quantity) (float64, error) {
	if q.unit == "" {
		if k.plain == 0 {
			return 0, fmt.Errorf("%q has no unit: want %s", q.number, k.wanted)
		}
		return k.plain, nil
	}
	for _, u := range k.units {
		if u.name == q.unit {
			return u.factor, nil
		}
	}
	return 0, fmt.Errorf("unit %q does not fit: want %s", q.unit, k.wanted)
}

// text is the bound for people.
func (q quantity) text() string { return q.withUnit(q.number) }

// grain is the part of a bound within which a value is equal to it: what
// conversions between units may cost.
const grain = 1e-12

// snap returns the bound for values that differ from it by nothing but
// rounding.
func (q quantity) snap(value float64) float64 {
	if math.Abs(value-q.value) <= grain*math.Abs(q.value) {
		return q.value
	}
	return value
}

// describe says a value in the unit of the bound, so that the two are easily
// compared, and with enough digits to differ from it if it does.
func (q quantity) describe(value float64) string {
	in := value / q.factor
	text := fourDigits(in)
	if rounded, err := strconv.ParseFloat(text, 64); value != q.value && err == nil && q.snap(rounded*q.factor) == q.value {
		text = strconv.FormatFloat(in, 'g', -1, 64)
	}
	return q.withUnit(text)
}

// fourDigits writes a number with four significant digits, or more before the
// point.
func fourDigits(n float64) string {
	if math.Abs(n) < 1 {
		return strconv.FormatFloat(n, 'g', 4, 64)
	}
	digits := 3
	for limit := 10.0; digits > 0 && math.Abs(n) >= limit; limit *= 10 {
		digits--
	}
	text := strconv.FormatFloat(n, 'f', digits, 64)
	if digits > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// withUnit puts the unit after a number, with a space unless it is a mere
// factor.
func (q quantity) withUnit(number string) string {
	switch q.unit {
	case "":
		return number
	case "k", "M":
		return number + q.unit
	}
	return number + " " + q.unit
}
