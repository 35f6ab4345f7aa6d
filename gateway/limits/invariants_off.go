//go:build !invariants

package limits

// Pace is for the build tag invariants.
type Pace struct{}
