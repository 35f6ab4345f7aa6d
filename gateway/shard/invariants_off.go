//go:build !invariants

package shard

func (s *Shard) checkInvariants() { _ = s.pace }
