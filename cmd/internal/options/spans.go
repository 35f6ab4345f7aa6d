package options

import (
	"fmt"
	"reflect"
)

// span is the least and the greatest sensible value of an option, as texts that the
// option itself reads. Values beyond it are typing errors or wrong units, or would stop
// the gateway from doing its work. zero also allows 0, if it means none or off.
type span struct {
	least, most string
	zero        bool
}

// spans are the spans of options for which that of their type in typeSpans does not
// fit. The default of an option is always allowed.
var spans = map[string]span{
	"shards":            {"1", "1024", false},
	"ingest-loops":      {"1", "256", false},
	"client-channels":   {"1", "1000000", false},
	"max-message":       {"128", "1GiB", false},
	"max-event":         {"1", "32MiB", false}, // fleetcast subscribe takes messages of 64 MiB
	"max-channel-name":  {"1", "255", false},
	"compression-level": {"1", "9", false},
	"compression-from":  {"0", "1GiB", false},
	"client-context":    {"512", "32KiB", true},
	"send-buffer":       {"4KiB", "1GiB", true},
	"address-clients":   {"0", "1000000000", false},
	"connect-queue":     {"0", "1000000", false},
	"log-connections":   {"0", "1000000", false},
	"retention":         {"1s", "720h", false},
	"handshake-timeout": {"100ms", "24h", false},
	"ping-interval":     {"1s", "24h", false},
	"pong-timeout":      {"100ms", "24h", false},
	"message-timeout":   {"100ms", "24h", false},
	"send-timeout":      {"100ms", "24h", true},
	"slow-after":        {"100ms", "5m", false},
	"backlog-messages":  {"0", "1000000000", false},
	"drain-timeout":     {"10ms", "24h", false},
}

// typeSpans are those of options that spans has not.
var typeSpans = map[reflect.Type]span{
	reflect.TypeFor[count]():  {"1", "1000000000", false},
	reflect.TypeFor[Size]():   {"1", "1TiB", false},
	reflect.TypeFor[Period](): {"1ms", "24h", true},
}

// spanOf is the span of an option, if it is a number.
func spanOf(option string, value reflect.Type) (span, bool) {
	of, numeric := typeSpans[value]
	if special, ok := spans[option]; ok {
		return special, numeric
	}
	return of, numeric
}

// outOfSpan says what is wrong with the value of an option, or "".
func (s setting) outOfSpan() string {
	value := s.flag.Target
	of, numeric := spanOf(s.name(), value.Type())
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

// bound reads one end of a span. If the option cannot read it, spans is wrong, and it
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
