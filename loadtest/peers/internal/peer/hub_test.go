package peer

import (
	"slices"
	"testing"
)

func TestHub(t *testing.T) {
	cases := []struct {
		name   string
		remove []string
		want   []string
	}{
		{"none leaves", nil, []string{"a", "b", "c"}},
		{"the first leaves", []string{"a"}, []string{"b", "c"}},
		{"the last leaves", []string{"c"}, []string{"a", "b"}},
		{"one leaves twice", []string{"b", "b"}, []string{"a", "c"}},
		{"one moved into a hole leaves", []string{"a", "c"}, []string{"b"}},
		{"a stranger leaves", []string{"x"}, []string{"a", "b", "c"}},
		{"all leave", []string{"b", "a", "c"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := NewHub[string]()
			for _, client := range []string{"a", "b", "c"} {
				h.Add(client)
			}
			for _, client := range c.remove {
				h.Remove(client)
			}
			var got []string
			h.Each(func(client string) { got = append(got, client) })
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("left are %q, want %q", got, c.want)
			}
		})
	}
}
