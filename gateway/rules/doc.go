// Package rules says what holds for a channel: what becomes of its events for slow
// subscribers, whether they are compressed, whether clients may publish to it. All
// of that comes from one table of entries, each for the channels of a pattern. The
// package knows names of channels, not the channels.
//
// A Table and its Rules are immutable. Any goroutine may use them.
package rules
