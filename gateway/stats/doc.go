// Package stats has the figures of a running gateway: what is counted, under which
// names, and the means to count it. Each counter is declared once, as a field of
// [Gateway] or of what that is made of; sums, metrics, the API's JSON and the log's
// incidents walk these fields. It knows nothing of sockets, clients or channels.
//
// Nothing here is safe for several goroutines at once, but for [Metrics]: a loop
// counts in structures of its own and hands copies to whoever asks.
package stats
