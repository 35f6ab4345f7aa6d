// Package settings holds the configuration of a gateway, checks it, and derives from it
// what the loops use. A [Config] is what an operator writes. [Settings] are made from it.
// The package knows limits and rules, and nothing that runs.
//
// Settings are immutable. Any goroutine may use them. When the gateway is reconfigured,
// it replaces them as a whole.
package settings
