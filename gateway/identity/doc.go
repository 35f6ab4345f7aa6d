// Package identity says who a client is and what it may do: its user, its grants, and
// when both end. It also makes resume tickets, by which a client that comes back is
// known without another verification, and holds the list of blocked users.
//
// The package knows nothing of tokens or connections: package token makes identities of
// tokens, and a shard asks them.
//
// An Identity and its Grants are immutable; any goroutine may use them. The other types
// say who may call them.
package identity
