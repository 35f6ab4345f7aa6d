//go:build !invariants

package gateway

func (in *ingest) checkInvariants() { _ = in.pace }
