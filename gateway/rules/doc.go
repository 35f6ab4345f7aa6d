// Package rules decides what holds for a channel: the policy for slow subscribers,
// whether events are compressed, and whether clients may publish. All of that comes from
// one table of entries, each for the channels of a pattern. The package knows the names
// of channels, and not the channels.
//
// A Table and its Rules are immutable. Any goroutine may use them.
package rules
