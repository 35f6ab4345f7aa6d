// Package settings has what a gateway is told, checks it, and derives from it what
// the loops use: a [Config] is what an operator writes, [Settings] what is made of
// it. It knows limits and rules, and nothing that runs.
//
// Settings are immutable. Any goroutine may use them; the gateway replaces them as a
// whole when it is reconfigured.
package settings
