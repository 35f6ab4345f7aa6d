//go:build !invariants

package ingest

func (in *Loop) checkInvariants() { _ = in.pace }
