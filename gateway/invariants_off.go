//go:build !invariants

package gateway

func (s *shard) checkInvariants()   { _ = s.pace }
func (in *ingest) checkInvariants() { _ = in.pace }
