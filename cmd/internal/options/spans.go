package options

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// span is the least and the greatest sensible value of an option, as texts that the
// option itself reads. Values beyond it are typing errors or wrong units, or would stop
// the gateway from doing its work. zero also allows 0, if it means none or off.
type span struct {
	least, most string
	zero        bool
}

// typeSpans are those of options without a tag of their own.
var typeSpans = map[reflect.Type]span{
	reflect.TypeFor[count]():  {"1", "1000000000", false},
	reflect.TypeFor[Size]():   {"1", "1TiB", false},
	reflect.TypeFor[Period](): {"1ms", "24h", true},
}

// spanOf is the span of an option, if it is a number: that of its tag span, such as "1
// to 10" or "0 or 512 to 32KiB", or else that of its type. The default of an option is
// always allowed.
func spanOf(f *kong.Flag) (of span, numeric bool) {
	of, numeric = typeSpans[f.Target.Type()]
	if text := f.Tag.Get("span"); text != "" {
		bounds, zero := strings.CutPrefix(text, "0 or ")
		of.zero = zero
		of.least, of.most, _ = strings.Cut(bounds, " to ")
	}
	return of, numeric
}

// outOfSpan says what is wrong with the value of an option, or "".
func (s setting) outOfSpan() string {
	value := s.flag.Target
	of, numeric := spanOf(s.flag)
	if !numeric || s.text() == s.flag.Default || of.zero && value.IsZero() {
		return ""
	}
	if !less(value, bound(value.Type(), of.least)) && !less(bound(value.Type(), of.most), value) {
		return ""
	}
	return fmt.Sprintf("is %s, must be %s", s.text(), of)
}

// String is how errors word the span.
func (s span) String() string {
	if s.zero {
		return "0, or from " + s.least + " to " + s.most
	}
	return "from " + s.least + " to " + s.most
}

// bound reads one end of a span. If the option cannot read it, the span is wrong, and it
// panics.
func bound(of reflect.Type, text string) reflect.Value {
	value := reflect.New(of)
	if err := value.Interface().(interface{ UnmarshalText([]byte) error }).UnmarshalText([]byte(text)); err != nil {
		panic(fmt.Sprintf("span of %v: %v", of, err))
	}
	return value.Elem()
}

func less(a, b reflect.Value) bool {
	if a.CanUint() {
		return a.Uint() < b.Uint()
	}
	return a.Int() < b.Int()
}
