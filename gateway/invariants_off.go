//go:build !invariants

package gateway

func (s *shard) checkInvariants() { _ = s.pace }
