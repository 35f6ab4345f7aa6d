package stats

import (
	"reflect"
	"sync"
)

// Kind is how a metric is read.
type Kind uint8

const (
	Gauge   Kind = iota // goes up and down
	Counter             // only grows
	Times               // a [Histogram]
)

// Metric is one figure of a [Gateway] as it is exported.
type Metric struct {
	Name  string // without the prefix
	Help  string
	Kind  Kind
	Label string // the name of its label; empty if it is one series
	index []int  // of the field
}

// Metrics are all metrics, in the order of their fields. They are not to be changed.
// Any goroutine may call it.
var Metrics = sync.OnceValue(func() []Metric {
	return appendMetrics(nil, reflect.TypeFor[Gateway](), nil)
})

func appendMetrics(to []Metric, of reflect.Type, index []int) []Metric {
	for i := range of.NumField() {
		field := of.Field(i)
		at := append(index[:len(index):len(index)], i)
		name, exported := field.Tag.Lookup("metric")
		switch {
		case exported:
			to = append(to, Metric{Name: name, Help: field.Tag.Get("help"), Label: field.Tag.Get("label"), Kind: kindOf(field.Type), index: at})
		case field.Type.Kind() == reflect.Struct && field.IsExported():
			to = appendMetrics(to, field.Type, at)
		}
	}
	return to
}

func kindOf(t reflect.Type) Kind {
	switch {
	case t == reflect.TypeFor[Histogram]():
		return Times
	case t.Kind() == reflect.Map, t.Kind() == reflect.Uint64:
		return Counter
	}
	return Gauge
}

// Value is the metric's value in g; of a list, how many entries it has. The metric
// has no label and is no histogram.
func (m *Metric) Value(g *Gateway) float64 {
	switch field := m.of(g); field.Kind() {
	case reflect.Slice:
		return float64(field.Len())
	case reflect.Uint64:
		return float64(field.Uint())
	default:
		return float64(field.Int())
	}
}

// Values are the values of a metric with a label.
func (m *Metric) Values(g *Gateway) map[string]uint64 {
	return m.of(g).Interface().(map[string]uint64)
}

// Histogram is the value of a metric of the kind Times.
func (m *Metric) Histogram(g *Gateway) *Histogram { return m.of(g).Addr().Interface().(*Histogram) }

func (m *Metric) of(g *Gateway) reflect.Value { return reflect.ValueOf(g).Elem().FieldByIndex(m.index) }

// add adds the fields of a structure to those of another one of the same type, which
// must have its maps.
func add[T any](to, from *T) {
	sum, other := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range sum.NumField() {
		switch field := sum.Field(i).Addr().Interface().(type) {
		case *int64:
			*field += other.Field(i).Int()
		case *uint64:
			*field += other.Field(i).Uint()
		case *map[string]uint64:
			for name, n := range other.Field(i).Interface().(map[string]uint64) {
				(*field)[name] += n
			}
		case *Histogram:
			field.add(other.Field(i).Addr().Interface().(*Histogram))
		default:
			panic("stats: a field of " + sum.Type().Name() + " cannot be summed")
		}
	}
}
