// Package rules decides what holds for a channel: the policy for slow subscribers,
// whether events are compressed, and which clients may subscribe and publish. All of that
// comes from one table of entries, each for the channels of a pattern. The package knows
// the names of channels and of users, and not the channels and the clients. What a token
// grants is not its matter, but the patterns in a token are its Patterns.
//
// A Table and its Rules are immutable. Any goroutine may use them.
package rules
