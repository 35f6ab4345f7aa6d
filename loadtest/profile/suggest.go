package profile

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// suggest says which of names was likely meant by name; if none is near, it lists them all.
func suggest(name string, names []string) string {
	best := nearest(name, names)
	if best == "" {
		return "choose from " + strings.Join(names, ", ")
	}
	return `did you mean "` + best + `"?`
}

// nearest returns which of names was likely meant by name; "" if none is near.
func nearest(name string, names []string) string {
	best, least := "", len(name)/2+1
	for _, n := range names {
		if d := levenshtein.ComputeDistance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}
