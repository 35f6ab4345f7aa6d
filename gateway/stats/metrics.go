package stats

import (
	"cmp"
	"reflect"
	"slices"
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
	Name   string // without the prefix
	Help   string
	Kind   Kind
	Label  string  // the name of its label; empty if it is one series
	Each   string  // the name of another label, by which there are several of it; else empty
	fields [][]int // indexes of the fields that it sums
	parts  []int   // index of the map that has the parts of Each
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
			i := slices.IndexFunc(to, func(m Metric) bool { return m.Name == name })
			if i < 0 {
				i = len(to)
				to = append(to, Metric{Name: name, Label: field.Tag.Get("label"), Kind: kindOf(field.Type)})
			}
			to[i].Help = cmp.Or(to[i].Help, field.Tag.Get("help"))
			to[i].fields = append(to[i].fields, at)
		case field.Tag.Get("each") != "":
			for _, m := range appendMetrics(nil, field.Type.Elem(), nil) {
				m.Each, m.parts = field.Tag.Get("each"), at
				to = append(to, m)
			}
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
	case t.Kind() == reflect.Map, t.Kind() == reflect.Uint64, t.Kind() == reflect.Float64:
		return Counter
	}
	return Gauge
}

// Parts are what has values of the metric in g, by the value of the label Each: without
// one, g itself.
func (m *Metric) Parts(g *Gateway) map[string]any {
	if m.Each == "" {
		return map[string]any{"": g}
	}
	parts := make(map[string]any)
	for each := fieldOf(g, m.parts).MapRange(); each.Next(); {
		part := reflect.New(each.Value().Type())
		part.Elem().Set(each.Value())
		parts[each.Key().String()] = part.Interface()
	}
	return parts
}

// Value is the metric's value in one of its Parts; of a list, how many entries it has. The
// metric has no label and is no histogram.
func (m *Metric) Value(g any) (sum float64) {
	for _, index := range m.fields {
		switch field := fieldOf(g, index); field.Kind() {
		case reflect.Slice:
			sum += float64(field.Len())
		case reflect.Uint64:
			sum += float64(field.Uint())
		case reflect.Float64:
			sum += field.Float()
		default:
			sum += float64(field.Int())
		}
	}
	return sum
}

// Values are the values of a metric with a label in one of its Parts.
func (m *Metric) Values(g any) map[string]uint64 {
	return fieldOf(g, m.fields[0]).Interface().(map[string]uint64)
}

// Histogram is the value of a metric of the kind Times in one of its Parts.
func (m *Metric) Histogram(g any) *Histogram {
	return fieldOf(g, m.fields[0]).Addr().Interface().(*Histogram)
}

func fieldOf(g any, index []int) reflect.Value {
	return reflect.ValueOf(g).Elem().FieldByIndex(index)
}

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
		case *float64:
			*field += other.Field(i).Float()
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
